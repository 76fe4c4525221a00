// Masks a column of text: the first characters stay, `***` stands for the rest.

import { utf8 } from './audit_plugin/columns.js';
import { inRange, settings } from './audit_plugin/settings.js';

const MASK = '***';

export class Plugin {
  static description = {
    name: '{{name}}',
    version: '0.1.0',
    kind: 'transform',
    configSchema: {
      type: 'object',
      additionalProperties: false,
      properties: {
        column: { type: 'string', default: 'user_email', description: 'The column to mask' },
        keep: { type: 'integer', minimum: 0, maximum: 16, default: 1, description: 'How many characters stay' },
      },
    },
  };

  /** @param {object} config as the user wrote it */
  constructor(config) {
    const { column, keep } = settings(config, { column: 'user_email', keep: 1 });
    inRange('keep', keep, 0, 16);
    this.column = column;
    this.keep = keep;
    /** The columns that `process` needs. */
    this.reads = [column];
    /** The columns that `process` returns. */
    this.writes = [{ name: column }];
  }

  /** Judges one batch: a pure function of it. */
  process(batch) {
    const masked = Array.from(batch.text(this.column), (value) => this.mask(value));
    return { columns: { [this.column]: utf8(masked) } };
  }

  mask(value) {
    if (value === null) return null;
    let kept = '';
    let kept_count = 0;
    // By characters, not by UTF-16 units: an emoji must not be cut in two.
    for (const character of value) {
      if (kept_count === this.keep) break;
      kept += character;
      kept_count += 1;
    }
    return kept + MASK;
  }
}

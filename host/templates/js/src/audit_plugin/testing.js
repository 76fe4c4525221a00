// The host's part in unit tests: batches from plain values, and a host that keeps log lines.

import * as columns from './columns.js';

/** Log lines are kept in `lines`; no key is granted. */
export class TestHost {
  lines = [];
  log = Object.fromEntries(
    ['debug', 'info', 'warn', 'error'].map((level) => [level, (text) => this.lines.push([level, text])]),
  );
  hasKey = () => false;
}

/**
 * A batch of columns made by `utf8`, `int32` and so on.
 *
 * @param {Record<string, { values: object }>} named
 */
export function batch(named) {
  const raw = Object.entries(named).map(([name, column]) => ({ name, ...column }));
  const [first] = raw;
  const rows = first.values.val.offsets ? first.values.val.offsets.length - 1 : first.values.val.length;
  return new columns.Batch({ rows, columns: raw });
}

/** The values of a column that a plugin returned. */
export function values(judgement, name) {
  const read = batch({ [name]: judgement.columns[name] });
  return [...read.text(name)];
}

// Columns of a batch. They cross the boundary in Arrow's layout, as a few large arrays; here they are
// read and made row by row. Nulls are `null`. Times are microseconds since 1970, as BigInt, like all
// 64-bit integers.

import { Fault } from './errors.js';

const DECODER = new TextDecoder();
const ENCODER = new TextEncoder();

/** Whether a row holds a value: one bit a row, least significant first; no bitmap means no nulls. */
function isValid(validity, row) {
  return validity == null || (validity[row >> 3] & (1 << (row & 7))) !== 0;
}

/** A column that was read. */
class Column {
  /** @param {number} rows @param {Uint8Array | undefined} validity */
  constructor(rows, validity) {
    this.rows = rows;
    this.validity = validity;
  }

  /** The values of all rows, in order. */
  *[Symbol.iterator]() {
    for (let row = 0; row < this.rows; row += 1) yield this.get(row);
  }
}

/** Numbers, BigInts or booleans. */
class FixedColumn extends Column {
  constructor(rows, validity, values, convert) {
    super(rows, validity);
    this.values = values;
    this.convert = convert;
  }

  /** The value of a row, `null` if it has none. */
  get(row) {
    return isValid(this.validity, row) ? this.convert(this.values[row]) : null;
  }
}

/** Text. */
class TextColumn extends Column {
  constructor(rows, validity, { offsets, values }) {
    super(rows, validity);
    this.offsets = offsets;
    this.values = values;
    // Where all is ASCII, positions of bytes are positions of characters: one call decodes the column.
    const whole = DECODER.decode(values);
    this.whole = whole.length === values.length ? whole : undefined;
  }

  /** The text of a row, `null` if it has none. */
  get(row) {
    if (!isValid(this.validity, row)) return null;
    const begin = this.offsets[row];
    const end = this.offsets[row + 1];
    return this.whole === undefined
      ? DECODER.decode(this.values.subarray(begin, end))
      : this.whole.slice(begin, end);
  }
}

/** The columns that the plugin asked for. */
export class Batch {
  /** @param {{ rows: number, columns: { name: string, validity?: Uint8Array, values: { tag: string, val: any } }[] }} raw */
  constructor(raw) {
    this.rows = raw.rows;
    this.columns = new Map(raw.columns.map((column) => [column.name, column]));
  }

  /** A column of text: `text.get(row)` is a string or `null`. */
  text(name) {
    const { validity, values } = this.#column(name, 'utf8');
    return new TextColumn(this.rows, validity, values.val);
  }

  /** A column of 32-bit integers, as numbers. */
  int32(name) {
    return this.#fixed(name, 'int32');
  }

  /** A column of 64-bit integers, as BigInts. */
  int64(name) {
    return this.#fixed(name, 'int64');
  }

  /** A column of numbers. */
  float64(name) {
    return this.#fixed(name, 'float64');
  }

  /** A column of booleans. */
  boolean(name) {
    return this.#fixed(name, 'boolean', (value) => value !== 0);
  }

  /** A column of microseconds since 1970-01-01T00:00:00Z, as BigInts. */
  timestamp(name) {
    return this.#fixed(name, 'timestamp-us');
  }

  #fixed(name, type, convert = (value) => value) {
    const { validity, values } = this.#column(name, type);
    return new FixedColumn(this.rows, validity, values.val, convert);
  }

  #column(name, type) {
    const column = this.columns.get(name);
    if (column === undefined) throw new Fault('bad-input', `no column ${name} in the batch`);
    if (column.values.tag !== type) {
      throw new Fault('bad-input', `column ${name} is ${column.values.tag}, not ${type}`);
    }
    return column;
  }
}

/** The bitmap of values that are not `null`; none if all are. */
function validityOf(values) {
  let bits;
  for (let row = 0; row < values.length; row += 1) {
    if (values[row] !== null) continue;
    bits ??= new Uint8Array((values.length + 7) >> 3).fill(0xff);
    bits[row >> 3] &= ~(1 << (row & 7));
  }
  // What comes after the last row is 0.
  if (bits !== undefined && values.length % 8 !== 0) {
    bits[bits.length - 1] &= (1 << (values.length % 8)) - 1;
  }
  return bits;
}

/**
 * A column of text to return.
 *
 * @param {(string | null)[]} values one a row
 */
export function utf8(values) {
  const texts = values.map((value) => value ?? '');
  const joined = texts.join('');
  const bytes = ENCODER.encode(joined);
  const isAscii = bytes.length === joined.length;
  const offsets = new Int32Array(values.length + 1);
  for (let row = 0; row < texts.length; row += 1) {
    const length = isAscii ? texts[row].length : ENCODER.encode(texts[row]).length;
    offsets[row + 1] = offsets[row] + length;
  }
  const values_ = { tag: 'utf8', val: { offsets, values: bytes } };
  return { validity: validityOf(values), values: values_ };
}

function fixed(tag, values, array) {
  return { validity: validityOf(values), values: { tag, val: array } };
}

/** A column of 32-bit integers to return. @param {(number | null)[]} values */
export function int32(values) {
  return fixed('int32', values, Int32Array.from(values, (value) => value ?? 0));
}

/** A column of 64-bit integers to return. @param {(bigint | null)[]} values */
export function int64(values) {
  return fixed('int64', values, BigInt64Array.from(values, (value) => value ?? 0n));
}

/** A column of numbers to return. @param {(number | null)[]} values */
export function float64(values) {
  return fixed('float64', values, Float64Array.from(values, (value) => value ?? 0));
}

/** A column of booleans to return. @param {(boolean | null)[]} values */
export function boolean(values) {
  return fixed('boolean', values, Uint8Array.from(values, (value) => (value ? 1 : 0)));
}

/** A column of microseconds since 1970-01-01T00:00:00Z to return. @param {(bigint | null)[]} values */
export function timestamp(values) {
  return fixed('timestamp-us', values, BigInt64Array.from(values, (value) => value ?? 0n));
}

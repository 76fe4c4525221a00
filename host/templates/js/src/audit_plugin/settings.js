// The configuration of a plugin, checked.

import { ConfigError } from './errors.js';

/**
 * The user's settings over the defaults. Keys that have no default are refused, so that a mistyped key
 * stops the host instead of being ignored, and so is a value of another type than its default.
 *
 * @template {Record<string, unknown>} T
 * @param {Record<string, unknown>} config
 * @param {T} defaults
 * @returns {T}
 */
export function settings(config, defaults) {
  for (const [key, value] of Object.entries(config)) {
    if (!Object.hasOwn(defaults, key)) {
      throw new ConfigError(key, `unknown key; available: ${Object.keys(defaults).join(', ')}`);
    }
    if (typeOf(value) !== typeOf(defaults[key])) {
      throw new ConfigError(key, `a ${typeOf(value)} where a ${typeOf(defaults[key])} is expected`);
    }
  }
  return { ...defaults, ...config };
}

/**
 * Refuses a setting that is not a whole number of a range.
 *
 * @param {string} key
 * @param {number} value
 */
export function inRange(key, value, min, max) {
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new ConfigError(key, `not a whole number from ${min} to ${max}`);
  }
}

function typeOf(value) {
  if (Array.isArray(value)) return 'list';
  return value === null ? 'null' : typeof value;
}

// The glue between a plugin's class and the exports of the component. It runs in the host only: tests
// use testing.js instead.

import * as crypto from 'audit-host:plugin/crypto@0.1.1';
import * as log from 'audit-host:plugin/log@0.1.1';

import { Batch } from './columns.js';
import { ConfigError, Fault, StateError } from './errors.js';

const ENCODER = new TextEncoder();
const DECODER = new TextDecoder();

/** The fields of what a plugin returns. */
const JUDGEMENT = ['columns', 'quarantined', 'alerts'];
const QUARANTINED = ['row', 'reason'];
const ALERT = [
  'rule', 'severity', 'key', 'windowStart', 'firstEvent', 'lastEvent', 'count', 'events', 'message', 'labels',
];

/** What a plugin may ask of the host. Tests give a plugin an object with the same functions. */
const host = {
  log: {
    debug: (message) => log.write('debug', message),
    info: (message) => log.write('info', message),
    warn: (message) => log.write('warn', message),
    error: (message) => log.write('error', message),
  },
  /** Whether the user granted the key of that name. */
  hasKey: (key) => crypto.hasKey(key),
  /** HMAC-SHA-256 under a key that stays in the host, of a column made by `utf8`: 32 bytes a value. */
  keyedHash: (key, column) => crypto.keyedHash(key, column.values.val),
};

// There is no terminal here: what a library says goes to the host's log.
globalThis.console = {
  ...globalThis.console,
  log: (...args) => host.log.info(args.join(' ')),
  info: (...args) => host.log.info(args.join(' ')),
  debug: (...args) => host.log.debug(args.join(' ')),
  warn: (...args) => host.log.warn(args.join(' ')),
  error: (...args) => host.log.error(args.join(' ')),
};

/** What the world of `wit/` asks for, answered by a class as `plugin.js` has it. */
export function exportPlugin(Plugin) {
  let plugin;
  const configured = () => {
    if (plugin === undefined) throw new Fault('other', 'a call before configure');
    return plugin;
  };
  return {
    lifecycle: {
      describe: () => located('describe', () => describe(Plugin.description)),
      configure(config) {
        return guarded(asConfigError, () => {
          plugin = new Plugin(parse(config), host);
          return { reads: plugin.reads, writes: (plugin.writes ?? []).map(outputColumn) };
        });
      },
    },
    judge: {
      process(context, batch) {
        return guarded(asFault, () => judgement(configured().process(new Batch(batch), context)));
      },
    },
    state: {
      snapshot() {
        if (plugin?.snapshot === undefined) return new Uint8Array(0);
        return located('snapshot', () => ENCODER.encode(JSON.stringify(plugin.snapshot())));
      },
      restore(version, bytes) {
        return guarded(asStateError, () => restore(Plugin.description, configured(), version, bytes));
      },
    },
  };
}

function describe(description) {
  return {
    version: '0.1.0',
    keyColumns: [],
    stateVersion: 0,
    ...description,
    configSchema: JSON.stringify(description.configSchema ?? { type: 'object' }),
  };
}

function parse(config) {
  const parsed = JSON.parse(config);
  if (parsed === null || typeof parsed !== 'object' || Array.isArray(parsed)) {
    throw new ConfigError('config', 'a configuration is an object');
  }
  return parsed;
}

function outputColumn({ name, type = 'utf8', preservesEquality = false }) {
  return { name, type, preservesEquality };
}

function judgement(judged = {}) {
  // A misspelled field would be lost without a word.
  only(judged, JUDGEMENT, 'what process returns');
  const { columns = {}, quarantined = [], alerts = [] } = judged;
  for (const alert of alerts) only(alert, ALERT, 'an alert');
  for (const row of quarantined) only(row, QUARANTINED, 'a quarantined row');
  return {
    columns: Object.entries(columns).map(([name, column]) => ({ name, ...column })),
    quarantined,
    alerts: alerts.map((alert) => ({ events: [], ...alert, key: fields(alert.key), labels: fields(alert.labels) })),
  };
}

function only(object, known, what) {
  const unknown = Object.keys(object).find((name) => !known.includes(name));
  if (unknown === undefined) return;
  throw new Fault('other', `${what} has the unknown field "${unknown}"; known: ${known.join(', ')}`);
}

function fields(object = {}) {
  return Object.entries(object).map(([name, value]) => ({ name, value: String(value) }));
}

function restore(description, plugin, version, bytes) {
  if (plugin.restore === undefined) {
    if (bytes.length > 0) throw new StateError('corrupt', 'a plugin without state was given one');
    return;
  }
  // A `restore` that does not ask for the version knows only one.
  const known = plugin.restore.length < 2 ? version === description.stateVersion : true;
  if (!known) throw new StateError('unsupported-version');
  plugin.restore(JSON.parse(DECODER.decode(bytes)), version);
}

/** Calls `work`, which cannot report an error: what it throws becomes a trap, and the log says where. */
function located(name, work) {
  try {
    return work();
  } catch (error) {
    host.log.error(`${name}: ${place(error)}`);
    throw error;
  }
}

/** Calls `work`; what it throws becomes an error of the contract, never a trap without a word. */
function guarded(convert, work) {
  try {
    return work();
  } catch (error) {
    // Only plain objects are taken for errors of the contract.
    throw convert(error);
  }
}

function asConfigError(error) {
  if (error instanceof ConfigError) return { key: error.key, message: error.message };
  if (error instanceof SyntaxError) return { key: 'config', message: 'not JSON' };
  return { key: 'config', message: place(error) };
}

function asFault(error) {
  if (error instanceof Fault) return { tag: error.kind, val: error.message };
  return { tag: 'other', val: place(error) };
}

function asStateError(error) {
  if (error instanceof StateError && error.kind === 'unsupported-version') return { tag: error.kind };
  return { tag: 'corrupt', val: error instanceof StateError ? error.message : place(error) };
}

/** The kind of an error and the lines that it came through, without its message: that may hold values. */
function place(error) {
  const lines = String(error?.stack ?? '').split('\n').filter((line) => line.includes('.js:'));
  return `${error?.name ?? typeof error} at ${lines.slice(0, 4).join(' < ')}`;
}

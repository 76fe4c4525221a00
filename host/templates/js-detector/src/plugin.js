// Raises an alert when a user has more events in a window of time than allowed.
//
// Windows lie side by side and one is open at a time: the state is one count a user, and bounded. An
// event that comes after its window was closed is not counted.

import { StateError } from './audit_plugin/errors.js';
import { inRange, settings } from './audit_plugin/settings.js';

/** The newest events that an alert shows. */
const EVENTS_MAX = 10;

export class Plugin {
  static description = {
    name: '{{name}}',
    version: '0.1.0',
    kind: 'detector',
    keyColumns: ['user_id'],
    // Raise it when the format of `snapshot` changes.
    stateVersion: 1,
    configSchema: {
      type: 'object',
      additionalProperties: false,
      properties: {
        threshold: { type: 'integer', minimum: 1, maximum: 1000000, default: 100 },
        'window-seconds': { type: 'integer', minimum: 1, maximum: 86400, default: 3600 },
        'max-users': { type: 'integer', minimum: 1, maximum: 100000, default: 10000 },
      },
    },
  };

  /** The columns that `process` needs. */
  reads = ['user_id', 'event_timestamp', 'source_partition', 'source_offset'];

  /** @param {object} config as the user wrote it */
  constructor(config, host) {
    const defaults = { threshold: 100, 'window-seconds': 3600, 'max-users': 10000 };
    this.settings = settings(config, defaults);
    inRange('threshold', this.settings.threshold, 1, 1_000_000);
    inRange('window-seconds', this.settings['window-seconds'], 1, 86_400);
    inRange('max-users', this.settings['max-users'], 1, 100_000);
    this.host = host;
    /** Where the open window starts, in microseconds. */
    this.window = 0n;
    /** The events of each user in the window. @type {Map<string, Tally>} */
    this.users = new Map();
  }

  /** Judges one batch; the same batches in the same order give the same alerts. */
  process(batch, context) {
    // All columns first: a fault must leave the state as it was.
    const users = batch.text('user_id');
    const times = batch.timestamp('event_timestamp');
    const partitions = batch.int32('source_partition');
    const offsets = batch.int64('source_offset');
    const alerts = [];
    let uncounted = 0;
    for (let row = 0; row < batch.rows; row += 1) {
      const user = users.get(row);
      const stamped = times.get(row);
      if (user === null || stamped === null) continue;
      // Event times come from clients: none is believed to be ahead of Kafka's clock, or one wrong
      // event would close the window for all others.
      const time = stamped < context.clock ? stamped : context.clock;
      if (!this.open(time)) continue;
      const tally = this.tally(user, time);
      if (tally === undefined) {
        uncounted += 1;
        continue;
      }
      tally.add(time, partitions.get(row), offsets.get(row));
      // Once a window: a second alert of the same rule, key and window is the same alert.
      if (tally.count === this.settings.threshold + 1) alerts.push(this.alert(user, tally));
    }
    if (uncounted > 0) {
      this.host.log.warn(`${uncounted} events of further users were not counted: raise max-users`);
    }
    return { alerts };
  }

  /** Whether the window of that time is open; a later one closes the one before. */
  open(time) {
    const length = BigInt(this.settings['window-seconds']) * 1_000_000n;
    const rest = time % length;
    const window = time - (rest < 0n ? rest + length : rest);
    if (window > this.window) {
      this.window = window;
      this.users.clear();
    }
    return window === this.window;
  }

  /** The count of a user; none where there is no room for another one. */
  tally(user, time) {
    let tally = this.users.get(user);
    if (tally === undefined && this.users.size < this.settings['max-users']) {
      tally = new Tally(time);
      this.users.set(user, tally);
    }
    return tally;
  }

  alert(user, tally) {
    const { threshold, 'window-seconds': seconds } = this.settings;
    return {
      rule: 'many-events',
      severity: 'medium',
      key: { user_id: user },
      windowStart: this.window,
      firstEvent: tally.first,
      lastEvent: tally.last,
      count: BigInt(tally.count),
      events: [...tally.events],
      message: `${tally.count} events of one user within ${seconds} s, more than ${threshold} allowed`,
    };
  }

  /** The state as JSON has it. Users are sorted, so that equal states give equal bytes. */
  snapshot() {
    const users = [...this.users].sort(([a], [b]) => (a < b ? -1 : 1));
    return { window: String(this.window), users: users.map(([user, tally]) => [user, tally.write()]) };
  }

  /**
   * Takes a state over: all of it, or none where anything is wrong with it.
   *
   * @param {number} version the `stateVersion` of the plugin that wrote it: to read an older format too, tell
   *   them apart here
   */
  restore({ window, users }, version) {
    if (version !== Plugin.description.stateVersion) throw new StateError('unsupported-version');
    if (!Array.isArray(users)) throw new StateError('corrupt', 'no list of users');
    const restored = new Map(users.map(([user, tally]) => [user, Tally.read(tally)]));
    this.window = BigInt(window);
    this.users = restored;
  }
}

/** The events of one user in the window. */
class Tally {
  constructor(time) {
    this.count = 0;
    this.first = time;
    this.last = time;
    this.events = [];
  }

  add(time, partition, offset) {
    this.count += 1;
    if (time < this.first) this.first = time;
    if (time > this.last) this.last = time;
    if (partition === null || offset === null) return;
    if (this.events.length === EVENTS_MAX) this.events.shift();
    this.events.push({ partition, offset });
  }

  write() {
    const events = this.events.map(({ partition, offset }) => [partition, String(offset)]);
    return [this.count, String(this.first), String(this.last), events];
  }

  static read([count, first, last, events]) {
    if (!Number.isSafeInteger(count) || events.length > EVENTS_MAX) {
      throw new StateError('corrupt', 'not a count of events');
    }
    const tally = new Tally(BigInt(first));
    tally.count = count;
    tally.last = BigInt(last);
    tally.events = events.map(([partition, offset]) => ({ partition, offset: BigInt(offset) }));
    return tally;
  }
}

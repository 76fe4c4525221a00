// The rule by itself, in Node.js: `npm test`.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { int32, int64, timestamp, utf8 } from '../src/audit_plugin/columns.js';
import { batch, TestHost } from '../src/audit_plugin/testing.js';
import { Plugin } from '../src/plugin.js';

const CONFIG = { threshold: 2, 'window-seconds': 60, 'max-users': 2 };
const VERSION = Plugin.description.stateVersion;
const CONTEXT = { topic: 'audit_events', clock: 600_000_000n };

/** Events of users at seconds of one minute. */
function events(list) {
  return batch({
    user_id: utf8(list.map(([user]) => user)),
    event_timestamp: timestamp(list.map(([, second]) => BigInt(second) * 1_000_000n)),
    source_partition: int32(list.map(() => 0)),
    source_offset: int64(list.map((_, row) => BigInt(row))),
  });
}

function alerts(plugin, list) {
  return plugin.process(events(list), CONTEXT).alerts;
}

test('more than the threshold raises one alert', () => {
  const plugin = new Plugin(CONFIG, new TestHost());
  assert.deepEqual(alerts(plugin, [['ann', 1], ['bob', 2], ['ann', 3]]), []);
  const raised = alerts(plugin, [['ann', 4], ['ann', 5], ['bob', 6]]);
  assert.equal(raised.length, 1);
  assert.deepEqual([raised[0].count, raised[0].key], [3n, { user_id: 'ann' }]);
  // The next window counts anew.
  assert.deepEqual(alerts(plugin, [['ann', 61], ['ann', 62]]), []);
});

test('a restart changes nothing', () => {
  const list = [['ann', 1], ['ann', 2], ['bob', 3], ['ann', 4], ['bob', 5], ['bob', 6]];
  for (let cut = 1; cut < list.length; cut += 1) {
    const [before, after] = [list.slice(0, cut), list.slice(cut)];
    const whole = new Plugin(CONFIG, new TestHost());
    const expected = [...alerts(whole, before), ...alerts(whole, after)];

    const first = new Plugin(CONFIG, new TestHost());
    const seen = alerts(first, before);
    const second = new Plugin(CONFIG, new TestHost());
    second.restore(JSON.parse(JSON.stringify(first.snapshot())), VERSION);
    seen.push(...alerts(second, after));
    assert.deepEqual(seen, expected, `cut at ${cut}`);
    assert.deepEqual(second.snapshot(), whole.snapshot(), `cut at ${cut}`);
  }
});

test('damaged state is refused', () => {
  const plugin = new Plugin(CONFIG, new TestHost());
  for (const damaged of [{}, { window: '0', users: [['ann', ['many', '0', '0', []]]] }, { window: 'x', users: [] }]) {
    assert.throws(() => plugin.restore(damaged, VERSION));
  }
  assert.throws(() => plugin.restore(plugin.snapshot(), VERSION + 1), { kind: 'unsupported-version' });
});

test('the state is bounded', () => {
  const host = new TestHost();
  const plugin = new Plugin(CONFIG, host);
  const crowd = [['ann', 1], ['bob', 1], ['cid', 1], ['cid', 1], ['cid', 1]];
  assert.deepEqual(alerts(plugin, crowd), []);
  assert.equal(host.lines.length, 1);
});

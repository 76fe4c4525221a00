// The rule by itself, in Node.js: `npm test`.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { utf8 } from '../src/audit_plugin/columns.js';
import { batch, values } from '../src/audit_plugin/testing.js';
import { Plugin } from '../src/plugin.js';

function masked(config, emails) {
  return values(new Plugin(config).process(batch({ user_email: utf8(emails) })), 'user_email');
}

test('the first characters stay', () => {
  const emails = ['alice@example.com', null, '', 'éa@example.com'];
  assert.deepEqual(masked({}, emails), ['a***', null, '***', 'é***']);
  assert.deepEqual(masked({ keep: 0 }, ['alice']), ['***']);
});

test('a wrong configuration is refused by its key', () => {
  assert.throws(() => new Plugin({ kepe: 1 }), { key: 'kepe' });
  assert.throws(() => new Plugin({ keep: 17 }), { key: 'keep' });
  assert.throws(() => new Plugin({ keep: '1' }), { key: 'keep' });
});

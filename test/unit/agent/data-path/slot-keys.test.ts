import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSlotKeys } from '../../../../src/agent/data-path/slot-keys.ts';

test('slot keys: the accepted versions and no others', () => {
  const keys = createSlotKeys();
  assert.equal(keys.accepts('Bearer '), false);
  keys.replace([
    { version: 2, key: 'bb' },
    { version: 1, key: 'aa' },
  ]);
  assert.deepEqual(keys.versions(), [1, 2]);
  for (const key of ['aa', 'bb']) assert.equal(keys.accepts(`Bearer ${key}`), true);
  for (const wrong of [undefined, '', 'aa', 'Bearer', 'Bearer ', 'Bearer ab', 'Bearer aabb', 'Basic aa']) {
    assert.equal(keys.accepts(wrong), false, String(wrong));
  }
  keys.replace([{ version: 2, key: 'bb' }]);
  assert.equal(keys.accepts('Bearer aa'), false);
});

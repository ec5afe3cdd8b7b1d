import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { pickSlot } from '../../../../src/engine/llama/slot-choice.ts';

test('no free slot, no choice', () => {
  assert.equal(pickSlot([]), undefined);
});

test('the slot that holds most of the prompt wins over the one unused for longest', () => {
  const choice = pickSlot([
    { index: 0, heldPrefix: 0, lastUsed: 0 },
    { index: 1, heldPrefix: 30, lastUsed: 9 },
  ]);
  assert.equal(choice?.index, 1);
});

test('property: no free slot holds more, and of those that hold as much none is unused for longer', () => {
  const free = fc
    .array(fc.record({ heldPrefix: fc.nat(5), lastUsed: fc.nat(5) }), { minLength: 1, maxLength: 16 })
    .map((rows) => rows.map((row, index) => ({ index, ...row })));
  fc.assert(
    fc.property(free, (rows) => {
      const choice = pickSlot(rows);
      assert.ok(choice);
      for (const row of rows) {
        assert.ok(row.heldPrefix <= choice.heldPrefix);
        if (row.heldPrefix === choice.heldPrefix) assert.ok(row.lastUsed >= choice.lastUsed);
      }
    }),
  );
});

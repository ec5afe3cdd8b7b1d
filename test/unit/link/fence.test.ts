import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { comparePairs, createFence } from '../../../src/link/fence.ts';

const pair = fc.record({ epoch: fc.nat(50), seq: fc.nat(1000) });
const message = fc.record({ type: fc.constantFrom('target', 'withdrawn', 'table'), epoch: fc.nat(5), seq: fc.nat(8) });

test('a new epoch always wins, whatever came before', () => {
  fc.assert(
    fc.property(fc.array(pair, { maxLength: 50 }), fc.nat(5), (before, seq) => {
      const fence = createFence();
      for (const earlier of before) fence.admit({ type: 'target', ...earlier });
      const next = { type: 'target', epoch: fence.highest().epoch + 1, seq };
      assert.equal(fence.admit(next), true);
      assert.deepEqual(fence.highest(), { epoch: next.epoch, seq });
      for (const earlier of before) assert.equal(fence.admit({ type: 'target', ...earlier }), false);
    }),
  );
});

test('what is let through never goes down, and never repeats within a type', () => {
  fc.assert(
    fc.property(fc.array(message, { maxLength: 60 }), (messages) => {
      const fence = createFence();
      const passed = messages.filter((each) => fence.admit(each));
      for (const [index, next] of passed.entries()) {
        const before = passed[index - 1];
        if (before !== undefined) assert.ok(comparePairs(before, next) <= 0);
      }
      const names = passed.map((each) => `${each.type} ${each.epoch} ${each.seq}`);
      assert.equal(new Set(names).size, names.length);
    }),
  );
});

test('a withdrawn with the pair of its target passes, a second target with it does not', () => {
  const fence = createFence();
  assert.equal(fence.admit({ type: 'target', epoch: 3, seq: 7 }), true);
  assert.equal(fence.admit({ type: 'withdrawn', epoch: 3, seq: 7 }), true);
  assert.equal(fence.admit({ type: 'target', epoch: 3, seq: 7 }), false);
  assert.equal(fence.admit({ type: 'target', epoch: 3, seq: 6 }), false);
  assert.equal(fence.admit({ type: 'withdrawn', epoch: 2, seq: 99 }), false);
});

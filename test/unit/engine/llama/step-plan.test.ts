import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type BusySlot, planStep } from '../../../../src/engine/llama/step-plan.ts';

const bounds = { chunk: 128, prefillsMax: 2 };
const slot = (index: number, unread: number, serial = index, paused = false): BusySlot => ({
  index,
  unread,
  serial,
  paused,
});

test('every answering slot gets one token, a paused one none', () => {
  const works = planStep([slot(0, 0), slot(1, 0, 1, true), slot(2, 0)], bounds);
  assert.deepEqual(
    works.map((work) => work.index),
    [0, 2],
  );
});

test('a long prompt gets the chunk and is not sampled yet', () => {
  assert.deepEqual(planStep([slot(0, 1000)], bounds), [{ index: 0, read: 128, sample: false }]);
});

test('the last chunk ends with a token', () => {
  assert.deepEqual(planStep([slot(0, 128)], bounds), [{ index: 0, read: 128, sample: true }]);
});

test('a short prompt beside a long one is read whole and leaves the rest of the chunk', () => {
  const works = planStep([slot(0, 1000), slot(1, 20)], bounds);
  assert.deepEqual(works, [
    { index: 1, read: 20, sample: true },
    { index: 0, read: 108, sample: false },
  ]);
});

test('two prompts at most are read at once, the oldest first', () => {
  const works = planStep([slot(0, 50, 9), slot(1, 50, 3), slot(2, 50, 5)], bounds);
  assert.deepEqual(
    works.map((work) => work.index),
    [1, 2],
  );
});

const slots = fc
  .array(fc.record({ unread: fc.nat(2000), serial: fc.nat(1000), paused: fc.boolean() }), { maxLength: 32 })
  .map((rows) => rows.map((row, index) => ({ index, ...row })));

test('property: a step keeps the chunk, and works on something whenever it can', () => {
  fc.assert(
    fc.property(slots, fc.integer({ min: 2, max: 512 }), fc.integer({ min: 1, max: 2 }), (busy, chunk, prefillsMax) => {
      const works = planStep(busy, { chunk, prefillsMax });
      const read = works.reduce((sum, work) => sum + work.read, 0);
      assert.ok(read <= chunk);
      assert.ok(works.filter((work) => work.read > 0).length <= prefillsMax);
      assert.equal(new Set(works.map((work) => work.index)).size, works.length);
      for (const work of works) {
        const unread = busy[work.index]?.unread ?? -1;
        assert.ok(work.read <= unread);
        assert.equal(work.sample, work.read === unread);
      }
      const canWork = busy.some((row) => row.unread > 0 || !row.paused);
      assert.equal(works.length > 0, canWork);
    }),
  );
});

// Starts from nothing are counted once each, whether they wait for their slot first, land between two looks, or are found by a
// controller that has just begun.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createColdStarts } from '../../../../../src/core/plan/scale/cold-starts.ts';

const staged = (ageMs: number) => ({ from: 'Staged' as const, ageMs });

test('one that waits and then climbs counts once, and is forgotten after a minute', () => {
  const starts = createColdStarts();
  assert.equal(starts.look(0, [staged(0)]), 1);
  assert.equal(starts.look(1000, [staged(0)]), 1);
  assert.equal(starts.look(2000, [staged(500)]), 1);
  assert.equal(starts.look(3000, [staged(1500)]), 1);
  assert.equal(starts.look(60_500, [staged(59_000)]), 0);
});

test('one that lands while another one begins hides nothing', () => {
  const starts = createColdStarts();
  starts.look(0, [staged(0)]);
  starts.look(1000, [staged(900)]);
  assert.equal(starts.look(2000, [staged(400)]), 2);
});

test('one that begins counts what climbs already by its age, and wakes not at all', () => {
  const starts = createColdStarts();
  const pending = [staged(90_000), staged(10_000), { from: 'Asleep' as const, ageMs: 100 }];
  assert.equal(starts.look(1_000_000, pending), 1);
});

test('never more than there were, and none is missed, however it is looked at', () => {
  const start = fc.record({
    atMs: fc.nat(100_000),
    waitsMs: fc.nat(20_000),
    climbsMs: fc.integer({ min: 5000, max: 90_000 }),
  });
  const gaps = fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 80 });
  fc.assert(
    fc.property(fc.array(start, { maxLength: 20 }), gaps, (all, steps) => {
      const starts = createColdStarts();
      let nowMs = 0;
      for (const step of steps) {
        nowMs += step;
        const open = all.filter(({ atMs, waitsMs, climbsMs }) => atMs <= nowMs && nowMs < atMs + waitsMs + climbsMs);
        const counted = starts.look(
          nowMs,
          open.map(({ atMs, waitsMs }) => staged(Math.max(0, nowMs - atMs - waitsMs))),
        );
        // Each is seen at the first look after its order, which is one step later at most.
        const within = (ms: number) => all.filter(({ atMs }) => atMs <= nowMs && atMs > nowMs - ms).length;
        assert.ok(counted <= within(63_001) && counted >= within(57_000), `${counted}, and ${within(60_000)} began`);
      }
    }),
  );
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ARRIVAL_STEP_MS, ARRIVAL_STEPS, createArrivalHistory } from '../../../../src/core/route/arrivals.ts';

test('counts are those of the last steps, oldest first', () => {
  const gaps = fc.array(fc.integer({ min: 0, max: 3 * ARRIVAL_STEP_MS }), { maxLength: 200 });
  fc.assert(
    fc.property(gaps, (waits) => {
      const history = createArrivalHistory();
      const times: number[] = [];
      let nowMs = 0;
      for (const waitMs of waits) {
        nowMs += waitMs;
        times.push(nowMs);
        history.add(nowMs, 7);
      }
      const newest = Math.floor(nowMs / ARRIVAL_STEP_MS);
      const expected = Array.from({ length: ARRIVAL_STEPS }, (_, index) => {
        const step = newest - ARRIVAL_STEPS + 1 + index;
        return times.filter((timeMs) => Math.floor(timeMs / ARRIVAL_STEP_MS) === step).length;
      });
      assert.deepEqual(history.counts(nowMs), expected);
      assert.deepEqual(
        history.tokens(nowMs),
        expected.map((count) => 7 * count),
      );
    }),
  );
});

test('a long silence forgets everything', () => {
  const history = createArrivalHistory();
  history.add(5, 1);
  assert.deepEqual(history.counts(ARRIVAL_STEP_MS * ARRIVAL_STEPS * 7), new Array(ARRIVAL_STEPS).fill(0));
});

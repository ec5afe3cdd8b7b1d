import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addSetback, noSetbacks, waitAfterSetbacks } from '../../../../src/core/plan/slot-setbacks.ts';

test('the first is replaced at once, then each wait is twice as long, up to five minutes', () => {
  let setbacks = noSetbacks;
  const waits = Array.from({ length: 9 }, () => {
    setbacks = addSetback(setbacks, 1000);
    return waitAfterSetbacks(setbacks, 1000) / 1000;
  });
  assert.deepEqual(waits, [0, 10, 20, 40, 80, 160, 300, 300, 300]);
  assert.equal(waitAfterSetbacks(setbacks, 301_000), 0);
  assert.equal(waitAfterSetbacks(noSetbacks, 0), 0);
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { createRetryBudget, doublingMs, pickBackoffMs } from '../../../../src/core/route/retry.ts';
import { createRng } from '../../../../src/lib/rng.ts';

describe('the retry budget', () => {
  test('lets a tenth of the requests be tried again, and a few in any case', () => {
    const budget = createRetryBudget();
    let retries = 0;
    for (let request = 0; request < 1000; request += 1) {
      budget.deposit();
      if (budget.spend(0)) retries += 1;
    }
    assert.ok(retries >= 100 && retries <= 104, String(retries));
  });

  test('fills up to its reserve with time, and no further', () => {
    const budget = createRetryBudget();
    while (budget.spend(0));
    assert.equal(budget.spend(1000), false);
    let retries = 0;
    while (budget.spend(1_000_000)) retries += 1;
    assert.equal(retries, 3);
  });
});

test('backoff doubles up to its bound', () => {
  const bounds = { baseMs: 100, delayMsMax: 1000 };
  assert.deepEqual(
    [0, 1, 2, 3, 4, 5, 500].map((failures) => doublingMs(failures, bounds)),
    [100, 100, 200, 400, 800, 1000, 1000],
  );
  fc.assert(
    fc.property(fc.nat(1000), fc.nat(), (failures, seed) => {
      const ms = pickBackoffMs(createRng(seed), failures, bounds);
      assert.ok(ms >= 0 && ms <= doublingMs(failures, bounds));
    }),
  );
});

// What the demand meter and the hold remember, against sums done by hand.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { createDemandMeter, METER_SPAN_MS } from '../../../../../src/core/plan/scale/demand-meter.ts';
import { createHold } from '../../../../../src/core/plan/scale/hold.ts';

describe('what came lately', () => {
  test('a window counts its seconds and no others', () => {
    const meter = createDemandMeter(0);
    meter.add(500, { requests: 1, promptTokens: 100 });
    meter.add(16_500, { requests: 2, promptTokens: 300 });
    assert.deepEqual(meter.over(16_900, 15_000), { requests: 2, promptTokens: 300 });
    assert.deepEqual(meter.over(16_900, 120_000), { requests: 3, promptTokens: 400 });
  });

  test('late news is counted where it belongs, and too late news not at all', () => {
    const meter = createDemandMeter(0);
    meter.add(1_000_000, { requests: 1, promptTokens: 10 });
    meter.add(900_000, { requests: 1, promptTokens: 20 });
    meter.add(1000, { requests: 1, promptTokens: 40 });
    assert.equal(meter.over(1_000_000, 15_000).promptTokens, 10);
    assert.equal(meter.over(1_000_000, METER_SPAN_MS).promptTokens, 30);
  });

  test('the rank of windows: one burst in many is the top one', () => {
    const meter = createDemandMeter(0);
    for (let second = 0; second < 300; second += 1) meter.add(second * 1000, { requests: 1, promptTokens: 10 });
    meter.add(150_000, { requests: 1, promptTokens: 5000 });
    const now = 299_500;
    assert.equal(meter.promptTokensAtRank(now, 2000, 0.5), 20);
    assert.equal(meter.promptTokensAtRank(now, 2000, 0.999), 5020);
    assert.equal(meter.promptTokensAtRank(now, 2000, 0.9), 20);
  });

  test('it knows since when it knows', () => {
    const meter = createDemandMeter(50_000);
    assert.equal(meter.knownMs(60_000), 10_000);
    meter.add(20_000, { requests: 1, promptTokens: 1 });
    assert.equal(meter.knownMs(60_000), 40_000);
    assert.equal(meter.knownMs(10_000_000), METER_SPAN_MS);
  });

  test('the same as adding up all of it', () => {
    const arrivals = fc.array(fc.record({ atMs: fc.nat(900_000), promptTokens: fc.nat(1000) }), { maxLength: 60 });
    fc.assert(
      fc.property(arrivals, fc.integer({ min: 1, max: 600 }), (list, seconds) => {
        const sorted = [...list].sort((a, b) => a.atMs - b.atMs);
        const meter = createDemandMeter(0);
        for (const { atMs, promptTokens } of sorted) meter.add(atMs, { requests: 1, promptTokens });
        const now = 900_000;
        const first = Math.floor(now / 1000) - seconds + 1;
        const within = sorted.filter(({ atMs }) => Math.floor(atMs / 1000) >= first);
        const sum = within.reduce((tokens, one) => tokens + one.promptTokens, 0);
        assert.deepEqual(meter.over(now, seconds * 1000), { requests: within.length, promptTokens: sum });
      }),
    );
  });
});

test('a hold is the largest value of its span, whatever came in between', () => {
  const values = fc.array(fc.tuple(fc.nat(3000), fc.integer({ min: 0, max: 50 })), { minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(values, (steps) => {
      const hold = createHold(5000);
      const seen: { atMs: number; value: number }[] = [];
      let now = 0;
      for (const [gap, value] of steps) {
        now += gap;
        seen.push({ atMs: now, value });
        const expected = Math.max(...seen.filter(({ atMs }) => atMs > now - 5000).map((one) => one.value));
        assert.equal(hold.add(now, value), expected);
      }
    }),
  );
});

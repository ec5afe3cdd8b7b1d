// Generated loads: the same seed gives the same load, another seed another one, and the rate is the one that was asked for.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRng } from '../../../src/lib/rng.ts';
import { drawGap, drawRestOfGap } from '../../../src/sim/load/arrivals.ts';
import { generateLoad, loadNames } from '../../../src/sim/load/generate.ts';

for (const name of loadNames) {
  test(`${name}: its seed makes it, in order of time, at about the rate asked for`, () => {
    const options = { seed: 7, ratePerSecond: 4, models: 10, spanMs: 7_200_000 };
    const { requests } = generateLoad(name, options);
    assert.deepEqual(generateLoad(name, options).requests, requests);
    assert.notDeepEqual(generateLoad(name, { ...options, seed: 8 }).requests.slice(0, 50), requests.slice(0, 50));
    assert.ok(requests.every(({ atMs }, index) => atMs >= (requests[index - 1]?.atMs ?? 0) && atMs < options.spanMs));
    const rate = requests.length / (options.spanMs / 1000);
    assert.ok(rate > 2 && rate < 6, `${name} has ${rate} requests a second`);
  });
}

test('a step is ten times as much for a third of the time', () => {
  const spanMs = 3_600_000;
  const { requests } = generateLoad('step', { seed: 3, ratePerSecond: 4, spanMs });
  const inThird = (third: number) => requests.filter(({ atMs }) => Math.floor(atMs / (spanMs / 3)) === third).length;
  const ratio = inThird(1) / inThird(0);
  assert.ok(ratio > 8 && ratio < 12, `the step is ${ratio} times`);
});

test('the first model of many has about ten times the requests of the tenth', () => {
  const counts = new Map<string, number>();
  for (let seed = 0; seed < 10; seed += 1) {
    const { requests } = generateLoad('zipf', { seed, models: 20, ratePerSecond: 10, spanMs: 7_200_000 });
    for (const { model } of requests) counts.set(model, (counts.get(model) ?? 0) + 1);
  }
  const ratio = (counts.get('model-001') ?? 0) / (counts.get('model-010') ?? 1);
  assert.ok(ratio > 7 && ratio < 14, `${ratio} times`);
});

test('gaps have the mean and the variation that were asked for, and rests of gaps are longer for clustered ones', () => {
  const rng = createRng(5);
  const gaps = Array.from({ length: 60_000 }, () => drawGap(2, rng));
  const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
  const variance = gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length;
  assert.ok(Math.abs(mean - 1) < 0.05, `mean ${mean}`);
  assert.ok(Math.abs(Math.sqrt(variance) - 2) < 0.15, `deviation ${Math.sqrt(variance)}`);
  const rests = Array.from({ length: 60_000 }, () => drawRestOfGap(2, rng));
  // Half of (1 + variation squared), by renewal theory.
  const rest = rests.reduce((sum, gap) => sum + gap, 0) / rests.length;
  assert.ok(Math.abs(rest - 2.5) < 0.15, `rest ${rest}`);
});

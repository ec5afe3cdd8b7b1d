// The times of the simulated engine: as published at life speed, faster in proportion, spread a little, the same again.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { simulatedProfileNames } from '../../../../src/api/simulated-weights.ts';
import { namedRng, spreadFactor } from '../../../../src/engine/sim/chance.ts';
import { simulatedProfiles } from '../../../../src/engine/sim/profile.ts';
import { createTimes } from '../../../../src/engine/sim/times.ts';

const life = { profile: 'Size70B', speedPercent: 100, seed: 1, incarnation: 1 } as const;

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

describe('times', () => {
  test('a step has the published form: base, sequences, prompt tokens', () => {
    const times = createTimes(life);
    const step = (sequences: number, promptTokens: number) =>
      median(Array.from({ length: 501 }, () => times.stepMs({ sequences, promptTokens })));
    assert.ok(Math.abs(step(1, 0) - 29.85) < 0.5);
    assert.ok(Math.abs(step(64, 0) - 51.9) < 1);
    assert.ok(Math.abs(step(0, 2048) - 215.9) < 4);
  });

  test('every profile is slower than the smaller one, and level 2 than level 1', () => {
    const figures = simulatedProfileNames.map((name) => simulatedProfiles[name]);
    for (const [at, figure] of figures.entries()) {
      assert.ok(figure.wakeLevel1Ms < figure.wakeLevel2Ms && figure.wakeLevel2Ms < figure.loadMs);
      const smaller = figures[at - 1];
      if (smaller === undefined) continue;
      for (const key of Object.keys(figure) as (keyof typeof figure)[]) assert.ok(smaller[key] < figure[key], key);
    }
  });

  test('ten times the speed takes a tenth', () => {
    const slow = createTimes(life);
    const fast = createTimes({ ...life, speedPercent: 1000 });
    for (const phase of ['loadMs', 'sleepMs'] as const) assert.ok(Math.abs(slow[phase]() / fast[phase]() - 10) < 1e-9);
    assert.ok(Math.abs(slow.wakeMs(1) / fast.wakeMs(1) - 10) < 1e-9);
    assert.equal(fast.scaled(50), 5);
  });

  test('the same seed and incarnation give the same times, another one others', () => {
    const draw = (given: { incarnation?: number; seed?: number }) => {
      const times = createTimes({ ...life, ...given });
      return [times.loadMs(), times.wakeMs(1), times.stepMs({ sequences: 1, promptTokens: 0 })];
    };
    assert.deepEqual(draw({}), draw({}));
    assert.notDeepEqual(draw({}), draw({ incarnation: 2 }));
    assert.notDeepEqual(draw({}), draw({ seed: 2 }));
  });

  test('the spread is positive, finite and around 1', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const factor = spreadFactor(namedRng('test', seed), 0.12);
        assert.ok(factor > 0.4 && factor < 2.5, String(factor));
      }),
    );
    const rng = namedRng('median');
    assert.ok(Math.abs(median(Array.from({ length: 2001 }, () => spreadFactor(rng, 0.5))) - 1) < 0.08);
  });
});

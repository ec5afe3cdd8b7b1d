// What the scaler learns: the cost of steps, the length of answers, the time of climbs. And what it does not take for truth.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { climbLeftMs, guessClimbs, learnClimbTime } from '../../../../../src/core/plan/scale/climb-history.ts';
import { readMs, type StepCost, sequencesAtPace, writeMs } from '../../../../../src/core/plan/scale/cost.ts';
import { type LearnedCost, learnStep, startCost } from '../../../../../src/core/plan/scale/learn-cost.ts';
import { guessOutput, learnOutput } from '../../../../../src/core/plan/scale/output-length.ts';
import { createRng } from '../../../../../src/lib/rng.ts';

const real: StepCost = { stepMs: 29.5, perSequenceMs: 0.35, perPromptTokenMs: 0.091 };
const guess: StepCost = { stepMs: 15, perSequenceMs: 1, perPromptTokenMs: 0.2 };

function teach(
  learned: LearnedCost,
  cost: StepCost,
  { steps, noise, seed = 1 }: { steps: number; noise: number; seed?: number },
) {
  const rng = createRng(seed);
  for (let step = 0; step < steps; step += 1) {
    const sequences = rng.below(64);
    const promptTokens = rng.below(2) * rng.below(2048);
    const stepMs =
      (cost.stepMs + cost.perSequenceMs * sequences + cost.perPromptTokenMs * promptTokens) *
      (1 + noise * (rng.next() - 0.5));
    learned = learnStep(learned, { sequences, promptTokens, stepMs });
  }
  return learned;
}

function isNear(actual: number, expected: number, share: number, what: string) {
  assert.ok(Math.abs(actual - expected) <= share * expected, `${what}: ${actual} is not near ${expected}`);
}

describe('what a step costs', () => {
  test('a wrong guess is corrected within a few hundred noisy steps', () => {
    const { cost } = teach(startCost(guess), real, { steps: 600, noise: 0.1 });
    isNear(cost.stepMs, real.stepMs, 0.05, 'a');
    isNear(cost.perSequenceMs, real.perSequenceMs, 0.15, 'b');
    isNear(cost.perPromptTokenMs, real.perPromptTokenMs, 0.05, 'g');
  });

  test('a stall is left out', () => {
    const before = teach(startCost(real), real, { steps: 300, noise: 0.05 });
    const after = learnStep(before, { sequences: 4, promptTokens: 0, stepMs: 5000 });
    assert.deepEqual(after.cost, before.cost);
    assert.equal(after.outliers, 20);
  });

  test('a stall among the first steps is left out as well, and an engine that is slow from the start is not', () => {
    const after = learnStep(startCost(real), { sequences: 1, promptTokens: 1000, stepMs: 20_000 });
    assert.deepEqual(after.cost, real);
    const slow = { stepMs: 400, perSequenceMs: 4, perPromptTokenMs: 1.2 };
    const { cost } = teach(startCost(real), slow, { steps: 600, noise: 0.05 });
    isNear(cost.stepMs, slow.stepMs, 0.1, 'a');
  });

  test('a stall now and then is no property of the engine', () => {
    let learned = teach(startCost(real), real, { steps: 300, noise: 0.05 });
    for (let stall = 0; stall < 200; stall += 1) {
      learned = teach(learned, real, { steps: 40, noise: 0.05, seed: stall });
      learned = learnStep(learned, { sequences: 4, promptTokens: 0, stepMs: 5000 });
    }
    isNear(learned.cost.stepMs, real.stepMs, 0.05, 'a');
  });

  test('prompts that cost more than before are believed, though the steps between them fit', () => {
    let learned = teach(startCost(real), real, { steps: 300, noise: 0.05 });
    for (let prompt = 0; prompt < 800; prompt += 1) {
      for (let step = 0; step < 9; step += 1)
        learned = learnStep(learned, { sequences: 0, promptTokens: 0, stepMs: 29.5 });
      learned = learnStep(learned, { sequences: 0, promptTokens: 1000, stepMs: 29.5 + 300 });
    }
    isNear(learned.cost.perPromptTokenMs, 0.3, 0.1, 'g');
  });

  test('an engine that has really changed is believed after a while', () => {
    const slower = { stepMs: 90, perSequenceMs: 1, perPromptTokenMs: 0.3 };
    const { cost } = teach(teach(startCost(real), real, { steps: 300, noise: 0.05 }), slower, {
      steps: 8000,
      noise: 0.05,
    });
    isNear(cost.stepMs, slower.stepMs, 0.15, 'a');
    isNear(cost.perPromptTokenMs, slower.perPromptTokenMs, 0.15, 'g');
  });

  test('steps that are all much alike tell what such a step takes, and no part of it runs away', () => {
    const rng = createRng(1);
    let learned = startCost(real);
    for (let answer = 0; answer < 3000; answer += 1) {
      const sequences = 20 + rng.below(4);
      const promptTokens = 800 + rng.below(400);
      const writeStepMs = real.stepMs + real.perSequenceMs * sequences;
      const readStepMs = writeStepMs + real.perPromptTokenMs * promptTokens;
      learned = learnStep(learned, { sequences, promptTokens, stepMs: readStepMs * (0.5 + rng.next()) });
      learned = learnStep(learned, { sequences, promptTokens: 0, stepMs: writeStepMs * (0.5 + rng.next()) });
      const { stepMs, perSequenceMs, perPromptTokenMs } = learned.cost;
      assert.ok(
        stepMs < 100 && perSequenceMs < 5 && perPromptTokenMs < 0.3,
        JSON.stringify({ answer, ...learned.cost }),
      );
    }
    const { stepMs, perSequenceMs, perPromptTokenMs } = learned.cost;
    isNear(stepMs + 22 * perSequenceMs, 37.2, 0.1, 'a step');
    isNear(perPromptTokenMs, real.perPromptTokenMs, 0.1, 'g');
  });

  test('whatever is told, costs stay positive numbers', () => {
    const steps = fc.record({
      sequences: fc.nat(512),
      promptTokens: fc.nat(100_000),
      stepMs: fc.oneof(fc.double({ min: -10, max: 1e7 }), fc.constant(Number.NaN)),
    });
    fc.assert(
      fc.property(fc.array(steps, { maxLength: 200 }), (seen) => {
        const { cost } = seen.reduce(learnStep, startCost(real));
        for (const value of Object.values(cost)) assert.ok(value > 0 && Number.isFinite(value), `${value}`);
      }),
    );
  });

  test('the batch that keeps the pace, and the work of a request', () => {
    assert.equal(sequencesAtPace(real, { gapMsMax: 100, sequencesMax: 64 }), 64);
    assert.equal(sequencesAtPace(real, { gapMsMax: 33, sequencesMax: 64 }), 10);
    assert.equal(sequencesAtPace(real, { gapMsMax: 1, sequencesMax: 64 }), 1);
    assert.equal(readMs(real, 1000), 91);
    isNear(writeMs(real, 100, 10), 330, 1e-9, 'writing');
  });
});

test('the length of answers begins with a guess and ends with what was seen', () => {
  let length = guessOutput(200);
  length = learnOutput(length, 20);
  assert.ok(length.meanTokens > 150 && length.meanTokens < 200);
  for (let answer = 0; answer < 3000; answer += 1) length = learnOutput(length, 20);
  isNear(length.meanTokens, 20, 0.05, 'mean');
  for (let answer = 0; answer < 6000; answer += 1) length = learnOutput(length, 400);
  isNear(length.meanTokens, 400, 0.1, 'mean after a change');
});

describe('how long climbs take', () => {
  test('the first climb replaces the guess, and later ones move it', () => {
    let history = guessClimbs({ Staged: 100_000, Asleep: 3000 });
    history = learnClimbTime(history, 'Asleep', 1000);
    assert.equal(history.Asleep.usualMs, 1000);
    history = learnClimbTime(history, 'Asleep', 2000);
    assert.equal(history.Asleep.usualMs, 1200);
    assert.equal(history.Staged.usualMs, 100_000);
  });

  test('the slow time covers about 95 of 100', () => {
    const rng = createRng(7);
    let history = guessClimbs({ Staged: 100_000, Asleep: 3000 });
    const times = Array.from({ length: 4000 }, () => 1000 + 1000 * rng.next());
    for (const ms of times) history = learnClimbTime(history, 'Asleep', ms);
    assert.ok(history.Asleep.slowMs > 1800 && history.Asleep.slowMs < 2200, `${history.Asleep.slowMs}`);
  });

  test('a guess is forgotten with the first climb, and one bad climb soon after', () => {
    let history = learnClimbTime(guessClimbs({ Staged: 100_000, Asleep: 70_000 }), 'Asleep', 3000);
    assert.deepEqual(history.Asleep, { usualMs: 3000, slowMs: 3600, seen: 1 });
    history = learnClimbTime(history, 'Asleep', 60_000);
    for (let climb = 0; climb < 20; climb += 1) history = learnClimbTime(history, 'Asleep', 3000);
    assert.ok(history.Asleep.slowMs < 12_000, `${history.Asleep.slowMs}`);
  });

  test('a late climb is never taken for over', () => {
    const history = guessClimbs({ Staged: 100_000, Asleep: 3000 });
    assert.equal(climbLeftMs(history, 'Asleep', 1000), 2000);
    assert.equal(climbLeftMs(history, 'Asleep', 9000), 300);
  });
});

// What answers tell of an engine: tokens, and the steps that their times come down to. Bounded, and taken once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEMAND_SAMPLES_MAX } from '../../../src/api/link.ts';
import { type AnswerSeen, createDemandSamples } from '../../../src/router/queue/demand-samples.ts';

const answer: AnswerSeen = {
  promptTokens: 500,
  cachedTokens: 100,
  outputTokens: 11,
  firstMs: 60,
  totalMs: 160,
  sequences: 3,
};

test('a stream tells of one step with its prompt and of steps with none', () => {
  const samples = createDemandSamples();
  samples.add(answer);
  assert.deepEqual(samples.take(), {
    answeredTokens: [11],
    steps: [
      { sequences: 2, promptTokens: 400, stepMs: 60 },
      { sequences: 3, promptTokens: 0, stepMs: 10 },
    ],
  });
  assert.deepEqual(samples.take(), {}, 'what was taken is gone');
});

test('a whole answer and a short one tell of tokens only', () => {
  const samples = createDemandSamples();
  samples.add({ ...answer, firstMs: undefined });
  samples.add({ ...answer, outputTokens: 3 });
  samples.add({ ...answer, totalMs: 60 });
  assert.deepEqual(samples.take(), { answeredTokens: [11, 3, 11] });
});

test('no more is kept than one message may carry', () => {
  const samples = createDemandSamples();
  for (let count = 0; count < 1000; count += 1) samples.add(answer);
  const { answeredTokens, steps } = samples.take();
  assert.equal(answeredTokens?.length, DEMAND_SAMPLES_MAX);
  assert.equal(steps?.length, DEMAND_SAMPLES_MAX);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createTwister } from '../../../../src/engine/llama/mersenne-twister.ts';
import { greedySampling, type Sampling } from '../../../../src/engine/llama/sampling.ts';
import { createTokenChoice } from '../../../../src/engine/llama/token-choice.ts';

const open: Sampling = { ...greedySampling, temperature: 1, topK: 1000, seed: 1 };
const logits = new Map([
  [10, 5],
  [11, 4],
  [12, 3],
  [13, -1],
]);

/** How often each token comes in 4000 draws. */
function shares(sampling: Sampling, answered: readonly number[] = []) {
  const choice = createTokenChoice(sampling);
  const counts = new Map<number, number>();
  for (let turn = 0; turn < 4000; turn += 1) {
    const token = choice.choose(logits, answered);
    counts.set(token, (counts.get(token) ?? 0) + 1 / 4000);
  }
  return counts;
}

test('draws the numbers that the C++ library draws for the same seed', () => {
  // The first two 32-bit words of seed 5489, as published with the algorithm; a draw is made of two.
  assert.equal(createTwister(5489)(), (3_499_211_612 + 581_869_302 * 2 ** 32) / 2 ** 64);
});

test('the ten thousandth word of the default seed is the one that the C++ standard names', () => {
  const draw = createTwister(5489);
  let drawn = 0;
  for (let pair = 0; pair < 5000; pair += 1) drawn = draw();
  // 4123659995 is the upper half of the last pair, and so decides the first 32 bits.
  assert.equal(Math.floor(drawn * 2 ** 32), 4_123_659_995);
});

test('at temperature 0 the likeliest wins', () => {
  assert.equal(createTokenChoice(greedySampling).choose(logits, []), 10);
});

test('at temperature 1 tokens come as often as they are likely', () => {
  const weights = [...logits.values()].map((logit) => Math.exp(logit));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const drawn = shares(open);
  for (const [index, token] of [...logits.keys()].entries()) {
    assert.ok(Math.abs((drawn.get(token) ?? 0) - (weights[index] ?? 0) / total) < 0.03);
  }
});

test('top-k, top-p and min-p leave the likely ones', () => {
  assert.deepEqual([...shares({ ...open, topK: 2 }).keys()].sort(), [10, 11]);
  assert.deepEqual([...shares({ ...open, topP: 0.7 }).keys()].sort(), [10, 11]);
  assert.deepEqual([...shares({ ...open, minP: 0.3 }).keys()].sort(), [10, 11]);
});

test('a bias lifts, lowers and forbids; what is needed for that is asked for', () => {
  const biases = new Map([
    [13, 20],
    [10, -100],
    [99, 2],
  ]);
  const choice = createTokenChoice({ ...greedySampling, biases });
  assert.deepEqual(choice.wants([]), { top: 2, tokens: [13, 99] });
  assert.equal(choice.choose(logits, []), 13);
  assert.equal(createTokenChoice({ ...greedySampling, biases: new Map([[10, -100]]) }).choose(logits, []), 11);
});

test('penalties count what was said', () => {
  const penalised: Sampling = { ...greedySampling, frequencyPenalty: 0.6 };
  const choice = createTokenChoice(penalised);
  assert.equal(choice.choose(logits, [10]), 10);
  assert.equal(choice.choose(logits, [10, 10]), 11);
  assert.deepEqual(choice.wants([10, 10, 12]), { top: 3, tokens: [] });
  assert.equal(createTokenChoice({ ...greedySampling, presencePenalty: 1.5 }).choose(logits, [10, 10]), 11);
});

test('the same seed gives the same tokens', () => {
  const run = (seed: number) => {
    const choice = createTokenChoice({ ...open, seed });
    return Array.from({ length: 20 }, () => choice.choose(logits, [])).join();
  };
  assert.equal(run(7), run(7));
  assert.notEqual(run(7), run(8));
});

test('property: a token of those that were given is chosen, whatever the settings', () => {
  const settings = fc.record({
    temperature: fc.double({ min: 0, max: 2, noNaN: true }),
    topP: fc.double({ min: 0, max: 1, noNaN: true }),
    topK: fc.integer({ min: 1, max: 1000 }),
    minP: fc.double({ min: 0, max: 1, noNaN: true }),
    seed: fc.nat(),
    presencePenalty: fc.double({ min: -2, max: 2, noNaN: true }),
    frequencyPenalty: fc.double({ min: -2, max: 2, noNaN: true }),
  });
  const rows = fc.uniqueArray(fc.tuple(fc.nat(50), fc.float({ min: -50, max: 50, noNaN: true })), {
    minLength: 1,
    selector: ([token]) => token,
  });
  fc.assert(
    fc.property(settings, rows, fc.array(fc.nat(50)), (sampling, given, answered) => {
      const ranked = new Map(given.sort((a, b) => b[1] - a[1]));
      const token = createTokenChoice({ ...sampling, biases: new Map([[3, -100]]) }).choose(ranked, answered);
      assert.ok(ranked.has(token));
    }),
  );
});

// From flags to a scenario: contradictions are refused with the arithmetic, and an impossible objective is told with its bound.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePolicies } from '../../../src/sim/policy/catalogue.ts';
import { createScenario, judgeFeasibility, type SetupOptions } from '../../../src/sim/setup.ts';
import { SetupError } from '../../../src/sim/setup-error.ts';
import { simSetup, simTrace } from '../../support/simulation.ts';

const refusals: readonly [string, Partial<SetupOptions>, RegExp][] = [
  ['least above most', { minAwake: 3, maxAwake: 2 }, /least awake \(3\) is above the most awake \(2\)/],
  ['least above slots', { minAwake: 5, slots: 4 }, /least awake \(5\) is above the number of slots \(4\)/],
  ['all models together above slots', { minAwake: 3, slots: 5 }, /3 × 2 models = 6 slots, and there are 5/],
  ['occupied without sleepers', { isOccupied: true, sleepersPerSlotMax: 0 }, /no sleepers/],
];

for (const [what, changes, sentence] of refusals) {
  test(`refused: ${what}`, () => {
    const trace = simTrace([
      [0, 10, 1, 'a'],
      [5, 10, 1, 'b'],
    ]);
    assert.throws(
      () => createScenario(trace, simSetup(changes)),
      (error) => error instanceof SetupError && sentence.test(error.message),
    );
  });
}

test('an engine serves as many at once as a Model says, or as its profile can', () => {
  const sequencesOf = (changes: Partial<SetupOptions>) =>
    createScenario(simTrace([[0, 10, 1]]), simSetup(changes)).models[0]?.profile.engine.sequencesMax;
  assert.deepEqual([sequencesOf({}), sequencesOf({ concurrency: 8 })], [64, 8]);
});

test('a prompt that no engine reads in time is told with the time that it takes', () => {
  // 50,000 tokens in 25 steps: 25 × 29.5 ms + 50,000 × 0.091 ms = 5.2875 s.
  const scenario = createScenario(
    simTrace([
      [0, 50_000, 1],
      [1, 100, 1],
      [2, 100, 1],
      [3, 100, 1],
    ]),
    simSetup(),
  );
  const { within, promptTokensMax, sentence } = judgeFeasibility(scenario);
  assert.equal(within, 0.75);
  assert.equal(promptTokensMax, 100);
  assert.match(sentence ?? '', /^25\.00 % .* within 5\.0 s.*50000 tokens.* in 5\.3 s\.$/);
  assert.equal(judgeFeasibility(createScenario(simTrace([[0, 100, 1]]), simSetup())).sentence, undefined);
});

test('policies are named with or without a number', () => {
  assert.deepEqual(
    parsePolicies('stoker, kpa-12,static,static-3').map(({ name, factory }) => [name, factory?.([]).name]),
    [
      ['stoker', 'stoker'],
      ['kpa-12', 'kpa-12'],
      ['static', undefined],
      ['static-3', 'static-3'],
    ],
  );
});

for (const [text, sentence] of [
  ['best', /no policy named best\. There are stoker, hpa, /],
  ['constructor', /no policy named constructor/],
  ['stoker-3', /stoker takes no number/],
  ['kpa-0', /must be from 1 to/],
  ['', /no policy named/],
] as const) {
  test(`refused as a policy: "${text}"`, () => {
    assert.throws(
      () => parsePolicies(text),
      (error) => error instanceof SetupError && sentence.test(error.message),
    );
  });
}

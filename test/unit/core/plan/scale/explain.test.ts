// Every reason has its sentence and its counterfactual, and sentences name no running figures.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Explained, explainDecision } from '../../../../../src/core/plan/scale/explain.ts';
import { createScaler, type ScalerInput } from '../../../../../src/core/plan/scale/scaler.ts';
import { scaleDefaults } from '../../../../../src/core/plan/scale/settings.ts';
import { guess70B, scalerInput } from '../../../../support/scaler.ts';

function explain(input: Partial<ScalerInput>, changes: Partial<Explained> = {}, arrivals = 0) {
  const scaler = createScaler({ guess: guess70B, sinceMs: 0 });
  for (let second = 700; second < 1000; second += 1)
    scaler.arrived(second * 1000, { requests: arrivals, promptTokens: arrivals * 1000 });
  const full = scalerInput(input);
  const figures = scaler.decide(full);
  const base = { model: 'm', input: full, figures, settings: scaleDefaults, isRested: false, desired: figures.desired };
  return explainDecision({ ...base, ...changes });
}

describe('a decision in words', () => {
  const wait = new Array<number>(50).fill(2000);
  const rows: readonly [string, Partial<ScalerInput>, string, RegExp, RegExp][] = [
    ['nobody asks', {}, 'Keep', /^Nothing should be awake: nobody asks\.$/, /^the first request wakes one$/],
    ['one waits', { waitingTokens: [10] }, 'Wake', /^1 instance should be awake: requests wait/, /would be 0$/],
    ['many wait', { waitingTokens: wait }, 'Wake', /requests wait/, /without what waits and the burst it would be 0/],
    [
      'more than there may be',
      { waitingTokens: wait, max: 1 },
      'Wake',
      /maxAwake is 1/,
      /^with maxAwake [0-9]+ it would be/,
    ],
    ['the least', { min: 2 }, 'Wake', /minAwake is 2/, /with minAwake 0 it would be 0/],
    ['silence', { signalAgeMs: 7000, ordered: 2, ready: 2 }, 'Hold', /no router says/, /with fresh news of routers/],
    ['a caller was sent away', { hasWakeLease: true }, 'Wake', /told to come back/, /./],
    ['the most was lowered', { ordered: 5, ready: 5, max: 2 }, 'Sleep', /maxAwake was lowered/, /./],
  ];
  for (const [name, input, action, sentence, otherwise] of rows) {
    test(name, () => {
      const decision = explain(input);
      assert.equal(decision.action, action);
      assert.match(decision.sentence, sentence);
      assert.match(String(decision.terms.at(-1)?.value), otherwise);
      assert.ok(decision.sentence.length <= 512);
    });
  }

  test('sustained work, and sleep for the good of others', () => {
    assert.match(
      explain({ inFlight: 4, idleMs: 0, ordered: 1, ready: 1 }, {}, 30).sentence,
      /the work of the last minutes|a burst/,
    );
    const rested = explain({ ordered: 1, ready: 1, idleMs: 10_000 }, { isRested: true, desired: 0 });
    assert.equal(rested.action, 'Sleep');
    assert.match(rested.sentence, /other models need the slot more/);
    assert.match(String(rested.terms.at(-1)?.value), /^without other models/);
  });

  test('every term of the formula is told, with a meaning', () => {
    const names = explain({}).terms.map(({ name }) => name);
    for (const name of ['slowWork', 'fastWork', 'backlog', 'headroom', 'forecast', 'base', 'excess', 'want', 'held'])
      assert.ok(names.includes(name), name);
    for (const { meaning } of explain({}).terms) assert.ok(meaning.length > 5);
  });
});

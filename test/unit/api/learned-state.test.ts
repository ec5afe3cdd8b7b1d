// What was learned, as text: there and back, and what becomes of a text that is not ours.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { LEARNED_BYTES_MAX, parseLearned, renderLearned } from '../../../src/api/learned-state.ts';
import { createFleetPlanner, type ModelMemory } from '../../../src/core/plan/pool/fleet-planner.ts';
import { emptyWeeks } from '../../../src/core/plan/scale/forecast.ts';
import { guess70B } from '../../support/scaler.ts';

function learn(seed: readonly number[]): ModelMemory {
  const planner = createFleetPlanner();
  planner.add('m', { guess: { ...guess70B, sleepMs: 1000, drainMs: 1000 }, sinceMs: 0 });
  let atMs = 0;
  for (const value of seed) {
    atMs += value * 10;
    planner.tell('m', { type: 'Arrived', atMs, requests: 1, promptTokens: value });
    planner.tell('m', { type: 'Answered', outputTokens: value });
    planner.tell('m', { type: 'Stepped', sequences: value % 64, promptTokens: value, stepMs: 1 + value / 100 });
    planner.tell('m', { type: 'Climbed', from: value % 2 === 0 ? 'Staged' : 'Asleep', tookMs: value });
  }
  const memory = planner.memoryOf('m');
  assert.ok(memory !== undefined);
  return memory;
}

test('whatever a planner learns comes back as it was, and takes little room', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(100_000), { maxLength: 200 }), (seed) => {
      const memory = learn(seed);
      const text = renderLearned(memory);
      assert.ok(text.length < LEARNED_BYTES_MAX / 8);
      assert.deepEqual(parseLearned(text), { ok: true, value: memory });
    }),
  );
});

test('what a release without weeks wrote is read, and begins without them', () => {
  const memory = learn([100, 200]);
  const { weeks: _, ...before } = memory;
  const text = JSON.stringify({ version: 1, memory: before });
  assert.deepEqual(parseLearned(text), { ok: true, value: { ...memory, weeks: emptyWeeks() } });
});

describe('a text that is not ours is refused with why', () => {
  const good = JSON.parse(renderLearned(learn([100, 200])));
  const changed = (change: (state: typeof good) => void) => {
    const state = structuredClone(good);
    change(state);
    return JSON.stringify(state);
  };
  const rows: readonly [string, string, RegExp][] = [
    ['no JSON', '{"version":1', /no JSON object/],
    ['a list of nothing', 'null', /no JSON object/],
    ['another version', changed((state) => Object.assign(state, { version: 3 })), /version is not 2/],
    ['no version', '{}', /version is not 2/],
    ['too long', ' '.repeat(LEARNED_BYTES_MAX + 1), /more than 65536 bytes/],
    ['a cost of nothing', changed((state) => (state.memory.scaler.cost.cost.stepMs = 0)), /scaler\.cost\.cost\.stepMs/],
    ['a time without end', changed((state) => (state.memory.scaler.climbs.Asleep.slowMs = 1e300)), /climbs\.Asleep/],
    ['bins of another release', changed((state) => state.memory.gaps.counts.pop()), /gaps\.counts/],
    [
      'more hours than three weeks',
      changed((state) => (state.memory.weeks.past = new Array(505).fill(1))),
      /weeks\.past/,
    ],
    ['a figure that is a word', changed((state) => (state.memory.scaler.longPromptTokens = 'x')), /longPromptTokens/],
  ];
  for (const [name, text, why] of rows) {
    test(name, () => {
      const parsed = parseLearned(text);
      assert.ok(!parsed.ok);
      assert.match(parsed.error, why);
    });
  }

  test('and no text breaks the reader', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => void parseLearned(text)));
  });
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  holdFigures,
  judgeObjective,
  keepVerdict,
  type ObjectiveFacts,
} from '../../../../../src/core/plan/scale/objective-bound.ts';

const facts: ObjectiveFacts = {
  firstTokenMillis: 2000,
  isStated: true,
  minAwake: 0,
  climbMs: 6100,
  from: 'Asleep',
  lagMs: 100,
};

describe('whether an objective can be kept', () => {
  test('a wake that takes longer makes it impossible, and the sentence says by how much and what to do', () => {
    const { status, reason, message } = judgeObjective({ ...facts, readMs: 300 });
    assert.deepEqual([status, reason], ['False', 'Impossible']);
    assert.equal(
      message,
      'It cannot be met by requests that find nothing awake: a wake takes 6.1 s by what was measured, until it is ordered 0.1 s may pass, and a long prompt is read in 0.3 s; the objective is 2 s. Keep one awake (scaling.minAwake: 1) or raise scaling.firstTokenMillis.',
    );
  });

  test('the sleep of another model makes it impossible where every slot is taken: 5.5 s, 0.1 s and 3 s are 8.6 s', () => {
    const occupied = { ...facts, firstTokenMillis: 5000, climbMs: 3000, sleepMs: 5500 };
    const { status, reason, message } = judgeObjective(occupied);
    assert.deepEqual([status, reason], ['False', 'SlotsTaken']);
    assert.equal(
      message,
      'It cannot be met by requests that find nothing awake and every slot taken: another model has to sleep first, which takes 5.5 s by its size, a wake takes 3 s by what was measured, and until it is ordered 0.1 s may pass; the objective is 5 s. Let slots stand free (spec.spare of the Pool), keep one awake (scaling.minAwake: 1) or raise scaling.firstTokenMillis.',
    );
    assert.equal(judgeObjective({ ...occupied, firstTokenMillis: 8600 }).reason, 'Possible');
  });

  test('a prompt that takes longer to read makes it impossible whatever is awake', () => {
    const { status, reason, message } = judgeObjective({ ...facts, minAwake: 2, readMs: 2600 });
    assert.deepEqual([status, reason], ['False', 'PromptsTooLong']);
    assert.equal(
      message,
      'It cannot be met by long prompts, whatever is awake: 5 of 100 take 2.6 s or more to read by what was learned, when none of it is cached; the objective is 2 s. Give a slot more accelerators or raise scaling.firstTokenMillis.',
    );
  });

  test('where none is stated, the sentence says first that nothing is wrong', () => {
    const { status, reason, message } = judgeObjective({ ...facts, isStated: false, firstTokenMillis: 5000 });
    assert.deepEqual([status, reason], ['False', 'SlowClimb']);
    assert.equal(
      message,
      'Nothing has to be changed: no objective is stated, and scaling goes by 5 s. It is not met by requests that find nothing awake: a wake takes 6.1 s by what was measured, and until it is ordered 0.1 s may pass. Where that matters, keep one awake (scaling.minAwake: 1); else set scaling.firstTokenMillis to what will do.',
    );
  });

  const rows: readonly [string, Partial<ObjectiveFacts>, string][] = [
    ['a wake that just fits', { climbMs: 1900 }, 'Possible'],
    ['a wake that just does not', { climbMs: 1901 }, 'Impossible'],
    ['a wake that fits, and not with the prompt', { climbMs: 1700, readMs: 201 }, 'Impossible'],
    ['one that stays awake', { minAwake: 1 }, 'Possible'],
    ['one that stays awake, and a prompt that just fits', { minAwake: 1, readMs: 2000 }, 'Possible'],
    ['before anything was seen', { climbMs: undefined }, 'Unmeasured'],
    ['before a climb was seen, with long prompts', { climbMs: undefined, readMs: 2001 }, 'PromptsTooLong'],
    ['what never sleeps is started', { from: 'Staged', climbMs: 45_000 }, 'Impossible'],
  ];
  for (const [name, changes, reason] of rows)
    test(name, () => assert.equal(judgeObjective({ ...facts, ...changes }).reason, reason));

  test('what is started is called a start', () => {
    assert.match(judgeObjective({ ...facts, from: 'Staged', climbMs: 45_000 }).message, /a start takes 45 s/);
  });
});

describe('what was said', () => {
  test('stays while what is learned moves a little, and follows what moved much', () => {
    const said = holdFigures(undefined, { climbMs: 2000, readMs: 300, sleepMs: 900 });
    assert.deepEqual(said, { climbMs: 2000, readMs: 300, sleepMs: 900 });
    assert.deepEqual(holdFigures(said, { climbMs: 2300, readMs: 255, sleepMs: 1000 }), said);
    assert.deepEqual(holdFigures(said, { climbMs: 2301, readMs: 254, sleepMs: undefined }), {
      climbMs: 2301,
      readMs: 254,
      sleepMs: undefined,
    });
  });

  test('does not go to and fro with a figure that swings about the objective', () => {
    let held = holdFigures(undefined, { climbMs: 1850 });
    const reasons = new Set<string>();
    for (let step = 0; step < 200; step += 1) {
      held = holdFigures(held, { climbMs: 1900 + 200 * Math.sin(step) });
      reasons.add(judgeObjective({ ...facts, ...held }).message);
    }
    assert.equal(reasons.size, 1, [...reasons].join('\n'));
  });

  test('is not taken back by who has measured nothing yet', () => {
    const unmeasured = judgeObjective({ ...facts, climbMs: undefined });
    assert.equal(keepVerdict({ reason: 'Impossible' }, unmeasured, {}), true);
    const possible = judgeObjective({ ...facts, minAwake: 1 });
    assert.equal(keepVerdict({ reason: 'PromptsTooLong' }, possible, {}), true);
    assert.equal(keepVerdict({ reason: 'PromptsTooLong' }, possible, { readMs: 100 }), false);
    assert.equal(keepVerdict({ reason: 'Impossible' }, possible, {}), false);
    assert.equal(keepVerdict({ reason: 'Possible' }, judgeObjective(facts), {}), false);
  });
});

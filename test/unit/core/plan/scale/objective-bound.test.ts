import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { judgeObjective, type ObjectiveFacts } from '../../../../../src/core/plan/scale/objective-bound.ts';

const facts: ObjectiveFacts = { firstTokenMillis: 2000, minAwake: 0, climbMs: 6100, from: 'Asleep', lagMs: 100 };

describe('whether an objective can be kept', () => {
  test('a wake that takes longer makes it impossible, and the sentence says by how much and what to do', () => {
    const { status, reason, message } = judgeObjective(facts);
    assert.deepEqual([status, reason], ['False', 'Impossible']);
    assert.equal(
      message,
      'It cannot be met by requests that find nothing awake: a wake takes 6.1 s by what was measured, and until it is ordered 0.1 s may pass; the objective is 2 s. Keep one awake (scaling.minAwake: 1) or raise it.',
    );
  });

  const rows: readonly [string, Partial<ObjectiveFacts>, string][] = [
    ['a wake that just fits', { climbMs: 1900 }, 'Possible'],
    ['a wake that just does not', { climbMs: 1901 }, 'Impossible'],
    ['one that stays awake', { minAwake: 1 }, 'Possible'],
    ['before anything was seen', { climbMs: undefined }, 'Unmeasured'],
    ['what never sleeps is started', { from: 'Staged', climbMs: 45_000 }, 'Impossible'],
  ];
  for (const [name, changes, reason] of rows)
    test(name, () => assert.equal(judgeObjective({ ...facts, ...changes }).reason, reason));

  test('what is started is called a start', () => {
    assert.match(judgeObjective({ ...facts, from: 'Staged', climbMs: 45_000 }).message, /a start takes 45 s/);
  });
});

// Conditions: when their time moves, and that no message is longer than the server takes.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { conditionSchema, sayBefore, setCondition } from '../../../src/api/group.ts';

const verdict = { type: 'Ready', status: 'False', reason: 'Why', message: 'So it is.' } as const;

describe('a condition', () => {
  test('keeps its time until its status changes', () => {
    const first = setCondition([], verdict, 1000);
    const second = setCondition(first, { ...verdict, reason: 'Other' }, 5000);
    const third = setCondition(second, { ...verdict, status: 'True' }, 9000);
    assert.deepEqual(
      [first, second, third].map(([one]) => one?.lastTransitionTime),
      ['1970-01-01T00:00:01Z', '1970-01-01T00:00:01Z', '1970-01-01T00:00:09Z'],
    );
  });

  test('with a message that is too long is cut to what the schema takes', () => {
    const [cut] = setCondition([], { ...verdict, message: 'x'.repeat(5000) }, 0);
    assert.ok(conditionSchema.safeParse(cut).success);
    assert.equal(cut?.message.length, 1024);
  });

  test('tells what there is to do, however much somebody else said', () => {
    assert.equal(sayBefore('It broke.', 'Mend it.'), 'It broke. Mend it.');
    const long = sayBefore('x'.repeat(5000), 'Mend it.');
    assert.match(long, /x Mend it\.$/);
    assert.equal(long.length, 1024);
  });
});

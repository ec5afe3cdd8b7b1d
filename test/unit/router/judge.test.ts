import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type AttemptEnd, judge } from '../../../src/router/stage/judge.ts';

const failed: AttemptEnd = { kind: 'Failed', code: 'upstream_failed', message: 'It broke.' };
const facts = { contentSent: false, attempts: 1, attemptsMax: 3, spendRetry: () => true };

describe('the judge', () => {
  test('serves, puts back, tries again', () => {
    assert.deepEqual(judge({ kind: 'Answered' }, facts), { kind: 'Accept' });
    assert.deepEqual(judge({ kind: 'Refused', refusal: 'Full' }, facts), { kind: 'PutBack', refusal: 'Full' });
    assert.deepEqual(judge({ kind: 'Unreached' }, { ...facts, spendRetry: () => false }), { kind: 'PutBack' });
    assert.deepEqual(judge(failed, facts), { kind: 'Retry' });
  });

  test('a failure is final once content was sent, attempts are used up, or the budget is spent', () => {
    for (const changes of [{ contentSent: true }, { attempts: 3 }, { spendRetry: () => false }]) {
      const verdict = judge(failed, { ...facts, ...changes });
      assert.equal(verdict.kind === 'Fail' && verdict.ending.code, 'upstream_failed');
    }
  });

  test('the budget is not touched when no retry is possible', () => {
    let spent = 0;
    const spendRetry = () => {
      spent += 1;
      return true;
    };
    judge(failed, { ...facts, contentSent: true, spendRetry });
    judge({ ...failed, code: 'deadline_exceeded' }, { ...facts, spendRetry });
    judge({ kind: 'Refused', refusal: 'Full' }, { ...facts, spendRetry });
    assert.equal(spent, 0);
  });

  test('what the engine declined is the caller’s, with a code of ours', () => {
    const body = Buffer.from('{}');
    for (const [code, ours] of [
      ['context_length_exceeded', 'context_length_exceeded'],
      ['something_else', 'invalid_request'],
    ] as const) {
      const verdict = judge({ kind: 'Declined', status: 400, body, code }, facts);
      assert.ok(verdict.kind === 'Fail');
      assert.equal(verdict.ending.code, ours);
      assert.deepEqual(verdict.ending.details.passed, { status: 400, body });
    }
  });
});

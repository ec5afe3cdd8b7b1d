import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareProbe, isWholeSample } from '../../../src/agent/probe-check.ts';
import type { ProbeSample } from '../../../src/api/model-revision.ts';
import { goodSample } from '../../support/fake-engine.ts';

test('the probe: the same tokens and almost the same log-probabilities', () => {
  const near = { ...goodSample, logprobs: ['-0.14', ...goodSample.logprobs.slice(1)] };
  assert.equal(compareProbe(goodSample, near, 0.05), undefined);
});

test('the probe: says what differs', () => {
  const cases: [ProbeSample, RegExp][] = [
    [{ ...goodSample, tokenIds: [1, 2, 3, 4, 5, 6, 7, 9] }, /token 8 is 9, and 8 is expected/],
    [{ ...goodSample, tokenIds: [1, 2] }, /2 tokens/],
    [{ ...goodSample, logprobs: ['-0.2', ...goodSample.logprobs.slice(1)] }, /log-probability 1 is -0.2/],
    [{ ...goodSample, logprobs: ['NaN', ...goodSample.logprobs.slice(1)] }, /log-probability 1/],
    [{ ...goodSample, logprobs: goodSample.logprobs.slice(1) }, /tokens/],
  ];
  for (const [found, expected] of cases) assert.match(compareProbe(goodSample, found, 0.05) ?? '', expected);
});

test('the probe: only a whole sample is kept', () => {
  assert.equal(isWholeSample(goodSample), true);
  assert.equal(isWholeSample({ tokenIds: [], logprobs: [] }), false);
  assert.equal(isWholeSample({ tokenIds: [1], logprobs: ['NaN'] }), false);
  assert.equal(isWholeSample({ tokenIds: [1], logprobs: [''] }), false);
  assert.equal(isWholeSample({ tokenIds: [1, 2], logprobs: ['-1'] }), false);
});

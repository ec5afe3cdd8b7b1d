import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explainFailure, explainRefusal, isRefusal, refusalOf } from '../../../src/controller/refusals.ts';
import { outcomeOfError } from '../../../src/controller/status.ts';
import { done } from '../../../src/controller/work-queue.ts';

const rows: readonly (readonly [string, string, RegExp])[] = [
  [
    'pods is forbidden: User "system:serviceaccount:llm:stoker-controller" cannot create resource "pods" in API group "" in the namespace "llm"',
    'MissingRight',
    /lacks a right \(pods is forbidden.*rbac\.create=true/,
  ],
  [
    'pods "cpu-1" is forbidden: exceeded quota: few, requested: pods=1, used: pods=2, limited: pods=2',
    'QuotaExceeded',
    /limited: pods=2\)\. Raise the ResourceQuota/,
  ],
  [
    'pods "cpu-1" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true',
    'PodSecurityRefused',
    /runAsNonRoot.*enforce=baseline, or set spec\.pod\.security of the Pool to Restricted\./,
  ],
  [
    'Internal error occurred: failed calling webhook "x.example.com": failed to call webhook: Post "https://x/": EOF',
    'WebhookFailed',
    /webhook "x\.example\.com".*EOF\)\. Mend what serves it, or delete its configuration/,
  ],
  ['admission webhook "x.example.com" denied the request: no.', 'ServerRefused', /denied the request: no\)\. Look/],
];

for (const [sentence, reason, message] of rows) {
  test(`${reason} is told from the server's sentence, with what to do`, () => {
    const refusal = explainRefusal(sentence);
    assert.equal(refusal.reason, reason);
    assert.match(refusal.message, message);
    assert.ok(isRefusal(refusal));
  });
}

test('long sentences are cut to what a condition can hold', () => {
  assert.ok(explainRefusal(`x${'y\n'.repeat(3000)}`).message.length <= 1024);
  assert.equal(isRefusal({ reason: 'Evicted' }), false);
});

test('a webhook refuses, whatever status code it chose, and a server that is busy does not', () => {
  const down = outcomeOfError({ reason: 'Unavailable', message: 'failed calling webhook "x": EOF' });
  assert.equal(refusalOf(down)?.reason, 'WebhookFailed');
  for (const reason of ['Throttled', 'Conflict', 'NotFound'] as const) {
    const denied = outcomeOfError({ reason, message: 'admission webhook "x" denied the request: no' });
    assert.equal(refusalOf(denied)?.reason, 'ServerRefused', reason);
  }
  const busy = outcomeOfError({ reason: 'Throttled', message: 'too many requests.' });
  assert.equal(refusalOf(busy), undefined);
  assert.deepEqual(explainFailure(busy), {
    reason: 'ServerFailed',
    message:
      'The API server cannot do it now (too many requests). It is tried again, more and more slowly. If it stays, look at the API server.',
  });
  assert.equal(explainFailure(done), undefined);
  const own = { type: 'failed', sentence: 'It is taken.', isRefused: true, ownReason: 'PolicyTaken' } as const;
  assert.deepEqual(refusalOf(own), { reason: 'PolicyTaken', message: 'It is taken.' });
});

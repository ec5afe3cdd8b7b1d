import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explainRefusal, isRefusal } from '../../../src/controller/refusals.ts';

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

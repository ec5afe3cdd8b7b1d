import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  type AdmissionFigures,
  decideAdmission,
  estimateEtaMs,
  RETRY_AFTER_MS_MAX,
  retryAfterMs,
} from '../../../../src/core/route/admission.ts';

const cold: AdmissionFigures = {
  hasEndpoint: false,
  warmth: undefined,
  etaMs: 1000,
  silent: false,
  silentHoldMsMax: 50_000,
  remainingMs: 300_000,
};
const failure = { reason: 'Test', message: 'Broken.' };

describe('admission', () => {
  test('an endpoint is enough, whatever else is said', () => {
    const warmth = { model: 'a', rung: 'Failed', etaMs: 0, failure } as const;
    assert.deepEqual(decideAdmission({ ...cold, hasEndpoint: true, warmth, etaMs: 1e9 }), { kind: 'Queue' });
  });

  test('a failure that is known is told at once', () => {
    const warmth = { model: 'a', rung: 'Failed', etaMs: 0, failure } as const;
    assert.deepEqual(decideAdmission({ ...cold, warmth }), { kind: 'Failed', ...failure });
  });

  test('silent callers wait 50 s at most, others as long as their deadline allows', () => {
    assert.equal(decideAdmission({ ...cold, etaMs: 60_000 }).kind, 'Hold');
    assert.equal(decideAdmission({ ...cold, etaMs: 50_000, silent: true }).kind, 'Hold');
    assert.deepEqual(decideAdmission({ ...cold, etaMs: 50_001, silent: true }), { kind: 'Warming', etaMs: 50_001 });
    assert.equal(decideAdmission({ ...cold, etaMs: 2000, remainingMs: 1999 }).kind, 'Warming');
  });

  test('retry-after stays within what clients honour', () => {
    assert.equal(retryAfterMs(5), 100);
    assert.equal(retryAfterMs(1234.4), 1234);
    assert.equal(retryAfterMs(10 * RETRY_AFTER_MS_MAX), RETRY_AFTER_MS_MAX);
  });

  test('a climb goes on while nobody waits for it', () => {
    const warmth = { model: 'a', rung: 'Starting', etaMs: 4000 } as const;
    assert.equal(estimateEtaMs({ warmth, warmthAgeMs: 3900, oldestWaitMs: 0 }), 100);
    assert.equal(estimateEtaMs({ warmth, warmthAgeMs: 9000, oldestWaitMs: 0 }), 0);
  });

  test('the estimate runs down with the wait, and never below 0', () => {
    const warmth = { model: 'a', rung: 'Asleep', etaMs: 800 } as const;
    assert.equal(estimateEtaMs({ warmth, warmthAgeMs: 10_000, oldestWaitMs: 300 }), 500);
    assert.equal(estimateEtaMs({ warmth, warmthAgeMs: 100, oldestWaitMs: 300 }), 700);
    assert.equal(estimateEtaMs({ warmth, warmthAgeMs: 9000, oldestWaitMs: 9000 }), 0);
    assert.ok(estimateEtaMs({ warmth: undefined, warmthAgeMs: 0, oldestWaitMs: 0 }) > 0);
  });
});

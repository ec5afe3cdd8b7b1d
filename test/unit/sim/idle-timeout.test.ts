// The baseline that sleeps after a time without requests: by hand.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countByIdleTimeout, type IdleTimeoutInput } from '../../../src/sim/policy/idle-timeout.ts';

const up = (idleMs = 0, inFlight = 0) => ({ ascent: 'Up' as const, inFlight, idleMs });

const rows: readonly [string, Partial<IdleTimeoutInput>, number][] = [
  ['nobody asks', {}, 0],
  ['one waits', { work: 1 }, 1],
  ['more wait than one serves', { work: 5 }, 2],
  ['more wait than the most serves', { work: 50 }, 2],
  ['a caller was sent away', { hasWakeLease: true }, 1],
  ['the least is one', { minAwake: 1 }, 1],
  ['one served lately', { instances: [up(59_999)] }, 1],
  ['one is idle for long', { instances: [up(60_000)] }, 0],
  ['one of two is idle for long', { instances: [up(60_000), up(10)] }, 1],
  ['one that serves is not idle', { instances: [up(60_000, 1)] }, 1],
  ['a climb goes on', { instances: [{ ascent: 'Climbing', inFlight: 0, idleMs: 99_999 }] }, 1],
  ['a failed one has nobody to serve', { instances: [{ ascent: 'Failed', inFlight: 0, idleMs: 0 }] }, 0],
];
for (const [name, changes, expected] of rows) {
  test(`sleeping after a time without requests: ${name}`, () => {
    const quiet = { minAwake: 0, maxAwake: 2, sleepAfterMs: 60_000, concurrency: 4, work: 0, hasWakeLease: false };
    assert.equal(countByIdleTimeout({ ...quiet, instances: [], ...changes }), expected);
  });
}

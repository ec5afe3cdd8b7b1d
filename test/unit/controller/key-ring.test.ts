import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { kinds } from '../../../src/api/kinds.ts';
import { createKeyRing, type KeyRing } from '../../../src/controller/key-ring.ts';
import { deriveSlotKey, loadKeySource, ROTATED_AT, SEED_SECRET } from '../../../src/controller/slot-keys.ts';
import { createManualClock, type ManualClock } from '../../../src/lib/clock.ts';
import type { Log } from '../../../src/lib/log.ts';
import { createRng } from '../../../src/lib/rng.ts';
import { createMemoryCluster, type MemoryCluster } from '../../support/memory-cluster.ts';

const HOUR_MS = 3_600_000;

describe('the ring of slot keys', () => {
  let clock: ManualClock;
  let cluster: MemoryCluster;
  let lines: string[];
  let ring: KeyRing;
  const rings: KeyRing[] = [];
  const { signal } = new AbortController();

  const lead = async (): Promise<KeyRing> => {
    const keep = (fields: object, text: string) => void lines.push(`${text} ${JSON.stringify(fields)}`);
    const log: Log = { debug: keep, info: keep, warn: keep, error: keep };
    const made = createKeyRing({ cluster, rotationMs: HOUR_MS, clock, log, onChange: () => lines.push('change') });
    made.start(await loadKeySource(cluster, { clock, rng: createRng(1), log }, signal));
    rings.push(made);
    return made;
  };
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= 60_000) {
      clock.advance(Math.min(60_000, left));
      for (let turn = 0; turn < 6; turn += 1) await setImmediate();
    }
  };
  const secret = () => cluster.must(kinds.Secret, SEED_SECRET);
  const decode = (name: string) => Buffer.from(secret().data?.[name] ?? '', 'base64');

  beforeEach(async () => {
    clock = createManualClock();
    cluster = createMemoryCluster(() => clock.wallMs());
    lines = [];
    ring = await lead();
  });
  afterEach(() => {
    for (const one of rings.splice(0)) one.stop();
    assert.equal(clock.pendingTimers(), 0, 'no timer is left');
  });

  test('raises the version when its time is over, and the next controller goes on from there', async () => {
    const first = ring.key('pod-1', 1);
    await pass(HOUR_MS - 60_000);
    assert.equal(ring.wanted(), 1);
    await pass(120_000);
    assert.equal(ring.wanted(), 2);
    assert.equal(decode('version').toString(), '2');
    assert.equal(ring.key('pod-1', 1), first);
    assert.equal(ring.key('pod-1', 2), deriveSlotKey(decode('seed'), 'pod-1', 2));
    const next = await lead();
    assert.equal(next.wanted(), 2);
    await pass(HOUR_MS);
    assert.deepEqual([ring.wanted(), next.wanted()], [3, 3], 'once, though two looked');
    assert.ok(!lines.some((line) => line.includes(decode('seed').toString('base64')) || line.includes(first)));
  });

  test('goes on with what it has while the Secret cannot be written, and does it later', async () => {
    cluster.fault = { reason: 'Unavailable', message: 'away' };
    await pass(2 * HOUR_MS);
    assert.equal(ring.wanted(), 1);
    assert.ok(lines.some((line) => line.includes('could not be renewed')));
    cluster.fault = undefined;
    await pass(60_000);
    assert.equal(ring.wanted(), 2);
  });

  test('changes at once when somebody takes the time away, and at a time that cannot be', async () => {
    cluster.change(kinds.Secret, SEED_SECRET, { metadata: { annotations: { [ROTATED_AT]: null } } });
    await pass(60_000);
    assert.equal(ring.wanted(), 2);
    cluster.change(kinds.Secret, SEED_SECRET, {
      metadata: { annotations: { [ROTATED_AT]: '2999-01-01T00:00:00.000Z' } },
    });
    await pass(60_000);
    assert.equal(ring.wanted(), 3);
  });

  test('moves to a new seed as to a new version when the Secret is deleted', async () => {
    const [old, seed] = [ring.key('pod-1', 1), decode('seed')];
    cluster.drop(kinds.Secret, SEED_SECRET);
    await pass(60_000);
    assert.equal(ring.wanted(), 2);
    assert.notDeepEqual(decode('seed'), seed);
    assert.equal(decode('version').toString(), '2');
    assert.equal(ring.key('pod-1', 1), old, 'slots that have not moved are still reached');
    ring.forget('pod-1');
    assert.equal(ring.key('pod-1', 1), old);
    assert.equal(ring.key('pod-1', 2), deriveSlotKey(decode('seed'), 'pod-1', 2));
  });

  test('of a Secret without a version, from a release before, begins at 1 and is renewed', async () => {
    ring.stop();
    cluster.change(kinds.Secret, SEED_SECRET, {
      metadata: { annotations: null },
      data: { version: null },
    });
    const next = await lead();
    assert.equal(next.wanted(), 1);
    await pass(60_000);
    assert.equal(next.wanted(), 2);
  });
});

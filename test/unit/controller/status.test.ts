import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { kinds } from '../../../src/api/kinds.ts';
import type { Pool } from '../../../src/api/pool.ts';
import { OVERTAKEN_WRITES_MAX } from '../../../src/controller/bounds.ts';
import { writeFinalizer, writeStatus } from '../../../src/controller/status.ts';
import { done, type Outcome } from '../../../src/controller/work-queue.ts';
import { fail } from '../../../src/lib/result.ts';
import type { ClusterError } from '../../../src/ports/cluster.ts';
import { createMemoryCluster, type MemoryCluster } from '../../support/memory-cluster.ts';

const { signal } = new AbortController();
const conflict: Outcome = { type: 'conflict' };

describe('a write that others overtake', () => {
  let cluster: MemoryCluster;
  let pool: Pool;
  beforeEach(() => {
    cluster = createMemoryCluster(() => 0);
    cluster.put(kinds.Pool, 'one', { slots: { min: 0, max: 1 } });
    cluster.change(kinds.Pool, 'one', { metadata: { finalizers: ['theirs'] } });
    pool = cluster.must(kinds.Pool, 'one');
  });
  const say = (ready: number) => writeStatus(cluster, { kind: kinds.Pool, object: pool, status: { ready } }, signal);
  const hold = () =>
    writeFinalizer(cluster, { kind: kinds.Pool, object: pool, finalizer: 'ours', isHeld: true }, signal);
  const change = (patch: object) => cluster.change(kinds.Pool, 'one', patch);
  /** Annotates the object before so many writes of ours arrive. */
  const storm = (gusts: number) => {
    let blown = 0;
    for (const verb of ['patch', 'patchStatus'] as const) {
      const write = cluster[verb].bind(cluster);
      cluster[verb] = (...call) => {
        blown += 1;
        if (blown <= gusts) change({ metadata: { annotations: { storm: String(blown) } } });
        return write(...call);
      };
    }
  };

  test('by annotations goes over them, at once', async () => {
    storm(OVERTAKEN_WRITES_MAX);
    assert.deepEqual(await say(1), done);
    const { metadata, status } = cluster.must<Pool>(kinds.Pool, 'one');
    assert.equal(status?.ready, 1);
    assert.deepEqual(metadata.annotations, { storm: String(OVERTAKEN_WRITES_MAX) });
  });

  test('by annotations: so does one of a finalizer, and theirs stays', async () => {
    storm(2);
    assert.deepEqual(await hold(), done);
    assert.deepEqual(cluster.must(kinds.Pool, 'one').metadata.finalizers, ['theirs', 'ours']);
  });

  test('again and again is a conflict in the end', async () => {
    storm(Number.POSITIVE_INFINITY);
    assert.deepEqual(await say(1), conflict);
    assert.equal(cluster.writes.length, OVERTAKEN_WRITES_MAX + 1);
  });

  test('by nothing at all is not tried again', async () => {
    let writes = 0;
    cluster.patchStatus = async () => {
      writes += 1;
      return fail<ClusterError>({ reason: 'Conflict', message: 'the object has been modified' });
    };
    assert.deepEqual(await say(1), conflict);
    assert.equal(writes, 1);
  });

  const changes: Record<string, () => void> = {
    'another spec': () => change({ spec: { slots: { max: 2 } } }),
    'another status': () => change({ status: { nextSerial: 3 } }),
    'another finalizer': () => change({ metadata: { finalizers: [] } }),
    'its deletion': () => cluster.drop(kinds.Pool, 'one'),
    'another object of that name': () => {
      change({ metadata: { finalizers: [] } });
      cluster.drop(kinds.Pool, 'one');
      cluster.put(kinds.Pool, 'one', pool.spec);
      change({ metadata: { finalizers: ['theirs'] } });
    },
  };
  for (const [what, make] of Object.entries(changes)) {
    test(`by ${what} is a conflict, and nothing is written`, async () => {
      make();
      const newest = cluster.must(kinds.Pool, 'one');
      assert.deepEqual(await say(1), conflict);
      assert.deepEqual(await hold(), conflict);
      assert.equal(cluster.must(kinds.Pool, 'one'), newest);
      assert.equal(cluster.writes.length, 2);
    });
  }

  test('by an end that leaves nothing is done', async () => {
    change({ metadata: { finalizers: [] } });
    cluster.drop(kinds.Pool, 'one');
    assert.deepEqual(await say(1), done);
  });
});

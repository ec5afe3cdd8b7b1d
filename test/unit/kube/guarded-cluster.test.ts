import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kinds } from '../../../src/api/kinds.ts';
import { guardCluster } from '../../../src/kube/guarded-cluster.ts';
import { createMemoryCluster } from '../../support/memory-cluster.ts';

test('a leader writes; once it does not lead, nothing of it arrives and everything can still be read', async () => {
  const memory = createMemoryCluster(() => 1_700_000_000_000);
  let isHeld = true;
  const cluster = guardCluster(memory, () => isHeld);
  const pool = memory.put(kinds.Pool, 'a', {});
  const event = { regarding: pool, type: 'Normal', reason: 'Said', message: 'By a test.' } as const;
  const body = { ...pool, metadata: { name: 'b' } };
  assert.ok((await cluster.create(kinds.Pool, body)).ok);
  cluster.recordEvent(event);
  const [writes, events] = [memory.writes.length, memory.events.length];
  assert.deepEqual([writes, events], [1, 1]);
  isHeld = false;
  const refused = await Promise.all([
    cluster.create(kinds.Pool, { ...body, metadata: { name: 'c' } }),
    cluster.patch(kinds.Pool, 'a', { metadata: { labels: { a: 'b' } } }),
    cluster.patchStatus(kinds.Pool, 'a', { slots: 1 }),
    cluster.remove(kinds.Pool, 'a'),
  ]);
  for (const one of refused) {
    assert.ok(!one.ok);
    assert.deepEqual(one.error, { reason: 'Aborted', message: 'this controller does not lead any more' });
  }
  cluster.recordEvent(event);
  assert.deepEqual([memory.writes.length, memory.events.length], [writes, events]);
  assert.equal(cluster.get(kinds.Pool, 'a')?.metadata.name, 'a');
  assert.equal(cluster.list(kinds.Pool).length, 2);
  assert.ok((await cluster.read(kinds.Pool, 'a')).ok);
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Pool } from '../../../src/api/pool.ts';
import { poolSpecSchema } from '../../../src/api/pool.ts';
import { deriveSlotKey } from '../../../src/controller/slot-keys.ts';
import { dataAddressOf, linkUrlOf, poolUidOf, renderSlotPod } from '../../../src/controller/slot-pod.ts';

const pool: Pool = {
  apiVersion: 'stoker.dev/v1alpha1',
  kind: 'Pool',
  metadata: { name: 'gpus', uid: 'pool-uid' },
  spec: poolSpecSchema.parse({ accelerator: { resourceName: 'nvidia.com/gpu', countPerSlot: 2 }, maxDrainSeconds: 45 }),
};
const template = { linkUrl: 'ws://127.0.0.1:8083', serviceAccount: 'stoker-slot', release: '1.2.3' };

describe('the Pod of a slot', () => {
  const pod = renderSlotPod(pool, 7, template);
  const [agent] = pod.spec.containers;

  test('belongs to its pool and has a name that its serial gives', () => {
    assert.match(pod.metadata.name, /^gpus-[0-9a-f]{8}$/);
    assert.equal(renderSlotPod(pool, 7, template).metadata.name, pod.metadata.name);
    assert.notEqual(renderSlotPod(pool, 8, template).metadata.name, pod.metadata.name);
    assert.equal(poolUidOf(pod), 'pool-uid');
    assert.equal(pod.metadata.labels?.['stoker.dev/pool'], 'gpus');
  });

  test('asks for exactly one accelerator set, and for no token of the API', () => {
    const amounts = { 'nvidia.com/gpu': '2' };
    assert.deepEqual(agent?.resources, { requests: amounts, limits: amounts });
    assert.equal(pod.spec.automountServiceAccountToken, false);
    assert.equal(pod.spec.serviceAccountName, 'stoker-slot');
  });

  test('lets the agent drain for all of maxDrainSeconds before it is killed', () => {
    assert.equal(agent?.env?.find(({ name }) => name === 'STOKER_DRAIN_SECONDS')?.value, '45');
    assert.equal(pod.spec.terminationGracePeriodSeconds, 50);
  });

  test('says where the hub is and what runs', () => {
    assert.equal(linkUrlOf(pod), template.linkUrl);
    assert.deepEqual(agent?.command, ['stoker', 'agent']);
  });

  test('is reached at the address in its status, never at one that it reports', () => {
    assert.equal(dataAddressOf(pod, 9000), undefined);
    assert.equal(dataAddressOf({ ...pod, status: { podIP: '10.0.0.7' } }, 9000), '10.0.0.7:9000');
    assert.equal(dataAddressOf({ ...pod, status: { podIP: 'fd00::7' } }, 9000), '[fd00::7]:9000');
  });
});

test('a slot key follows from seed, Pod and version, and from nothing else', () => {
  const seed = new Uint8Array(32).fill(7);
  const key = deriveSlotKey(seed, 'pod-1', 1);
  assert.match(key, /^[0-9a-f]{64}$/);
  assert.equal(deriveSlotKey(seed, 'pod-1', 1), key);
  const others = [
    deriveSlotKey(seed, 'pod-2', 1),
    deriveSlotKey(seed, 'pod-1', 2),
    deriveSlotKey(new Uint8Array(32), 'pod-1', 1),
  ];
  assert.equal(new Set([key, ...others]).size, 4);
});

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

describe('the Pod of a slot on a cluster', () => {
  const slotPods = {
    image: 'registry.example/stoker-llama@sha256:1',
    pullPolicy: 'Never',
    pullSecrets: ['mine'],
  } as const;
  const placed: Pool = {
    ...pool,
    spec: poolSpecSchema.parse({
      accelerator: { resourceName: 'nvidia.com/gpu', countPerSlot: 2 },
      pod: {
        nodeSelector: { 'nvidia.com/gpu.product': 'H100' },
        tolerations: [{ key: 'nvidia.com/gpu', operator: 'Exists' }],
        runtimeClassName: 'nvidia',
        cpuMillis: 4000,
        memoryBytes: 1_000_000_000,
        sharedMemoryBytes: 500_000_000,
      },
    }),
  };
  const pod = renderSlotPod(placed, 7, { ...template, slotPods, linkCaConfigMap: 'stoker-link-ca' });
  const [agent] = pod.spec.containers;

  test('runs the image that the controller is told, with what nodes pull it with', () => {
    assert.equal(agent?.image, slotPods.image);
    const told = ({ bindHost, logLevel }: { bindHost?: string; logLevel?: string }, cpuMillis?: number) => {
      const spec = { ...placed.spec, pod: { ...placed.spec.pod, cpuMillis } };
      const given = { ...template, slotPods: { ...slotPods, bindHost, logLevel } };
      const env = renderSlotPod({ ...placed, spec }, 7, given).spec.containers[0]?.env ?? [];
      const names = ['STOKER_BIND_HOST', 'STOKER_LOG_LEVEL', 'STOKER_ENGINE_THREADS'];
      return names.map((name) => env.find((one) => one.name === name)?.value);
    };
    assert.deepEqual(told({}), [undefined, undefined, undefined]);
    assert.deepEqual(told({ bindHost: '::', logLevel: 'debug' }, 4500), ['::', 'debug', '4']);
    assert.equal(told({}, 300)[2], '1');
    assert.equal(agent?.imagePullPolicy, 'Never');
    assert.deepEqual(pod.spec.imagePullSecrets, [{ name: 'mine' }]);
  });

  test('is restricted: no root, no rights, and three folders to write to', () => {
    assert.deepEqual(agent?.securityContext, {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    assert.equal((pod.spec.securityContext as { runAsNonRoot?: boolean }).runAsNonRoot, true);
    const writable = agent?.volumeMounts?.filter(({ readOnly }) => readOnly !== true).map(({ mountPath }) => mountPath);
    assert.deepEqual(writable, ['/var/lib/stoker', '/tmp', '/dev/shm']);
    assert.deepEqual([pod.spec.shareProcessNamespace, pod.spec.enableServiceLinks], [true, false]);
  });

  test('goes where the Pool says, asks for what it says, and is not moved to save a node', () => {
    assert.deepEqual(pod.spec.nodeSelector, { 'nvidia.com/gpu.product': 'H100' });
    assert.deepEqual(pod.spec.tolerations, [{ key: 'nvidia.com/gpu', operator: 'Exists' }]);
    assert.equal(pod.spec.runtimeClassName, 'nvidia');
    const amounts = { 'nvidia.com/gpu': '2', memory: '1500000000' };
    assert.deepEqual(agent?.resources, { requests: { ...amounts, cpu: '4000m' }, limits: amounts });
    assert.equal(pod.metadata.annotations?.['cluster-autoscaler.kubernetes.io/safe-to-evict'], 'false');
  });

  test('has the memory of its sleepers on top', () => {
    const spec = { ...placed.spec, sleeperBytes: 3_000_000_000 };
    const [roomy] = renderSlotPod({ ...placed, spec }, 7, { ...template, slotPods }).spec.containers;
    assert.equal(roomy?.resources?.limits?.memory, '4500000000');
    assert.equal(roomy?.resources?.requests?.memory, '4500000000');
  });

  test('asks for what is planned with and has no limit, where the Pool does not say what an engine takes', () => {
    const { accelerator } = placed.spec;
    const memoryOf = (spec: object) => {
      const given = { ...placed, spec: poolSpecSchema.parse({ accelerator, ...spec }) };
      const { requests, limits } =
        renderSlotPod(given, 7, { ...template, slotPods }).spec.containers[0]?.resources ?? {};
      return [requests?.memory, limits?.memory];
    };
    assert.deepEqual(memoryOf({}), [undefined, undefined]);
    assert.deepEqual(memoryOf({ sleeperBytes: 3_000_000_000 }), ['3000000000', undefined]);
    assert.deepEqual(memoryOf({ pod: { sharedMemoryBytes: 500_000_000 } }), ['500000000', undefined]);
    // One machine promises nothing.
    const local = renderSlotPod({ ...placed, spec: { ...placed.spec, sleeperBytes: 3_000_000_000 } }, 7, template);
    assert.equal(local.spec.containers[0]?.resources?.requests?.memory, undefined);
  });

  test('trusts the authority of the link, beside its token', () => {
    const link = pod.spec.volumes?.find(({ name }) => name === 'link-token');
    assert.deepEqual(link?.projected?.sources[1]?.configMap?.name, 'stoker-link-ca');
    assert.equal(agent?.env?.find(({ name }) => name === 'STOKER_LINK_CA_FILE')?.value, '/var/run/stoker/link/ca.crt');
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

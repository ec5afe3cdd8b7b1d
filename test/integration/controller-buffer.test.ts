// CapacityBuffers of a Pool: asked for as the reserve says and as slots.max leaves, written where the API is, told where it or a
// right is missing, somebody else's left alone, and gone with the wish. On a manual clock, with the cluster in memory.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import type { ClusterObject, KindRef } from '../../src/api/group.ts';
import { capacityBufferKinds, kinds, podTemplateKind } from '../../src/api/kinds.ts';
import { fail } from '../../src/lib/result.ts';
import type { ClusterError } from '../../src/ports/cluster.ts';
import { createLab, type Lab } from '../support/controller-lab.ts';

const slotPods = { image: 'stoker:1', pullPolicy: 'Never' as const, pullSecrets: [] };
const [newest, older] = capacityBufferKinds;
assert.ok(newest !== undefined && older !== undefined);

let lab: Lab;
beforeEach(async () => {
  lab = await createLab({ slotPods });
});
afterEach(async () => {
  await lab.stop();
  assert.equal(lab.clock.pendingTimers(), 0, 'no timer is left');
});

const NAME = 'stoker-slots-default';
const condition = () =>
  lab.cluster.must(kinds.Pool, 'default').status?.conditions?.find(({ type }) => type === 'CapacityBuffered');
const buffer = () => lab.cluster.get(newest, NAME);
const writes = () => lab.cluster.writes.filter((write) => /CapacityBuffer|PodTemplate/.test(write));

async function start(pool: object) {
  lab.pool('default', pool);
  lab.model('a');
  lab.router().demand([]);
  await lab.pass(5000);
}

/** The server answers so for objects of one API version; the cluster in memory tells kinds apart by their name alone. */
function answerFor(apiVersions: readonly string[], error: ClusterError) {
  const { create, read } = lab.cluster;
  const isMeant = (kind: KindRef) => apiVersions.includes(kind.apiVersion) && kind.kind === 'CapacityBuffer';
  lab.cluster.create = async <T extends ClusterObject>(kind: KindRef<T>, object: T, signal?: AbortSignal) =>
    isMeant(kind) ? fail<ClusterError>(error) : create(kind, object, signal);
  lab.cluster.read = async <T extends ClusterObject>(kind: KindRef<T>, name: string, signal?: AbortSignal) =>
    isMeant(kind) ? fail<ClusterError>(error) : read(kind, name, signal);
}

const missing: ClusterError = { reason: 'NotFound', message: 'the server could not find the requested resource' };

test('nodes are asked for as many slots as should stand free, of the shape of a slot', async () => {
  await start({
    slots: { max: 8 },
    spare: { min: 2, capacityBuffer: true },
    accelerator: { resourceName: 'nvidia.com/gpu', countPerSlot: 2 },
    pod: { nodeSelector: { gpu: 'h100' }, tolerations: [{ key: 'gpu', operator: 'Exists' }] },
  });
  assert.deepEqual(buffer()?.spec, {
    provisioningStrategy: 'buffer.x-k8s.io/active-capacity',
    podTemplateRef: { name: NAME },
    replicas: 2,
  });
  const { template, metadata } = lab.cluster.must(podTemplateKind, NAME);
  const shape = template.spec as { nodeSelector: object; tolerations: object; containers: { resources: object }[] };
  assert.deepEqual(shape.nodeSelector, { gpu: 'h100' });
  assert.deepEqual(shape.tolerations, [{ key: 'gpu', operator: 'Exists' }]);
  const accelerators = { 'nvidia.com/gpu': '2' };
  assert.deepEqual(shape.containers[0]?.resources, { requests: accelerators, limits: accelerators });
  assert.deepEqual(
    [metadata, buffer()?.metadata].map((one) => one?.ownerReferences?.map(({ kind, name }) => [kind, name])),
    [[['Pool', 'default']], [['Pool', 'default']]],
  );
  assert.deepEqual([condition()?.status, condition()?.reason], ['True', 'BufferKept']);
  assert.match(condition()?.message ?? '', /asks for nodes for 2 more slots/);
  const before = writes().length;
  await lab.pass(120_000);
  assert.equal(writes().length, before, 'nothing is written while nothing changes');
});

test('never for more than the pool may still make', async () => {
  await start({ slots: { max: 3 }, spare: { min: 2, capacityBuffer: true } });
  assert.equal(buffer()?.spec.replicas, 1);
  lab.cluster.change(kinds.Pool, 'default', { spec: { slots: { max: 2 } } });
  await lab.pass(5000);
  assert.equal(buffer()?.spec.replicas, 0);
});

test('an older version of the API will do', async () => {
  answerFor([newest.apiVersion], missing);
  await start({ slots: { max: 4 }, spare: { min: 1, capacityBuffer: true } });
  assert.equal(lab.cluster.get(older, NAME)?.apiVersion, older.apiVersion);
  assert.equal(condition()?.reason, 'BufferKept');
});

test('a cluster without the API is said to be one, and asked again after a while', async () => {
  const { create, read } = lab.cluster;
  answerFor([newest.apiVersion, older.apiVersion], missing);
  await start({ slots: { max: 4 }, spare: { min: 1, capacityBuffer: true } });
  assert.deepEqual([condition()?.status, condition()?.reason], ['False', 'BufferApiMissing']);
  assert.equal(lab.cluster.get(podTemplateKind, NAME), undefined, 'nothing is left behind');
  Object.assign(lab.cluster, { create, read });
  await lab.pass(400_000);
  assert.equal(condition()?.reason, 'BufferKept');
});

test('a right that is missing is said with what gives it', async () => {
  answerFor([newest.apiVersion], { reason: 'Forbidden', message: 'capacitybuffers is forbidden.' });
  await start({ slots: { max: 4 }, spare: { min: 1, capacityBuffer: true } });
  assert.deepEqual([condition()?.status, condition()?.reason], ['False', 'BufferRefused']);
  assert.match(condition()?.message ?? '', /capacitybuffers is forbidden\. Set rbac\.capacityBuffers=true/);
});

test('what belongs to somebody else is left alone', async () => {
  lab.cluster.put(newest, NAME, { replicas: 7 });
  await start({ slots: { max: 4 }, spare: { min: 1, capacityBuffer: true } });
  assert.equal(condition()?.reason, 'BufferTaken');
  assert.deepEqual(buffer()?.spec, { replicas: 7 });
  lab.cluster.change(kinds.Pool, 'default', { spec: { spare: { capacityBuffer: null } } });
  await lab.pass(5000);
  assert.deepEqual(buffer()?.spec, { replicas: 7 });
  assert.equal(condition(), undefined);
});

test('they go with the wish', async () => {
  await start({ slots: { max: 4 }, spare: { min: 1, capacityBuffer: true } });
  assert.ok(buffer() !== undefined);
  lab.cluster.change(kinds.Pool, 'default', { spec: { spare: { capacityBuffer: false } } });
  await lab.pass(5000);
  assert.deepEqual([buffer(), lab.cluster.get(podTemplateKind, NAME), condition()], [undefined, undefined, undefined]);
  assert.equal(lab.cluster.must(kinds.Pool, 'default').status?.spareWanted, 1, 'the spare slots stay');
});

test('a Pool that does not ask has none, and one machine has no nodes to ask for', async () => {
  await start({ slots: { max: 4 }, spare: { min: 1 } });
  assert.deepEqual([writes(), condition()], [[], undefined]);
  await lab.stop();
  lab = await createLab();
  await start({ slots: { max: 4 }, spare: { min: 1, capacityBuffer: true } });
  assert.deepEqual([condition()?.status, condition()?.reason], ['False', 'OneMachine']);
  assert.deepEqual(writes(), []);
});

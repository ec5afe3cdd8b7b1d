// What the API server does not take, or not now: told in conditions and Events with what to do, tried again more and more slowly,
// and mended without a restart. On a manual clock, with the cluster in memory.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { KindRef } from '../../src/api/group.ts';
import { capacityBufferKinds, kinds, podTemplateKind } from '../../src/api/kinds.ts';
import { fail } from '../../src/lib/result.ts';
import type { ClusterError } from '../../src/ports/cluster.ts';
import { createLab, type Lab } from '../support/controller-lab.ts';

let lab: Lab;
beforeEach(async () => {
  lab = await createLab();
});
afterEach(async () => {
  await lab.stop();
  assert.equal(lab.clock.pendingTimers(), 0, 'no timer is left');
});

const pool = () => lab.cluster.must(kinds.Pool, 'default');
const writesOf = (start: string) => lab.cluster.writes.filter((write) => write.startsWith(start)).length;

describe('a server that fails for a while', () => {
  test('is asked less and less, and what a person changes meanwhile is acted on at once when it is back', async () => {
    lab.pool('default', { slots: { min: 0, max: 1 } });
    lab.model('a');
    await lab.pass(1000);
    lab.cluster.change(kinds.Pool, 'default', { spec: { slots: { max: 2 } } });
    lab.cluster.change(kinds.Model, 'a', { spec: { scaling: { maxAwake: 2 } } });
    lab.cluster.fault = { reason: 'Unavailable', message: 'away' };
    const before = lab.cluster.writes.length;
    await lab.pass(120_000);
    const tries = lab.cluster.writes.length - before;
    assert.ok(tries >= 10 && tries < 60, `${tries} writes in two minutes`);
    lab.cluster.fault = undefined;
    lab.cluster.change(kinds.Pool, 'default', { spec: { slots: { max: 3 } } });
    lab.cluster.change(kinds.Model, 'a', { spec: { scaling: { maxAwake: 3 } } });
    await lab.pass(20);
    assert.equal(pool().status?.observedGeneration, 3);
    assert.equal(lab.cluster.must(kinds.Model, 'a').status?.observedGeneration, 3);
  });

  test('or a watch that is silent does not have the same write again and again', async () => {
    const { patchStatus } = lab.cluster;
    lab.pool('default', { slots: { min: 0, max: 1 } });
    lab.model('a');
    await lab.pass(1000);
    lab.cluster.patchStatus = async (kind, name) => {
      lab.cluster.writes.push(`status ${kind.kind} ${name}`);
      return fail<ClusterError>({ reason: 'Conflict', message: 'the object has been modified' });
    };
    lab.cluster.change(kinds.Pool, 'default', { spec: { slots: { max: 2 } } });
    lab.cluster.change(kinds.Model, 'a', { spec: { scaling: { maxAwake: 2 } } });
    const before = writesOf('status ');
    await lab.pass(5000);
    const tries = writesOf('status ') - before;
    assert.ok(tries >= 6 && tries <= 40, `${tries} writes in five seconds`);
    lab.cluster.patchStatus = patchStatus;
    await lab.pass(30_000);
    assert.equal(pool().status?.observedGeneration, 2);
  });
});

const trouble = () => pool().status?.conditions?.find(({ type }) => type === 'SlotTrouble');
const toldOf = (reason: string) => lab.cluster.events.filter((event) => event.reason === reason);

/** Of a webhook on Pods that nobody serves. */
const webhookFails: ClusterError = {
  reason: 'Unavailable',
  message:
    'Internal error occurred: failed calling webhook "pods.example.com": failed to call webhook: Post "https://hook.kube-system.svc:443/pods?timeout=10s": dial tcp 10.0.0.9:443: connect: connection refused',
};

describe('a slot that the server does not make', () => {
  const failures: readonly (readonly [string, ClusterError, string, RegExp])[] = [
    [
      'a webhook is down',
      webhookFails,
      'WebhookFailed',
      /failed calling webhook "pods\.example\.com".*Mend what serves it/,
    ],
    ['it is out of order', { reason: 'Unavailable', message: 'etcdserver: no leader' }, 'ServerFailed', /no leader/],
    [
      'it does not answer in time',
      { reason: 'Timeout', message: 'context deadline exceeded' },
      'ServerFailed',
      /tried again/,
    ],
    [
      'it has too much to do',
      { reason: 'Throttled', message: 'too many requests' },
      'ServerFailed',
      /too many requests/,
    ],
  ];
  for (const [why, error, reason, message] of failures) {
    test(`because ${why} is tried more and more slowly, told, and made once it is taken`, async () => {
      lab.cluster.refused = { kind: 'Pod', error };
      lab.pool('default', { slots: { min: 1, max: 1 } });
      await lab.pass(1000);
      assert.deepEqual([trouble()?.status, trouble()?.reason], ['True', reason], 'it is said at once');
      assert.match(trouble()?.message ?? '', message);
      await lab.pass(120_000, 50);
      const tries = writesOf('create Pod ');
      assert.ok(tries >= 4 && tries <= 6, `${tries} tries in two minutes`);
      assert.ok(lab.cluster.writes.length < 30, `${lab.cluster.writes.length} writes in two minutes`);
      assert.equal(pool().status?.conditions?.find(({ type }) => type === 'Ready')?.reason, reason);
      const told = toldOf(reason);
      assert.ok(told.length >= 1 && told.length <= tries + 1, `${told.length} Events`);
      lab.cluster.refused = undefined;
      await lab.pass(180_000, 50);
      assert.equal(lab.agents.size, 1);
      assert.equal(trouble()?.reason, 'NoTrouble');
    });
  }

  test('is not asked for again before the time that it said', async () => {
    lab.cluster.refused = { kind: 'Pod', error: { reason: 'Throttled', message: 'busy', retryAfterMs: 40_000 } };
    lab.pool('default', { slots: { min: 1, max: 1 } });
    await lab.pass(39_000);
    assert.equal(writesOf('create Pod '), 1);
    await lab.pass(2000);
    assert.equal(writesOf('create Pod '), 2);
    lab.cluster.refused = { kind: 'Pod', error: { reason: 'Throttled', message: 'busy', retryAfterMs: 86_400_000 } };
    await lab.pass(150_000, 50);
    assert.ok(writesOf('create Pod ') >= 4, 'a day is not believed');
  });

  test('is asked for at once when somebody changes the Pool', async () => {
    lab.cluster.refused = {
      kind: 'Pod',
      error: { reason: 'Forbidden', message: 'pods "x" is forbidden: violates PodSecurity "restricted:latest"' },
    };
    lab.pool('default', { slots: { min: 1, max: 1 } });
    await lab.pass(300_000, 50);
    assert.equal(trouble()?.reason, 'PodSecurityRefused');
    lab.cluster.refused = undefined;
    lab.cluster.change(kinds.Pool, 'default', { spec: { pod: { security: 'Restricted' } } });
    await lab.pass(100);
    assert.equal(lab.agents.size, 1);
  });
});

test('a slot that may not be deleted is said to be, and how many there are goes on being told', async () => {
  lab.pool('default', { slots: { min: 2, max: 2 } });
  await lab.pass(12_000);
  const { remove } = lab.cluster;
  const message =
    'pods "x" is forbidden: User "system:serviceaccount:llm:c" cannot delete resource "pods" in API group ""';
  lab.cluster.remove = async (kind, name) => {
    lab.cluster.writes.push(`delete ${kind.kind} ${name}`);
    return fail<ClusterError>({ reason: 'Forbidden', message });
  };
  lab.cluster.change(kinds.Pool, 'default', { spec: { slots: { min: 1, max: 1 } } });
  await lab.pass(60_000);
  assert.deepEqual([trouble()?.status, trouble()?.reason], ['True', 'MissingRight']);
  assert.match(trouble()?.message ?? '', /cannot delete resource "pods".*rbac\.create=true/);
  assert.equal(pool().status?.observedGeneration, 2);
  assert.ok(toldOf('MissingRight').length >= 1);
  const tries = writesOf('delete Pod ');
  assert.ok(tries >= 5 && tries <= 16, `${tries} tries in a minute`);
  lab.cluster.remove = remove;
  await lab.pass(60_000);
  assert.deepEqual([pool().status?.slots, trouble()?.reason], [1, 'NoTrouble']);
});

test('a NetworkPolicy of somebody else keeps a Pool from its slots: it says so, and goes on when the name is free', async () => {
  await lab.stop();
  const releaseLabels = { 'app.kubernetes.io/instance': 'stoker' };
  lab = await createLab({ slotPods: { image: 'stoker:1', pullPolicy: 'Never', pullSecrets: [], releaseLabels } });
  lab.cluster.put(kinds.NetworkPolicy, 'stoker-slots-default', { podSelector: {} });
  lab.pool('default', { slots: { min: 1, max: 1 } });
  await lab.pass(30_000);
  assert.deepEqual([trouble()?.status, trouble()?.reason], ['True', 'PolicyTaken']);
  assert.match(trouble()?.message ?? '', /stoker-slots-default belongs to somebody else.*or delete it\.$/);
  assert.equal(pool().status?.conditions?.find(({ type }) => type === 'Ready')?.reason, 'PolicyTaken');
  assert.deepEqual(
    new Set(toldOf('PolicyTaken').map(({ regarding, message }) => `${regarding.kind}: ${message}`)),
    new Set([`Pool: ${trouble()?.message ?? ''}`]),
  );
  assert.equal(lab.agents.size, 0);
  lab.cluster.drop(kinds.NetworkPolicy, 'stoker-slots-default');
  await lab.pass(70_000);
  assert.deepEqual([lab.agents.size, trouble()?.reason], [1, 'NoTrouble']);
});

describe('a version', () => {
  const condition = (type: string) =>
    lab.cluster.must(kinds.Model, 'a').status?.conditions?.find((one) => one.type === type);

  test('whose ModelRevision may not be made is said not to be pinned, and pinned once it may', async () => {
    const message =
      'modelrevisions.stoker.dev is forbidden: User "c" cannot create resource "modelrevisions" in API group "stoker.dev"';
    lab.cluster.refused = { kind: 'ModelRevision', error: { reason: 'Forbidden', message } };
    lab.model('a');
    await lab.pass(60_000);
    assert.deepEqual([condition('Pinned')?.status, condition('Pinned')?.reason], ['False', 'MissingRight']);
    assert.match(condition('Pinned')?.message ?? '', /cannot create resource "modelrevisions".*rbac\.create=true/);
    assert.equal(condition('Ready')?.reason, 'MissingRight');
    assert.ok(toldOf('MissingRight').every(({ regarding }) => regarding.kind === 'Model'));
    assert.ok(toldOf('MissingRight').length >= 1);
    const tries = writesOf('create ModelRevision ');
    assert.ok(tries >= 4 && tries <= 12, `${tries} tries in a minute`);
    lab.cluster.refused = undefined;
    await lab.pass(61_000);
    assert.equal(condition('Pinned')?.status, 'True');
  });

  test('that is another one now is pinned at once', async () => {
    lab.weights.set('other.gguf', { sha256: 'b'.repeat(64), sizeBytes: 1_000_000, trainedContextLength: 2048 });
    lab.cluster.refused = { kind: 'ModelRevision', error: { reason: 'Unavailable', message: 'etcdserver: no leader' } };
    lab.model('a');
    await lab.pass(120_000, 50);
    assert.equal(condition('Pinned')?.status, 'Unknown', 'it passes by itself');
    lab.cluster.refused = undefined;
    lab.cluster.change(kinds.Model, 'a', { spec: { version: { weights: { file: { path: 'other.gguf' } } } } });
    await lab.pass(20);
    assert.equal(condition('Pinned')?.status, 'True');
  });

  test('that the cache does not show for a while is not pinned again and again', async () => {
    const { list, get } = lab.cluster;
    lab.cluster.list = (kind) => (kind.kind === 'ModelRevision' ? [] : list(kind));
    lab.cluster.get = (kind, name) => (kind.kind === 'ModelRevision' ? undefined : get(kind, name));
    lab.model('a');
    await lab.pass(90_000);
    const tries = writesOf('create ModelRevision ');
    assert.ok(tries >= 1 && tries <= 4, `${tries} tries in 90 s`);
    assert.ok(lab.cluster.writes.length < 12, `${lab.cluster.writes.length} writes in 90 s`);
    Object.assign(lab.cluster, { list, get });
    await lab.pass(31_000);
    assert.equal(condition('Pinned')?.status, 'True');
  });

  test('whose revision is on its way out is pinned when that is gone, and its source is not asked before', async () => {
    lab.model('a');
    await lab.pass(100);
    const { name, uid } = lab.cluster.list(kinds.ModelRevision)[0]?.metadata ?? assert.fail('nothing is pinned');
    lab.cluster.change(kinds.ModelRevision, name, { metadata: { finalizers: ['foregroundDeletion'] } });
    lab.cluster.drop(kinds.ModelRevision, name);
    const before = writesOf('create ModelRevision ');
    await lab.pass(30_000);
    assert.equal(writesOf('create ModelRevision '), before);
    lab.cluster.change(kinds.ModelRevision, name, { metadata: { finalizers: null } });
    await lab.pass(5100);
    assert.equal(condition('Pinned')?.status, 'True');
    assert.notEqual(lab.cluster.must(kinds.ModelRevision, name).metadata.uid, uid);
  });
});

/** Made anew under its name, while what the one before had is still being collected. */
describe('what comes after another of its name', () => {
  const releaseLabels = { 'app.kubernetes.io/instance': 'stoker' };
  const slotPods = { image: 'stoker:1', pullPolicy: 'Never', pullSecrets: [], releaseLabels } as const;
  const hold = { metadata: { finalizers: ['test/slow'] } };
  const letGo = { metadata: { finalizers: null } };
  const warnings = () => lab.cluster.events.filter(({ type }) => type === 'Warning').map(({ reason }) => reason);

  test('is a Model that waits for the old revision, asks nobody meanwhile, and warns of nothing', async () => {
    lab.pool('default', { slots: { min: 0, max: 1 } });
    lab.model('a');
    await lab.pass(100);
    const [old] = lab.cluster.list(kinds.ModelRevision);
    const { name, finalizers = [] } = old?.metadata ?? assert.fail('nothing is pinned');
    lab.cluster.change(kinds.ModelRevision, name, { metadata: { finalizers: [...finalizers, 'test/slow'] } });
    lab.cluster.drop(kinds.Model, 'a');
    await lab.pass(12_000);
    assert.equal(lab.cluster.get(kinds.Model, 'a'), undefined);
    lab.model('a');
    const before = writesOf('create ModelRevision ');
    await lab.pass(20_000);
    const pinned = () => lab.cluster.must(kinds.Model, 'a').status?.conditions?.find(({ type }) => type === 'Pinned');
    assert.deepEqual([pinned()?.status, pinned()?.reason], ['Unknown', 'Resolving']);
    assert.match(pinned()?.message ?? '', new RegExp(`The ModelRevision ${name} from before is still being deleted`));
    assert.deepEqual([writesOf('create ModelRevision '), warnings()], [before, []]);
    lab.cluster.change(kinds.ModelRevision, name, letGo);
    await lab.pass(100);
    assert.equal(pinned()?.status, 'True');
  });

  test('is a Model that meets a revision which the cache does not show yet', async () => {
    lab.pool('default', { slots: { min: 0, max: 1 } });
    lab.model('a');
    await lab.pass(100);
    const { name } = lab.cluster.list(kinds.ModelRevision)[0]?.metadata ?? assert.fail('nothing is pinned');
    const { list } = lab.cluster;
    lab.cluster.list = (kind) => (kind.kind === 'ModelRevision' ? [] : list(kind));
    // Another object of the name, before anything is collected.
    lab.model('a');
    await lab.pass(30_000);
    const tries = writesOf('create ModelRevision ') - 1;
    assert.ok(tries >= 3 && tries <= 12, `${tries} tries`);
    assert.deepEqual(warnings(), []);
    lab.cluster.list = list;
    lab.cluster.drop(kinds.ModelRevision, name);
    await lab.pass(5100);
    assert.equal(
      lab.cluster.must(kinds.Model, 'a').status?.conditions?.find(({ type }) => type === 'Pinned')?.status,
      'True',
    );
  });

  test('is a Pool that waits for the old NetworkPolicy and CapacityBuffer, and has its slot a second after them', async () => {
    await lab.stop();
    lab = await createLab({ slotPods });
    const spec = { slots: { min: 1, max: 2 }, spare: { min: 1, capacityBuffer: true } };
    const name = 'stoker-slots-default';
    const olds: readonly KindRef[] = [kinds.NetworkPolicy, ...capacityBufferKinds.slice(0, 1), podTemplateKind];
    lab.pool('default', spec);
    await lab.pass(12_000);
    const ended = lab.cluster.must(kinds.Pool, 'default').metadata.uid;
    for (const kind of olds) lab.cluster.change(kind, name, hold);
    lab.cluster.drop(kinds.Pool, 'default');
    await lab.pass(12_000);
    assert.equal(lab.cluster.get(kinds.Pool, 'default'), undefined);
    lab.pool('default', spec);
    const [agents, told] = [lab.agents.size, warnings().length];
    await lab.pass(40_000, 50);
    const condition = (type: string) => pool().status?.conditions?.find((one) => one.type === type);
    assert.deepEqual([condition('Ready')?.reason, trouble()?.reason], ['SlotsStarting', 'NoTrouble']);
    assert.equal(condition('CapacityBuffered'), undefined);
    assert.deepEqual([lab.agents.size, warnings().length], [agents, told]);
    for (const kind of olds) {
      assert.equal(lab.cluster.must(kind, name).metadata.ownerReferences?.[0]?.uid, ended);
      lab.cluster.drop(kind, name);
      lab.cluster.change(kind, name, letGo);
    }
    await lab.pass(2500);
    assert.equal(lab.agents.size, agents + 1);
    assert.equal(condition('CapacityBuffered')?.reason, 'BufferKept');
  });
});

describe('a Pool that is being deleted', () => {
  const countLooks = async () =>
    [...(await lab.metrics.render()).matchAll(/stoker_reconciles_total\{kind="Pool",outcome="\w+"\} (\d+)/g)]
      .map(([, figure]) => Number(figure))
      .reduce((sum, figure) => sum + figure, 0);
  const ready = () => pool().status?.conditions?.find(({ type }) => type === 'Ready');

  test('says which Pods it waits for, what to do when their node is gone, once, and goes when they are', async () => {
    await lab.stop();
    lab = await createLab({ startsPods: false });
    lab.pool('default', { slots: { min: 1, max: 1 } });
    await lab.pass(11_000);
    const [pod] = lab.cluster.list(kinds.Pod);
    const { name } = pod?.metadata ?? assert.fail('there is no slot');
    lab.cluster.change(kinds.Pod, name, { spec: { nodeName: 'n1' } });
    lab.cluster.setPodStatus(name, { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] });
    lab.cluster.drop(kinds.Pool, 'default');
    await lab.pass(100);
    assert.deepEqual([ready()?.reason, trouble()?.reason], ['Deleting', 'NoTrouble']);
    assert.match(ready()?.message ?? '', new RegExp(`waits for the Pods of its slots: ${name}\\. They answer`));
    lab.cluster.setPodStatus(name, {
      phase: 'Running',
      conditions: [{ type: 'Ready', status: 'False' }],
    });
    await lab.pass(100);
    assert.deepEqual([trouble()?.status, trouble()?.reason], ['True', 'DeletionStuck']);
    assert.match(trouble()?.message ?? '', new RegExp(`${name} on the node n1 does not end.*kubectl delete node n1`));
    assert.match(ready()?.message ?? '', /kubectl delete node n1/);
    const [writes, looks] = [lab.cluster.writes.length, await countLooks()];
    await lab.pass(600_000, 100);
    assert.equal(lab.cluster.writes.length, writes, 'nothing is written while nothing changes');
    const more = (await countLooks()) - looks;
    assert.ok(more >= 60 && more <= 100, `${more} looks in ten minutes`);
    assert.equal(toldOf('DeletionStuck').length, 1);
    lab.cluster.endPod(name);
    await lab.pass(100);
    assert.equal(lab.cluster.get(kinds.Pool, 'default'), undefined);
  });

  test('tells of a Pod that is there long after it should have ended, and of one that may not be deleted', async () => {
    await lab.stop();
    lab = await createLab({ startsPods: false });
    lab.pool('default', { slots: { min: 1, max: 1 } });
    await lab.pass(11_000);
    const { remove } = lab.cluster;
    const message = 'pods "x" is forbidden: User "c" cannot delete resource "pods" in API group ""';
    lab.cluster.remove = async () => fail<ClusterError>({ reason: 'Forbidden', message });
    lab.cluster.drop(kinds.Pool, 'default');
    await lab.pass(1000);
    assert.equal(trouble()?.reason, 'MissingRight');
    lab.cluster.remove = remove;
    await lab.pass(30_000);
    assert.deepEqual([trouble()?.reason, ready()?.reason], ['NoTrouble', 'Deleting']);
    // Its grace, and a while.
    await lab.pass(150_000);
    assert.equal(trouble()?.reason, 'DeletionStuck');
    assert.match(trouble()?.message ?? '', /does not end, so the Pool stays\. `kubectl describe pod /);
  });
});

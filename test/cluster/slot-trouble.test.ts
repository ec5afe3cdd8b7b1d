// Slots that cannot be, on a real API server: the test is scheduler and kubelet and writes what they would. The Pool says
// what is wrong, an Event says it once, and whatever happens the server gets few writes.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { delay, systemClock } from '../../src/lib/clock.ts';
import type { ControlPlane } from '../support/cluster/control-plane.ts';
import { type Lab, startLab } from '../support/cluster/lab.ts';
import { simulatedModel, simulatedPool } from '../support/cluster/questions.ts';
import { expect, type Json, joinCluster, startTestPlane } from '../support/cluster/test-cluster.ts';

const WAITED_MS_MIN = 9000;
/** Shorter than the wait before the third try. */
const REFUSED_MS = 6000;
/** For each change of a Pod: the status of the Pool and of the Model, an Event, and room for a repeated one. */
const WRITES_FOR_TROUBLE_MAX = 8;
/** Three slots that come and go: some twenty. A loop would make hundreds in that time. */
const WRITES_FOR_EVICTIONS_MAX = 60;

const now = '2026-01-01T00:00:00Z';
const waiting = (reason: string, message: string) => ({
  phase: 'Pending',
  conditions: [],
  containerStatuses: [container({ waiting: { reason, message } })],
});
const container = (state: object, more: object = {}) => ({
  ...{ name: 'agent', image: 'x', imageID: '', ready: false, started: false, restartCount: 3, state, ...more },
});
const refused = {
  terminated: {
    ...{ exitCode: 1, reason: 'Error', message: 'This image cannot run the agent.' },
    ...{ startedAt: now, finishedAt: now },
  },
};
/** An init container that ends again and again. */
const failingBefore = (name: string) => ({
  phase: 'Pending',
  conditions: [],
  containerStatuses: [container({ waiting: { reason: 'PodInitializing' } })],
  initContainerStatuses: [
    container({ waiting: { reason: 'CrashLoopBackOff' } }, { name, restartCount: 2, lastState: refused }),
  ],
});
const killed = { terminated: { exitCode: 137, reason: 'OOMKilled', startedAt: now, finishedAt: now } };

const troubles: readonly { reason: string; says: RegExp; status: object }[] = [
  {
    reason: 'Unschedulable',
    says: /no node takes it \(0\/3 nodes are available: 3 Insufficient nvidia\.com\/gpu\.\)\. Add nodes/,
    status: {
      phase: 'Pending',
      conditions: [
        {
          ...{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable' },
          message: '0/3 nodes are available: 3 Insufficient nvidia.com/gpu.',
        },
      ],
    },
  },
  {
    reason: 'ImagePullFailed',
    says: /does not get the image \(ImagePullBackOff: Back-off pulling image\)\. Look at image/,
    status: waiting('ImagePullBackOff', 'Back-off pulling image'),
  },
  {
    reason: 'AgentCrashing',
    says: /its agent ended 3 times/,
    status: waiting('CrashLoopBackOff', 'back-off 40s restarting failed container'),
  },
  {
    reason: 'OutOfMemory',
    says: /used more memory than it may and was killed\. Raise memoryBytes/,
    status: {
      phase: 'Running',
      conditions: [],
      containerStatuses: [container({ running: {} }, { lastState: killed })],
    },
  },
  {
    reason: 'ContainerNotCreated',
    says: /cannot be made \(CreateContainerConfigError: secret "hub" not found\)\. Something that the Pod names/,
    status: waiting('CreateContainerConfigError', 'secret "hub" not found'),
  },
  {
    reason: 'ImageUnusable',
    says: /its engine's image does not run the agent \(This image cannot run the agent\.\).*engine\.image/,
    status: failingBefore('check-image'),
  },
  {
    reason: 'InitFailed',
    says: /init container carry-agent ended with exit code 1 \(This image cannot run the agent\.\).*-c carry-agent/,
    status: failingBefore('carry-agent'),
  },
  {
    reason: 'Preempted',
    says: /a Pod of higher priority took its place .*priorityClassName/,
    status: {
      phase: 'Running',
      containerStatuses: [container({ running: {} })],
      conditions: [
        {
          ...{ type: 'DisruptionTarget', status: 'True', reason: 'PreemptionByScheduler' },
          // The cluster takes back what is older than two minutes.
          lastTransitionTime: new Date().toISOString(),
          message: 'default-scheduler: preempting to accommodate a higher priority pod',
        },
      ],
    },
  },
  {
    reason: 'NodeLost',
    says: /its node.* does not answer.*delete its Node object/,
    // The controller manager takes Ready without a reason, and leaves all else as the kubelet left it.
    status: {
      phase: 'Running',
      containerStatuses: [container({ running: { startedAt: now } }, { ready: true, started: true, restartCount: 0 })],
      conditions: [
        { type: 'ContainersReady', status: 'True', lastTransitionTime: now },
        { type: 'Ready', status: 'False', lastTransitionTime: now },
      ],
    },
  },
];

describe('slots that cannot be', { timeout: 240_000 }, () => {
  let plane: ControlPlane;
  let lab: Lab;
  let ownWrites = 0;
  before(async () => {
    plane = await startTestPlane();
    lab = await startLab(await joinCluster(plane.kubeconfig, () => plane.stop()), { node: false });
    await lab.startController('one').ready;
    await lab.create('pools', simulatedPool('sim', { min: 1, max: 1 }));
    await lab.create('models', simulatedModel('waits', 'sim', { scaling: { minAwake: 1 } }));
    await lab.until(async () => (await livePods()).length === 1, 'the slot to be made');
    // What is written about new objects has been written by then, and does not count as said about trouble.
    const isSettled = async () =>
      conditionOf(await lab.get('pools', 'sim'), 'SlotTrouble') !== undefined &&
      conditionOf(await lab.get('models', 'waits'), 'Ready')?.reason === 'NoSlot';
    await lab.until(isSettled, 'both objects to be looked at');
  });
  after(async () => {
    await lab.stop();
    await lab.cluster.close();
  });

  const livePods = async () =>
    (await lab.list('pods')).filter(({ metadata, status }) => !metadata.deletionTimestamp && status.phase !== 'Failed');

  async function setStatus(name: string, status: object): Promise<void> {
    ownWrites += 1;
    await expect(lab.cluster.client, 200, {
      method: 'PATCH',
      path: `/api/v1/namespaces/${lab.namespace}/pods/${name}/status`,
      body: { status: { reason: null, message: null, initContainerStatuses: null, ...status } },
      headers: { 'content-type': 'application/merge-patch+json' },
    });
  }

  const conditionOf = (object: Json, type: string) =>
    object.status?.conditions?.find((condition: Json) => condition.type === type);

  /** Writes that the server took or refused, of the kinds that troubles touch; ours are not counted. */
  async function writesOfController(): Promise<number> {
    const { body } = await lab.cluster.client.send({ method: 'GET', path: '/metrics' });
    let count = 0;
    for (const [, labels = '', value] of String(body).matchAll(/^apiserver_request_total\{([^}]*)\} (\d+)$/gm)) {
      const isWrite = /verb="(POST|PUT|PATCH|DELETE)"/.test(labels);
      const isWatched = /resource="(pods|pools|models|modelrevisions|events)"/.test(labels);
      if (isWrite && isWatched) count += Number(value);
    }
    return count - ownWrites;
  }

  for (const { reason, says, status } of troubles) {
    test(`${reason}: a condition with what to do, one Event, and few writes`, async () => {
      const [pod] = await livePods();
      const before = await writesOfController();
      assert.ok(before > 0, 'the server counts');
      await setStatus(pod.metadata.name, status);
      const isSaid = async () => conditionOf(await lab.get('pools', 'sim'), 'SlotTrouble')?.reason === reason;
      await lab.until(isSaid, `the Pool to say ${reason}`);
      const pool = await lab.get('pools', 'sim');
      assert.match(conditionOf(pool, 'SlotTrouble').message, says);
      assert.equal(conditionOf(pool, 'Ready').status, 'False');
      assert.equal(conditionOf(pool, 'Ready').reason, reason);
      const events = async () =>
        (await lab.list('events')).filter((event) => event.reason === reason && event.involvedObject.kind === 'Pool');
      await lab.until(async () => (await events()).length > 0, 'an Event');
      assert.deepEqual(
        (await events()).map(({ type, count = 1 }) => [type, count]),
        [['Warning', 1]],
      );
      assert.equal(conditionOf(await lab.get('models', 'waits'), 'Ready').status, 'False');
      const [same] = await livePods();
      assert.equal(same.metadata.uid, pod.metadata.uid, 'what may still work is not replaced');
      const writes = (await writesOfController()) - before;
      assert.ok(writes <= WRITES_FOR_TROUBLE_MAX, `${writes} writes`);
    });
  }

  const warningsOf = async (reason: string) =>
    (await lab.list('events')).filter((event) => event.reason === reason && event.involvedObject.kind === 'Pool')
      .length;

  test('slots that are evicted again and again are replaced more and more slowly', async (t) => {
    const before = await writesOfController();
    const seen = new Set<string>();
    const evict = async () => {
      const [pod] = await livePods();
      if (pod === undefined || seen.has(pod.metadata.name)) return seen.size;
      seen.add(pod.metadata.name);
      const message = 'The node was low on resource: memory.';
      await setStatus(pod.metadata.name, { phase: 'Failed', reason: 'Evicted', message, conditions: [] });
      return seen.size;
    };
    await lab.until(async () => (await evict()) === 2, 'the first one to be replaced at once');
    const startMs = performance.now();
    await lab.until(async () => (await evict()) === 3, 'the second one to be replaced');
    const waitedMs = performance.now() - startMs;
    assert.ok(waitedMs >= WAITED_MS_MIN, `it waited ${Math.round(waitedMs)} ms`);
    const writes = (await writesOfController()) - before;
    assert.ok(writes <= WRITES_FOR_EVICTIONS_MAX, `${writes} writes`);
    t.diagnostic(`${seen.size} evictions in ${Math.round(waitedMs)} ms: ${writes} writes of the controller`);
    const trouble = conditionOf(await lab.get('pools', 'sim'), 'SlotTrouble');
    assert.deepEqual([trouble.status, trouble.reason], ['True', 'Evicted'], 'said while no slot works');
    assert.match(trouble.message, /low on resource: memory.*ran short/);
    assert.equal(await warningsOf('Evicted'), 1);
  });

  test('a full disk is told apart from other evictions', async () => {
    await lab.until(async () => (await livePods()).length === 1, 'the next slot', 60_000);
    const [pod] = await livePods();
    const message = 'The node was low on resource: ephemeral-storage. Threshold quantity: 1Gi, available: 900Mi.';
    await setStatus(pod.metadata.name, { phase: 'Failed', reason: 'Evicted', message, conditions: [] });
    const trouble = async () => conditionOf(await lab.get('pools', 'sim'), 'SlotTrouble');
    await lab.until(async () => (await trouble()).reason === 'DiskFull', 'the Pool to say so');
    assert.match((await trouble()).message, /ephemeral-storage.*free the disk/);
    await lab.until(async () => (await warningsOf('DiskFull')) === 1, 'an Event');
  });

  /** A Pool of its own, whose slots the server does not take. Resolves with what it says, and how often it was tried. */
  async function refusedPool(name: string): Promise<{ trouble: Json; tries: number; writes: number }> {
    const before = await writesOfController();
    await lab.create('pools', simulatedPool(name, { min: 2, max: 2 }));
    const trouble = async () => conditionOf(await lab.get('pools', name), 'SlotTrouble');
    await lab.until(async () => (await trouble())?.status === 'True', `${name} to be in trouble`);
    await delay(systemClock, REFUSED_MS);
    const pool = await lab.get('pools', name);
    const writes = (await writesOfController()) - before;
    return { trouble: await trouble(), tries: pool.status.nextSerial, writes };
  }

  test('a quota that is used up: the Pool says which, and it is not tried in a loop', async (t) => {
    const quota = { apiVersion: 'v1', kind: 'ResourceQuota', metadata: { name: 'few' }, spec: { hard: { pods: '1' } } };
    await lab.create('resourcequotas', quota);
    // The test is the controller of quotas, too.
    await expect(lab.cluster.client, 200, {
      method: 'PATCH',
      path: `/api/v1/namespaces/${lab.namespace}/resourcequotas/few/status`,
      body: { status: { hard: { pods: '1' }, used: { pods: '1' } } },
      headers: { 'content-type': 'application/merge-patch+json' },
    });
    const { trouble, tries, writes } = await refusedPool('full');
    assert.equal(trouble.reason, 'QuotaExceeded');
    assert.match(trouble.message, /exceeded quota: few.*Raise the ResourceQuota/);
    t.diagnostic(`${tries} tries, ${writes} writes in ${REFUSED_MS} ms`);
    assert.ok(tries <= 2, `${tries} tries`);
    assert.ok(writes <= 2 * WRITES_FOR_TROUBLE_MAX, `${writes} writes`);
    await expect(lab.cluster.client, 200, {
      method: 'DELETE',
      path: `/api/v1/namespaces/${lab.namespace}/resourcequotas/few`,
    });
  });

  test('a namespace that does not take such Pods: the Pool says what breaks its rule', async () => {
    await expect(lab.cluster.client, 200, {
      method: 'PATCH',
      path: `/api/v1/namespaces/${lab.namespace}`,
      body: { metadata: { labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } } },
      headers: { 'content-type': 'application/merge-patch+json' },
    });
    const { trouble, tries } = await refusedPool('rooted');
    assert.equal(trouble.reason, 'PodSecurityRefused');
    assert.match(trouble.message, /violates PodSecurity "restricted.*enforce=baseline/);
    assert.ok(tries <= 2, `${tries} tries`);
    const made = async () => (await lab.list('events')).some(({ reason }) => reason === 'PodSecurityRefused');
    await lab.until(made, 'an Event');
  });
});

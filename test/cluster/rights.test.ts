// A controller that lacks one right, on a real API server with RBAC: it says which one, where it hinders and what to do,
// goes on with the rest, does not burn the server, and recovers once it has the right.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type AccessRule, controllerRules } from '../../src/api/controller-rights.ts';
import { delay, systemClock } from '../../src/lib/clock.ts';
import type { ControlPlane } from '../support/cluster/control-plane.ts';
import { type Lab, startLab } from '../support/cluster/lab.ts';
import { simulatedModel, simulatedPool } from '../support/cluster/questions.ts';
import { expect, type Json, joinCluster, startTestPlane, type TestCluster } from '../support/cluster/test-cluster.ts';

interface Lack {
  readonly verb: string;
  /** As rules name it. */
  readonly resource: string;
  readonly resourceName?: string;
  /** As the controller names it in its log. */
  readonly named: string;
  /** The object whose condition says so, and its Ready or trouble condition. */
  readonly condition?: 'pools';
  /** The kind of the object that has an Event about it. */
  readonly event?: 'Pool' | 'Model';
  /** What the log says when neither can. */
  readonly says?: RegExp;
  /** Whether the slot is made all the same. */
  readonly makesSlot: boolean;
}

const lacks: readonly Lack[] = [
  { verb: 'create', resource: 'pods', named: 'create pods', condition: 'pools', event: 'Pool', makesSlot: false },
  {
    ...{ verb: 'create', resource: 'networkpolicies', named: 'create networkpolicies.networking.k8s.io' },
    ...{ condition: 'pools', event: 'Pool', makesSlot: false },
  },
  {
    ...{ verb: 'patch', resource: 'pools/status', named: 'patch pools/status.stoker.dev' },
    ...{ event: 'Pool', makesSlot: false },
  },
  {
    ...{ verb: 'create', resource: 'modelrevisions', named: 'create modelrevisions.stoker.dev' },
    ...{ event: 'Model', makesSlot: true },
  },
  {
    ...{ verb: 'create', resource: 'poddisruptionbudgets', named: 'create poddisruptionbudgets.policy' },
    ...{ event: 'Model', makesSlot: true },
  },
  {
    verb: 'create',
    resource: 'events',
    named: 'create events',
    says: /an event could not be written/,
    makesSlot: true,
  },
  {
    ...{ verb: 'watch', resource: 'pods', named: 'watch pods', says: /the watch of a kind failed and is begun again/ },
    makesSlot: true,
  },
  {
    ...{ verb: 'get', resource: 'secrets', resourceName: 'stoker-slot-keys', named: 'get secrets stoker-slot-keys' },
    ...{ says: /the seed of the slot keys is not to be had yet/, makesSlot: false },
  },
];

const WATCHED_MS = 6000;
/** The lists of a watch that is refused again and again are the most of it. */
const CALLS_PER_MINUTE_MAX = 300;

describe('a right that is missing', { timeout: 480_000 }, () => {
  let plane: ControlPlane;
  let cluster: TestCluster;
  before(async () => {
    plane = await startTestPlane();
    cluster = await joinCluster(plane.kubeconfig, () => plane.stop());
  });
  after(async () => {
    await cluster.close();
  });

  /** Calls of anybody in the namespace; this test makes none meanwhile. */
  async function callsAnswered(): Promise<number> {
    const { body } = await cluster.client.send({ method: 'GET', path: '/metrics' });
    let count = 0;
    for (const [, labels = '', value] of String(body).matchAll(/^apiserver_request_total\{([^}]*)\} (\d+)$/gm)) {
      // Leases are renewed all the time, by the server itself, too.
      if (!/resource="leases"/.test(labels) && !/verb="CONNECT"/.test(labels)) count += Number(value);
    }
    return count;
  }

  const putRules = (lab: Lab, rules: readonly AccessRule[]) =>
    expect(cluster.client, 200, {
      method: 'PATCH',
      path: `/apis/rbac.authorization.k8s.io/v1/namespaces/${lab.namespace}/roles/stoker-controller`,
      body: { rules },
      headers: { 'content-type': 'application/merge-patch+json' },
    });

  for (const lack of lacks) {
    test(`${lack.named}: it is named, the rest goes on, and the server is left in peace`, async (t) => {
      const lab = await startLab(cluster, { node: false });
      try {
        await putRules(lab, without(lack));
        await lab.create('pools', simulatedPool('sim', { min: 1, max: 1 }));
        await lab.create('models', simulatedModel('m', 'sim'));
        const labels = 'app.kubernetes.io/name=stoker,app.kubernetes.io/instance=stoker';
        const controller = lab.startController('one', ['--slot-image', 'stoker:test', '--release-labels', labels]);
        await controller.said('This controller lacks rights');
        const said =
          controller
            .log()
            .split('\n')
            .find((line) => line.includes('lacks rights')) ?? '';
        const { missing, count } = JSON.parse(said);
        assert.deepEqual([missing, count], [lack.named, 1]);
        assert.match(said, /rbac\.create=true/);
        if (lack.condition !== undefined) await untilConditionSays(lab, lack);
        if (lack.event !== undefined) await untilEventSays(lab, lack);
        if (lack.says !== undefined) await lab.until(async () => lack.says?.test(controller.log()) === true, 'its log');
        const slots = async () => (await lab.list('pods')).length;
        if (lack.makesSlot) await lab.until(async () => (await slots()) === 1, 'the slot');
        else assert.equal(await slots(), 0);
        const before = await callsAnswered();
        await delay(systemClock, WATCHED_MS);
        const perMinute = ((await callsAnswered()) - before) * (60_000 / WATCHED_MS);
        t.diagnostic(`${perMinute} calls a minute`);
        assert.ok(perMinute <= CALLS_PER_MINUTE_MAX, `${perMinute} calls a minute`);
        await putRules(lab, controllerRules);
        await lab.until(async () => (await slots()) === 1, 'the slot, once it has the right', 60_000);
      } finally {
        await lab.stop();
      }
    });
  }

  test('create tokenreviews: routers are told to come again, and the log says what to bind', async () => {
    const lab = await startLab(cluster, { node: false });
    const binding = `/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/stoker-auth-delegator-${lab.namespace}`;
    try {
      const { metadata: _, ...kept } = await expect(cluster.client, 200, { method: 'GET', path: binding });
      await expect(cluster.client, 200, { method: 'DELETE', path: binding });
      const controller = lab.startController('one');
      await controller.said('create tokenreviews.authentication.k8s.io');
      await controller.ready;
      const router = lab.startRouter();
      await controller.said('the token could not be reviewed: tokenreviews.authentication.k8s.io is forbidden');
      assert.match(controller.log(), /Bind the ClusterRole system:auth-delegator/);
      const body = { ...kept, metadata: { name: `stoker-auth-delegator-${lab.namespace}` } };
      const path = '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings';
      await expect(cluster.client, 201, { method: 'POST', path, body });
      assert.match(await router, /^http/, 'it comes in once the binding is there');
    } finally {
      await lab.stop();
    }
  });

  async function untilConditionSays(lab: Lab, lack: Lack): Promise<void> {
    const trouble = async () =>
      (await lab.get('pools', 'sim')).status?.conditions?.find(({ type }: Json) => type === 'SlotTrouble');
    await lab.until(async () => (await trouble())?.reason === 'MissingRight', 'the condition');
    const { message, status } = await trouble();
    assert.equal(status, 'True');
    assert.match(
      message,
      new RegExp(`lacks a right .* cannot ${lack.verb} resource "${lack.resource}".* rbac\\.create`),
    );
    const ready = (await lab.get('pools', 'sim')).status.conditions.find(({ type }: Json) => type === 'Ready');
    assert.deepEqual([ready.status, ready.reason], ['False', 'MissingRight']);
  }

  async function untilEventSays(lab: Lab, lack: Lack): Promise<void> {
    const found = async () =>
      (await lab.list('events')).find(
        ({ reason, involvedObject }) => reason === 'MissingRight' && involvedObject.kind === lack.event,
      );
    await lab.until(async () => (await found()) !== undefined, 'the Event');
    const event = await found();
    assert.equal(event.type, 'Warning');
    assert.match(event.message, new RegExp(`cannot ${lack.verb} resource "${lack.resource.split('/')[0]}`));
  }
});

/** The rules of the chart with one verb less. */
function without({ verb, resource, resourceName }: Lack): AccessRule[] {
  return controllerRules.flatMap((rule) => {
    const isMeant = rule.resources.includes(resource) && (rule.resourceNames?.[0] ?? undefined) === resourceName;
    if (!isMeant || !rule.verbs.includes(verb)) return [rule];
    const others = rule.resources.filter((one) => one !== resource);
    const verbs = rule.verbs.filter((one) => one !== verb);
    return [
      ...(others.length === 0 ? [] : [{ ...rule, resources: others }]),
      ...(verbs.length === 0 ? [] : [{ ...rule, resources: [resource], verbs }]),
    ];
  });
}

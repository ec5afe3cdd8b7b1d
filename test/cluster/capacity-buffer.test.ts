// CapacityBuffers on a real API server, with the shape of the real definition planted: a missing right and a missing API are told
// apart, the objects are taken as they are written, nothing is written while nothing changes, and they go with the wish.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type AccessRule, controllerRules } from '../../src/api/controller-rights.ts';
import { delay, systemClock } from '../../src/lib/clock.ts';
import type { ControlPlane } from '../support/cluster/control-plane.ts';
import { type Lab, startLab } from '../support/cluster/lab.ts';
import { simulatedModel, simulatedPool } from '../support/cluster/questions.ts';
import {
  expect,
  type Json,
  joinCluster,
  present,
  startTestPlane,
  type TestCluster,
} from '../support/cluster/test-cluster.ts';

const GROUP = 'autoscaling.x-k8s.io';
const QUIET_MS = 3000;

/** As rbac.capacityBuffers=true of the chart. */
const bufferRules: readonly AccessRule[] = [
  { apiGroups: [GROUP], resources: ['capacitybuffers'], verbs: ['get', 'create', 'patch', 'delete'] },
  { apiGroups: [''], resources: ['podtemplates'], verbs: ['get', 'create', 'patch', 'delete'] },
];

const specSchema = {
  type: 'object',
  properties: {
    provisioningStrategy: { type: 'string', default: 'buffer.x-k8s.io/active-capacity' },
    podTemplateRef: { type: 'object', required: ['name'], properties: { name: { type: 'string', minLength: 1 } } },
    replicas: { type: 'integer', format: 'int32', minimum: 0 },
  },
  'x-kubernetes-validations': [
    {
      rule: '!has(self.podTemplateRef) || has(self.replicas)',
      message: 'If podTemplateRef is set, replicas must also be set',
    },
  ],
};

const definition = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: {
    name: `capacitybuffers.${GROUP}`,
    annotations: { 'api-approved.kubernetes.io': 'https://github.com/kubernetes/autoscaler/pull/8151' },
  },
  spec: {
    group: GROUP,
    names: { kind: 'CapacityBuffer', plural: 'capacitybuffers', singular: 'capacitybuffer' },
    scope: 'Namespaced',
    versions: [
      {
        name: 'v1beta1',
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: { spec: specSchema, status: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
          },
        },
      },
    ],
  },
};

describe('a Pool that asks for a CapacityBuffer', { timeout: 180_000 }, () => {
  let plane: ControlPlane;
  let cluster: TestCluster;
  let lab: Lab;
  before(async () => {
    plane = await startTestPlane();
    cluster = await joinCluster(plane.kubeconfig, () => plane.stop());
    lab = await startLab(cluster, { node: false });
  });
  after(async () => {
    await lab.stop();
    await cluster.close();
  });

  const pathOf = (prefix: string, plural: string) => `${prefix}/namespaces/${lab.namespace}/${plural}/stoker-slots-sim`;
  const bufferPath = () => pathOf(`/apis/${GROUP}/v1beta1`, 'capacitybuffers');
  const templatePath = () => pathOf('/api/v1', 'podtemplates');
  const get = (path: string): Promise<Json> => expect(cluster.client, 200, { method: 'GET', path });
  const condition = async () =>
    (await lab.get('pools', 'sim')).status?.conditions?.find(({ type }: Json) => type === 'CapacityBuffered');
  const untilReason = (reason: string) =>
    lab.until(async () => (await condition())?.reason === reason, `CapacityBuffered to be ${reason}`);
  /** What is asked for anew is written at once. */
  const ask = (min: number, capacityBuffer = true) =>
    lab.patch('pools', 'sim', { spec: { spare: { min, capacityBuffer } } });

  test('says which right is missing, then that the API is, and then keeps it', async () => {
    const pool = simulatedPool('sim', { min: 0, max: 9 }) as Json;
    await lab.create('pools', { ...pool, spec: { ...pool.spec, spare: { min: 1, capacityBuffer: true } } });
    await lab.create('models', simulatedModel('m', 'sim'));
    lab.startController('one', ['--slot-image', 'stoker:test']);
    await untilReason('BufferRefused');
    assert.match((await condition()).message, /capacitybuffers.*rbac\.capacityBuffers=true/);

    const roles = `/apis/rbac.authorization.k8s.io/v1/namespaces/${lab.namespace}/roles/stoker-controller`;
    const headers = { 'content-type': 'application/merge-patch+json' };
    const body = { rules: [...controllerRules, ...bufferRules] };
    await expect(cluster.client, 200, { method: 'PATCH', path: roles, body, headers });
    await ask(2);
    await untilReason('BufferApiMissing');

    const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
    await expect(cluster.client, 201, { method: 'POST', path, body: definition });
    await present(cluster.client, `/apis/${GROUP}/v1beta1/capacitybuffers`);
    await ask(3);
    await untilReason('BufferKept');
    const { spec, metadata } = await get(bufferPath());
    assert.deepEqual(
      [spec.podTemplateRef, spec.replicas, metadata.ownerReferences[0].kind],
      [{ name: 'stoker-slots-sim' }, 3, 'Pool'],
    );
    const { template } = await get(templatePath());
    assert.deepEqual(template.spec.containers[0].resources.requests, { 'stoker.dev/sim-gpu': '1' });
  });

  test('writes nothing while nothing changes, and follows what does', async () => {
    const versions = async () => {
      const all = await Promise.all([get(bufferPath()), get(templatePath())]);
      return all.map(({ metadata }) => metadata.resourceVersion);
    };
    await lab.until(async () => (await lab.list('pods')).length === 3, 'the spare slots');
    await delay(systemClock, 1000);
    const before = await versions();
    await delay(systemClock, QUIET_MS);
    assert.deepEqual(await versions(), before);
    await ask(4);
    await lab.until(async () => (await get(bufferPath())).spec.replicas === 4, 'the buffer to follow');
  });

  test('that asks no more has none', async () => {
    await ask(4, false);
    const isGone = async (path: string) => (await cluster.client.send({ method: 'GET', path })).status === 404;
    await lab.until(async () => (await isGone(bufferPath())) && (await isGone(templatePath())), 'both to be gone');
    await lab.until(async () => (await condition()) === undefined, 'the condition to be gone');
  });
});

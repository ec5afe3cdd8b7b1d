// `stoker doctor` through its front door on a real API server: faults are planted one after the other, and each is found,
// named and given a remedy, while everything else stays as it was said before.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { controllerRules } from '../../src/api/controller-rights.ts';
import type { ControlPlane } from '../support/cluster/control-plane.ts';
import { type Lab, startLab } from '../support/cluster/lab.ts';
import { simulatedPool } from '../support/cluster/questions.ts';
import { expect, joinCluster, startTestPlane } from '../support/cluster/test-cluster.ts';

interface Finding {
  readonly check: string;
  readonly state: 'ok' | 'warn' | 'fail' | 'skip';
  readonly message: string;
  readonly remedy?: string;
}

const repository = join(import.meta.dirname, '../..');

describe('stoker doctor on a real API server', { timeout: 180_000 }, () => {
  let plane: ControlPlane;
  let lab: Lab;
  before(async () => {
    plane = await startTestPlane();
    lab = await startLab(await joinCluster(plane.kubeconfig, () => plane.stop()), { node: false });
    await lab.startController('one').ready;
  });
  after(async () => {
    await lab.stop();
    await lab.cluster.close();
  });

  const run = (...args: readonly string[]): Promise<{ code: number; out: string }> =>
    new Promise((resolve) => {
      const all = ['bin/stoker.js', 'doctor', '--kubeconfig', plane.kubeconfig, '--namespace', lab.namespace, ...args];
      const child = execFile(
        process.execPath,
        all,
        { cwd: repository, env: { PATH: process.env.PATH } },
        (_, out, err) => resolve({ code: child.exitCode ?? -1, out: out + err }),
      );
    });
  const examine = async (): Promise<readonly Finding[]> => JSON.parse((await run('-o', 'json')).out).findings;
  const about = (findings: readonly Finding[], check: string) =>
    findings.filter((finding) => finding.check === check || finding.check.startsWith(`${check} `));
  const only = (findings: readonly Finding[], check: string): Finding => {
    const [first, ...others] = about(findings, check);
    assert.ok(first !== undefined && others.length === 0, JSON.stringify(findings));
    return first;
  };
  const create = (path: string, body: object) => expect(lab.cluster.client, 201, { method: 'POST', path, body });

  test('what is well is said to be', async () => {
    const findings = await examine();
    for (const check of ['version', 'kinds', 'namespace', 'rights of the controller', 'your rights', 'leader'])
      assert.equal(only(findings, check).state, 'ok', JSON.stringify(only(findings, check)));
    assert.match(only(findings, 'version').message, /^Kubernetes v1\.\d+/);
    assert.match(only(findings, 'leader').message, /^one leads and renews its Lease/);
    assert.match(only(findings, 'storage').message, /No volume is claimed/);
  });

  test('no Deployment: each part is missed, with how to install it, and the exit code says so', async () => {
    const { code, out } = await run();
    assert.equal(code, 1);
    assert.match(out, /^fail +controller: There is no Deployment of a controller .*\n +helm install stoker/m);
    assert.match(out, /^fail +router: There is no Deployment of a router/m);
  });

  test('a right that the controller lacks is named', async () => {
    const path = `/apis/rbac.authorization.k8s.io/v1/namespaces/${lab.namespace}/roles/stoker-controller`;
    const headers = { 'content-type': 'application/merge-patch+json' };
    const put = (rules: object) => expect(lab.cluster.client, 200, { method: 'PATCH', path, body: { rules }, headers });
    const fewer = controllerRules.map((rule) =>
      rule.resources.includes('pods') ? { ...rule, verbs: rule.verbs.filter((verb) => verb !== 'create') } : rule,
    );
    await put(fewer);
    const lacks = async () => only(await examine(), 'rights of the controller');
    // The authorizer of the server hears of it a moment later.
    await lab.until(async () => (await lacks()).state === 'fail', 'the right to be missed');
    const { message, remedy } = await lacks();
    assert.equal(message, 'stoker-controller may not: create pods.');
    assert.match(remedy ?? '', /rbac\.create=true/);
    await put(controllerRules);
    await lab.until(async () => (await lacks()).state === 'ok', 'the right to be back');
  });

  test('an accelerator that no node has: the Pool is named, with how much room there is', async () => {
    const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'bare' } };
    await create('/api/v1/nodes', node);
    const status = {
      conditions: [{ type: 'Ready', status: 'True' }],
      allocatable: { cpu: '8' },
      capacity: { cpu: '8' },
    };
    await expect(lab.cluster.client, 200, {
      method: 'PATCH',
      path: '/api/v1/nodes/bare/status',
      body: { status },
      headers: { 'content-type': 'application/merge-patch+json' },
    });
    await expect(lab.cluster.client, 200, {
      method: 'PATCH',
      path: '/api/v1/nodes/bare',
      body: { spec: { taints: null } },
      headers: { 'content-type': 'application/merge-patch+json' },
    });
    await lab.create('pools', simulatedPool('gpus', { min: 1, max: 2 }));
    const finding = only(await examine(), 'nodes for gpus');
    assert.equal(finding.state, 'fail');
    assert.match(finding.message, /1 of 1 nodes can be used; they have room for 0 slots of 1 stoker\.dev\/sim-gpu/);
    assert.match(finding.remedy ?? '', /Add nodes with stoker\.dev\/sim-gpu; the device plugin/);
  });

  test('a storage class and a volume claim that are not there', async () => {
    const spec = {
      storageClassName: 'fast',
      accessModes: ['ReadWriteOnce'],
      resources: { requests: { storage: '1Gi' } },
    };
    const claim = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name: 'weights' }, spec };
    await create(`/api/v1/namespaces/${lab.namespace}/persistentvolumeclaims`, claim);
    const accelerator = { resourceName: 'stoker.dev/sim-gpu', className: 'sim' };
    await lab.create('pools', {
      ...{ apiVersion: 'stoker.dev/v1alpha1', kind: 'Pool', metadata: { name: 'claims' } },
      spec: {
        ...{ accelerator, slots: { min: 0, max: 1 } },
        ...{ weights: { claimName: 'nowhere' }, compileCache: { claimName: 'neither' } },
      },
    });
    const found = about(await examine(), 'storage').map(({ state, message }) => `${state} ${message}`);
    assert.deepEqual(found.sort(), [
      'fail The Pool claims names the volume claim neither, which is not there.',
      'fail The Pool claims names the volume claim nowhere, which is not there.',
      'fail weights wants the storage class fast, which is not there.',
    ]);
  });

  test('a kind that is not installed is named, with the chart that brings it', async () => {
    await expect(lab.cluster.client, 200, {
      method: 'DELETE',
      path: '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/modelrevisions.stoker.dev',
    });
    const kinds = async () => only(await examine(), 'kinds');
    await lab.until(async () => (await kinds()).state === 'fail', 'the kind to be missed');
    const { message, remedy } = await kinds();
    assert.match(message, /does not know ModelRevision: install the chart stoker-crds/);
    assert.match(remedy ?? '', /helm upgrade --install stoker-crds/);
  });
});

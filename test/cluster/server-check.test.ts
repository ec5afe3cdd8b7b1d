// A controller on a server that it cannot work with says so, with what to do, and ends: without our kinds, and with kinds
// that are older than it is.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type ControlPlane, startControlPlane } from '../support/cluster/control-plane.ts';
import { startStokerProcess } from '../support/cluster/stoker-process.ts';
import { expect, joinCluster } from '../support/cluster/test-cluster.ts';
import { startFakeApiServer } from '../support/fake-api-server.ts';

describe('a server that the controller cannot work with', { timeout: 120_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'stoker-check-'));
  let plane: ControlPlane;
  before(async () => {
    plane = await startControlPlane();
  });
  after(async () => {
    await plane.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const start = (kubeconfig = plane.kubeconfig) => {
    const ports = ['--link-port', '0', '--admin-port', '0', '--log-level', 'warn'];
    return startStokerProcess(['controller', '--kubeconfig', kubeconfig, ...ports]);
  };

  test('a server that is too old is named, with what is needed', async (t) => {
    const old = await startFakeApiServer();
    t.after(() => old.stop());
    old.onCall = ({ path }) =>
      path === '/version' ? { body: { major: '1', minor: '29', gitVersion: 'v1.29.9' } } : { status: 404, body: {} };
    const kubeconfig = join(folder, 'old.kubeconfig');
    const { server } = old.connection;
    writeFileSync(
      kubeconfig,
      JSON.stringify({
        ...{ apiVersion: 'v1', kind: 'Config', 'current-context': 'old' },
        clusters: [{ name: 'old', cluster: { server } }],
        users: [{ name: 'old', user: { token: 'x' } }],
        contexts: [{ name: 'old', context: { cluster: 'old', user: 'old' } }],
      }),
    );
    const controller = start(kubeconfig);
    assert.equal(await controller.gone, 1);
    assert.match(controller.log(), /This is Kubernetes v1\.29\.9, and 1\.30 or newer is needed: upgrade the cluster/);
    const asked = old.calls.map(({ path }) => path);
    assert.ok(asked.length <= 12 && asked.every((path) => path === '/version'), asked.join(' '));
  });

  test('without our kinds it names them and the chart', async () => {
    const controller = start();
    assert.equal(await controller.gone, 1);
    assert.match(
      controller.log(),
      /stoker controller: The cluster does not know Pool, Model, ModelRevision: install the chart stoker-crds/,
    );
  });

  test('with older kinds it names what they lack; once they are new it starts', async () => {
    const cluster = await joinCluster(plane.kubeconfig, async () => {});
    const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/models.stoker.dev';
    const change = (op: object) =>
      expect(cluster.client, 200, {
        method: 'PATCH',
        path,
        body: [op],
        headers: { 'content-type': 'application/json-patch+json' },
      });
    const field = '/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/scaleDecision';
    const { spec } = await expect(cluster.client, 200, { method: 'GET', path });
    const value = spec.versions[0].schema.openAPIV3Schema.properties.status.properties.scaleDecision;
    const works = start();
    await works.ready;
    assert.equal(await works.stop(), 0);
    await change({ op: 'remove', path: field });
    // The server publishes the change a moment later.
    let older = start();
    for (let tries = 0; tries < 5 && !(await endsBadly(older)); tries += 1) older = start();
    assert.match(older.log(), /they lack Model\.status\.scaleDecision: upgrade the chart stoker-crds first/);
    await change({ op: 'add', path: field, value });
    const again = start();
    await again.ready;
    assert.equal(await again.stop(), 0);
    await cluster.close();
  });
});

/** False when it got ready, in which case it is ended. */
async function endsBadly(process: ReturnType<typeof startStokerProcess>): Promise<boolean> {
  const end = await Promise.race([process.ready.then(() => 'ready' as const).catch(() => 'gone'), process.gone]);
  if (end === 'ready') await process.stop();
  return end !== 'ready';
}

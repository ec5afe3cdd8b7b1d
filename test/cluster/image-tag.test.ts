// An engine image that is named by a tag, on a real API server with the rights of the chart: the controller asks a registry on
// loopback, says what it lacks, and pins the digest once it may read the Secret that nodes pull with.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { ControlPlane } from '../support/cluster/control-plane.ts';
import { type Lab, startLab } from '../support/cluster/lab.ts';
import { expect, type Json, joinCluster, startTestPlane } from '../support/cluster/test-cluster.ts';
import { type FakeSource, sha256Of, startFakeSource } from '../support/fake-source.ts';

const SECRET = 'pull';
const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [{ digest: 'of one machine' }] }));
const digest = `sha256:${sha256Of(manifest)}`;
const login = `Basic ${Buffer.from('me:secret-word').toString('base64')}`;

describe('an engine image by tag', { timeout: 180_000 }, () => {
  let plane: ControlPlane;
  let lab: Lab;
  let source: FakeSource;
  /** Of the weights: it asks nobody for a login. */
  let shelf: FakeSource;
  before(async () => {
    source = await startFakeSource();
    shelf = await startFakeSource();
    source.contents.set('/v2/team/vllm/manifests/v1', manifest);
    shelf.contents.set('/config.json', Buffer.from('{}'));
    source.challenge = 'Basic realm="fake"';
    plane = await startTestPlane();
    lab = await startLab(await joinCluster(plane.kubeconfig, () => plane.stop()), { node: false });
    const flags = ['--slot-image=registry.example/stoker:1', `--slot-pull-secrets=${SECRET}`];
    await lab.startController('one', flags).ready;
  });
  after(async () => {
    await lab.stop();
    await lab.cluster.close();
    await source.close();
    await shelf.close();
  });

  const registry = () => source.url.slice('http://'.length);
  const pinned = async (name: string) =>
    (await lab.get('models', name)).status?.conditions?.find(({ type }: Json) => type === 'Pinned');
  const create = (name: string, image: string, more: object = {}) => {
    const files = [{ url: `${shelf.url}/config.json`, sha256: sha256Of(Buffer.from('{}')), sizeBytes: 2 }];
    const version = { weights: { http: { files } }, contextLength: 512, engine: { name: 'Vllm', image } };
    const frame = { apiVersion: 'stoker.dev/v1alpha1', kind: 'Model', metadata: { name } };
    return lab.create('models', { ...frame, spec: { servedName: name, version, ...more } });
  };
  const says = async (name: string, reason: string) => {
    await lab.until(async () => (await pinned(name))?.reason === reason, `${name} to say ${reason}`, 60_000);
    return String((await pinned(name)).message);
  };
  const revisionOf = async (name: string) =>
    (await lab.list('modelrevisions')).filter(({ spec }: Json) => spec.modelName === name);

  test('of an open registry is pinned by its digest', async () => {
    await create('open', `${registry()}/team/vllm:v1`);
    await says('open', 'Pinned');
    const [revision, ...others] = await revisionOf('open');
    assert.deepEqual(others, []);
    const image = `${registry()}/team/vllm@${digest}`;
    assert.deepEqual(revision?.spec.engine, { name: 'Vllm', build: `image@${digest}`, image });
  });

  test('that is not there is told', async () => {
    await create('missing', `${registry()}/team/vllm:v2`);
    assert.match(
      await says('missing', 'ImageUnresolved'),
      /has no image .*\/team\/vllm:v2\. Correct spec\.version\.engine\.image/,
    );
  });

  test('of a registry that wants a login is pinned once the controller may read the Secret', async () => {
    source.wanted = (header) => header === login;
    const auths = { [registry()]: { auth: login.slice('Basic '.length) } };
    const data = { '.dockerconfigjson': Buffer.from(JSON.stringify({ auths })).toString('base64') };
    const type = 'kubernetes.io/dockerconfigjson';
    await lab.create('secrets', { apiVersion: 'v1', kind: 'Secret', metadata: { name: SECRET }, type, data });
    await create('closed', `${registry()}/team/vllm:v1`);
    const message = await says('closed', 'ImageUnresolved');
    assert.match(
      message,
      /The controller cannot read the Secret pull: .* rbac\.readSecrets of the chart, or name the image by digest\.$/,
    );
    await allowSecret();
    await says('closed', 'Pinned');
    assert.equal((await revisionOf('closed'))[0]?.spec.engine.build, `image@${digest}`);
    const told = JSON.stringify([await lab.list('models'), await lab.list('events')]);
    assert.ok(!told.includes('secret-word') && !told.includes(login.slice('Basic '.length)));
  });

  /** As rbac.readSecrets of the chart does. */
  async function allowSecret(): Promise<void> {
    const path = `/apis/rbac.authorization.k8s.io/v1/namespaces/${lab.namespace}`;
    const apiVersion = 'rbac.authorization.k8s.io/v1';
    const metadata = { name: 'read-pull' };
    const rules = [{ apiGroups: [''], resources: ['secrets'], resourceNames: [SECRET], verbs: ['get'] }];
    const role = { apiVersion, kind: 'Role', metadata, rules };
    await expect(lab.cluster.client, 201, { method: 'POST', path: `${path}/roles`, body: role });
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: metadata.name };
    const subjects = [{ kind: 'ServiceAccount', name: 'stoker-controller', namespace: lab.namespace }];
    const binding = { apiVersion, kind: 'RoleBinding', metadata, roleRef, subjects };
    await expect(lab.cluster.client, 201, { method: 'POST', path: `${path}/rolebindings`, body: binding });
  }
});

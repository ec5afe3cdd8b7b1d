// The same server through the Cluster port of src/kube: cache, writes, errors, events.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Model as ModelObject } from '../../src/api/model.ts';
import { createKubeCluster, type KubeCluster } from '../../src/kube/cluster.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { createRng } from '../../src/lib/rng.ts';
import { ConfigMap, configMap, Event, type Json, Lease, Model, model, type Session } from './session.ts';

export function portContract(session: Session): void {
  let cluster: KubeCluster;
  before(async () => {
    cluster = createKubeCluster({
      connection: session.server.connection,
      namespace: session.namespace,
      watch: [Model, ConfigMap],
      clock: systemClock,
      rng: createRng(1),
      log: silentLog,
      component: 'contract',
    });
    await cluster.start();
  });
  after(() => cluster.stop());

  /** Resolves once the cache satisfies the condition. */
  const cached = (holds: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      const end = cluster.onChange(() => check());
      const check = () => {
        if (!holds()) return;
        end();
        resolve();
      };
      check();
    });
  const made = async (name: string): Promise<ModelObject> => {
    const created = await cluster.create(Model, model(name));
    assert.ok(created.ok, JSON.stringify(created));
    return created.value;
  };

  test('what is written comes back through the cache', async () => {
    const name = session.name('port');
    await made(name);
    await cached(() => cluster.get(Model, name) !== undefined);
    assert.equal(cluster.get(Model, name)?.spec.scaling.minAwake, 0);
    assert.ok(cluster.list(Model).some((one) => one.metadata.name === name));
    const patched = await cluster.patch(Model, name, { spec: { serving: { concurrency: 4 } } });
    assert.ok(patched.ok);
    assert.equal(patched.value.metadata.generation, 2);
    await cached(() => cluster.get(Model, name)?.spec.serving.concurrency === 4);
    const removed = await cluster.remove(Model, name);
    assert.ok(removed.ok);
    await cached(() => cluster.get(Model, name) === undefined);
  });

  test('a status is patched with a version, and a stale version is Conflict', async () => {
    const name = session.name('port');
    const { metadata } = await made(name);
    const at = { resourceVersion: metadata.resourceVersion ?? '' };
    const first = await cluster.patchStatus(Model, name, { awake: 1 }, at);
    assert.ok(first.ok);
    assert.equal(first.value.status?.awake, 1);
    const second = await cluster.patchStatus(Model, name, { awake: 2 }, at);
    assert.ok(!second.ok);
    assert.equal(second.error.reason, 'Conflict');
  });

  test('refusals have their reason: AlreadyExists, NotFound, Invalid with the sentence, Conflict by uid', async () => {
    const name = session.name('port');
    await made(name);
    const again = await cluster.create(Model, model(name));
    assert.ok(!again.ok);
    assert.equal(again.error.reason, 'AlreadyExists');
    const missing = await cluster.read(Lease, 'nobody');
    assert.ok(!missing.ok);
    assert.equal(missing.error.reason, 'NotFound');
    const bad = await cluster.patch(Model, name, { spec: { servedName: 'other' } });
    assert.ok(!bad.ok);
    assert.equal(bad.error.reason, 'Invalid');
    assert.match(bad.error.message, /cannot be changed, because callers use it/);
    const other = await cluster.remove(Model, name, { uid: '11111111-1111-4111-8111-111111111111' });
    assert.ok(!other.ok);
    assert.equal(other.error.reason, 'Conflict');
  });

  test('a kind that is not watched is read from the server', async () => {
    const name = session.name('lease');
    const lease: Json = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name },
      spec: { holderIdentity: 'me', leaseDurationSeconds: 15 },
    };
    assert.ok((await cluster.create(Lease, lease)).ok);
    const read = await cluster.read(Lease, name);
    assert.ok(read.ok);
    assert.equal(read.value.spec?.holderIdentity, 'me');
  });

  test('of many writes at the same time, every one comes to the cache', async () => {
    const run = session.name('many');
    const names = Array.from({ length: 40 }, () => session.name('many'));
    await Promise.all(names.map((name) => session.create(ConfigMap, configMap(name, {}, { labels: { run } }))));
    await cached(() => cluster.list(ConfigMap).filter((one) => one.metadata.labels?.run === run).length === 40);
  });

  test('equal events are one object that counts', async () => {
    const regarding = await made(session.name('port'));
    const watch = await session.watch(Event, `&fieldSelector=involvedObject.uid%3D${regarding.metadata.uid}`);
    const say = () =>
      cluster.recordEvent({ regarding, type: 'Normal', reason: 'Woken', message: 'It woke within a second.' });
    say();
    const first = await watch.next();
    assert.equal(first.type, 'ADDED');
    assert.equal(first.object.reason, 'Woken');
    assert.equal(first.object.source.component, 'contract');
    say();
    const second = await watch.next();
    watch.close();
    assert.equal(second.type, 'MODIFIED');
    assert.equal(second.object.count, 2);
  });

  test('a bearer token that is nobody’s is refused', async () => {
    const review = await cluster.reviewToken('nonsense', 'stoker-link');
    assert.ok(!review.ok);
    assert.equal(review.error.reason, 'Unauthorized');
  });
}

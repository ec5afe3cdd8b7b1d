// How objects go: preconditions, finalizers, what belongs to them, and Pods that need time.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KindRef } from '../../src/api/group.ts';
import { ConfigMap, configMap, type Json, Model, model, Pod, type Session } from './session.ts';

const ownedBy = (owner: Json, more: object = {}) => ({
  ownerReferences: [
    { apiVersion: owner.apiVersion, kind: owner.kind, name: owner.metadata.name, uid: owner.metadata.uid, ...more },
  ],
});

export function deletionContract(session: Session): void {
  /** Waits for the event that takes the object away. */
  const gone = async (kind: KindRef, object: Json): Promise<Json> => {
    const { name, resourceVersion } = object.metadata;
    const watch = await session.watch(
      kind,
      `&fieldSelector=metadata.name%3D${name}&resourceVersion=${resourceVersion}`,
    );
    try {
      for (;;) {
        const event = await watch.next();
        if (event.type === 'DELETED') return event.object;
      }
    } finally {
      watch.close();
    }
  };

  test('an object goes at once, and its name is free again', async () => {
    const name = session.name('gone');
    const made = await session.create(ConfigMap, configMap(name, {}));
    const answer = await session.remove(ConfigMap, name);
    assert.equal(answer.kind, 'Status');
    assert.equal(answer.status, 'Success');
    assert.equal(answer.details.uid, made.metadata.uid);
    await session.expect(404, 'GET', session.path(ConfigMap, name));
    await session.expect(404, 'DELETE', session.path(ConfigMap, name));
    const again = await session.create(ConfigMap, configMap(name, {}));
    assert.notEqual(again.metadata.uid, made.metadata.uid);
  });

  test('preconditions: another uid or version is 409', async () => {
    const name = session.name('precondition');
    const made = await session.create(ConfigMap, configMap(name, {}));
    const path = session.path(ConfigMap, name);
    const options = (preconditions: object) => ({
      body: { apiVersion: 'v1', kind: 'DeleteOptions', preconditions },
    });
    const uid = '11111111-1111-4111-8111-111111111111';
    const body = await session.expect(409, 'DELETE', path, options({ uid }));
    assert.equal(body.reason, 'Conflict');
    await session.expect(409, 'DELETE', path, options({ resourceVersion: '1' }));
    const { metadata } = made;
    await session.expect(
      200,
      'DELETE',
      path,
      options({ uid: metadata.uid, resourceVersion: metadata.resourceVersion }),
    );
  });

  test('with a finalizer the object waits, marked, until the last one is taken off', async () => {
    const name = session.name('finalizer');
    const finalizers = ['stoker.dev/one', 'stoker.dev/two'];
    const made = await session.create(Model, model(name, { metadata: { finalizers } }));
    const marked = await session.remove(Model, name);
    assert.match(marked.metadata.deletionTimestamp, /^\d{4}-/);
    assert.equal(marked.metadata.deletionGracePeriodSeconds, 0);
    assert.equal(marked.metadata.generation, made.metadata.generation + 1);
    const again = await session.remove(Model, name);
    assert.equal(again.metadata.deletionTimestamp, marked.metadata.deletionTimestamp);
    await session.expect(422, 'PATCH', session.path(Model, name), {
      type: 'merge',
      body: { metadata: { finalizers: [...finalizers, 'stoker.dev/three'] } },
    });
    const one = await session.merge(Model, name, { metadata: { finalizers: ['stoker.dev/two'] } });
    assert.equal(one.metadata.deletionTimestamp, marked.metadata.deletionTimestamp);
    await session.merge(Model, name, { metadata: { finalizers: null } });
    await session.expect(404, 'GET', session.path(Model, name));
  });

  test('a name that is being deleted is not free', async () => {
    const name = session.name('busy');
    await session.create(ConfigMap, configMap(name, {}, { finalizers: ['stoker.dev/one'] }));
    await session.remove(ConfigMap, name);
    await session.expect(409, 'POST', session.path(ConfigMap), { body: configMap(name, {}) });
    await session.merge(ConfigMap, name, { metadata: { finalizers: [] } });
  });

  test('what belongs to an object goes with it, and so on down', async () => {
    const owner = await session.create(Model, model(session.name('owner')));
    const child = await session.create(ConfigMap, configMap(session.name('child'), {}, ownedBy(owner)));
    const grandchild = await session.create(ConfigMap, configMap(session.name('grandchild'), {}, ownedBy(child)));
    await session.remove(Model, owner.metadata.name);
    await gone(ConfigMap, child);
    await gone(ConfigMap, grandchild);
  });

  test('an object with two owners stays with the one that is left', async () => {
    const [one, two] = [
      await session.create(Model, model(session.name('owner'))),
      await session.create(Model, model(session.name('owner'))),
    ];
    const ownerReferences = [...ownedBy(one).ownerReferences, ...ownedBy(two).ownerReferences];
    const child = await session.create(ConfigMap, configMap(session.name('child'), {}, { ownerReferences }));
    await session.remove(Model, one.metadata.name);
    const from = `&fieldSelector=metadata.name%3D${child.metadata.name}&resourceVersion=${child.metadata.resourceVersion}`;
    const watch = await session.watch(ConfigMap, from);
    const event = await watch.next();
    watch.close();
    assert.equal(event.type, 'MODIFIED');
    assert.deepEqual(
      event.object.metadata.ownerReferences.map((reference: Json) => reference.uid),
      [two.metadata.uid],
    );
    await session.remove(Model, two.metadata.name);
    await gone(ConfigMap, event.object);
  });

  test('an object whose owner never was is collected', async () => {
    const uid = '22222222-2222-4222-8222-222222222222';
    const ownerReferences = [{ apiVersion: 'stoker.dev/v1alpha1', kind: 'Model', name: 'never-was', uid }];
    const child = await session.create(ConfigMap, configMap(session.name('stray'), {}, { ownerReferences }));
    await gone(ConfigMap, child);
  });

  test('Orphan leaves what belongs to the object', async () => {
    const owner = await session.create(Model, model(session.name('owner')));
    const child = await session.create(ConfigMap, configMap(session.name('child'), {}, ownedBy(owner)));
    await session.expect(200, 'DELETE', `${session.path(Model, owner.metadata.name)}?propagationPolicy=Orphan`);
    await gone(Model, owner);
    const kept = await session.get(ConfigMap, child.metadata.name);
    assert.equal(kept.metadata.ownerReferences, undefined);
  });

  test('Foreground: the owner waits for what blocks it', async () => {
    const owner = await session.create(Model, model(session.name('owner')));
    const metadata = { ...ownedBy(owner, { blockOwnerDeletion: true }), finalizers: ['stoker.dev/hold'] };
    const child = await session.create(ConfigMap, configMap(session.name('child'), {}, metadata));
    const path = `${session.path(Model, owner.metadata.name)}?propagationPolicy=Foreground`;
    const marked = await session.expect(200, 'DELETE', path);
    assert.deepEqual(marked.metadata.finalizers, ['foregroundDeletion']);
    const from = `&fieldSelector=metadata.name%3D${child.metadata.name}&resourceVersion=${child.metadata.resourceVersion}`;
    const watch = await session.watch(ConfigMap, from);
    const event = await watch.next();
    watch.close();
    assert.match(event.object.metadata.deletionTimestamp, /^\d{4}-/);
    await session.get(Model, owner.metadata.name);
    await session.merge(ConfigMap, child.metadata.name, { metadata: { finalizers: null } });
    await gone(Model, owner);
    await session.expect(404, 'GET', session.path(ConfigMap, child.metadata.name));
  });

  test('a Pod on a node keeps its grace period until somebody ends it', async () => {
    const name = session.name('pod');
    const spec = {
      nodeName: 'nowhere',
      terminationGracePeriodSeconds: 7,
      containers: [{ name: 'a', image: 'none.invalid/a:1' }],
    };
    const made = await session.create(Pod, { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec });
    const marked = await session.remove(Pod, name);
    assert.equal(marked.metadata.deletionGracePeriodSeconds, 7);
    assert.match(marked.metadata.deletionTimestamp, /^\d{4}-/);
    assert.equal((await session.get(Pod, name)).metadata.uid, made.metadata.uid);
    const sooner = await session.expect(200, 'DELETE', `${session.path(Pod, name)}?gracePeriodSeconds=2`);
    assert.equal(sooner.metadata.deletionGracePeriodSeconds, 2);
    await session.expect(200, 'DELETE', session.path(Pod, name), {
      body: { apiVersion: 'v1', kind: 'DeleteOptions', gracePeriodSeconds: 0 },
    });
    await session.expect(404, 'GET', session.path(Pod, name));
  });

  test('a namespace goes with all that is in it', async () => {
    const name = session.name('team').slice(0, 63);
    const namespaces: KindRef = { apiVersion: 'v1', kind: 'Namespace', plural: 'namespaces' };
    const root = `/api/v1/${namespaces.plural}`;
    await session.expect(201, 'POST', root, { body: { apiVersion: 'v1', kind: 'Namespace', metadata: { name } } });
    const inside = `/api/v1/namespaces/${name}/configmaps`;
    await session.expect(201, 'POST', inside, { body: configMap('held', {}, { finalizers: ['stoker.dev/hold'] }) });
    const marked = await session.expect(200, 'DELETE', `${root}/${name}`);
    assert.equal(marked.status.phase, 'Terminating');
    const refused = await session.expect(403, 'POST', inside, { body: configMap('late', {}) });
    assert.match(refused.message, /because it is being terminated/);
    await session.expect(200, 'GET', `${root}/${name}`);
    await session.expect(200, 'PATCH', `${inside}/held`, { type: 'merge', body: { metadata: { finalizers: null } } });
    const from = `fieldSelector=metadata.name%3D${name}&resourceVersion=${marked.metadata.resourceVersion}`;
    const watch = await session.watchPath(`${root}?watch=true&${from}`);
    for (let event = await watch.next(); event.type !== 'DELETED'; event = await watch.next());
    watch.close();
    const kept = await session.expect(403, 'DELETE', `${root}/default`);
    assert.match(kept.message, /this namespace may not be deleted/);
  });
}

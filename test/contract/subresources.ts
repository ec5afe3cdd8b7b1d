// The status and the scale subresource: who may change which part.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Model, model, Pool, type Session } from './session.ts';

export function subresourceContract(session: Session): void {
  test('a status that comes with the object is dropped', async () => {
    const name = session.name('status');
    const made = await session.create(Model, model(name, { status: { awake: 3 } }));
    assert.equal(made.status, undefined);
    const patched = await session.merge(Model, name, { status: { awake: 3 } });
    assert.equal(patched.status, undefined);
  });

  test('/status changes the status alone, and no generation', async () => {
    const name = session.name('status');
    const made = await session.create(Model, model(name));
    const patched = await session.expect(200, 'PATCH', session.path(Model, name, 'status'), {
      type: 'merge',
      body: { metadata: { labels: { a: '1' } }, spec: { serving: { concurrency: 2 } }, status: { awake: 2 } },
    });
    assert.deepEqual(patched.status, { awake: 2 });
    assert.deepEqual(patched.spec, made.spec);
    assert.equal(patched.metadata.labels, undefined);
    assert.equal(patched.metadata.generation, 1);
    assert.notEqual(patched.metadata.resourceVersion, made.metadata.resourceVersion);
    const kept = await session.merge(Model, name, { spec: { serving: { concurrency: 2 } } });
    assert.deepEqual(kept.status, { awake: 2 });
    assert.equal(kept.metadata.generation, 2);
  });

  test('/status can be read and replaced, and obeys versions', async () => {
    const name = session.name('status');
    const made = await session.create(Model, model(name));
    const path = session.path(Model, name, 'status');
    const replaced = await session.expect(200, 'PUT', path, { body: { ...made, status: { asleep: 1 } } });
    assert.deepEqual(replaced.status, { asleep: 1 });
    await session.expect(409, 'PUT', path, { body: { ...made, status: { asleep: 2 } } });
    assert.deepEqual((await session.expect(200, 'GET', path)).status, { asleep: 1 });
    const bare = await session.expect(200, 'PATCH', path, { type: 'merge', body: { status: { asleep: null } } });
    assert.equal(bare.status?.asleep, undefined);
  });

  test('/status is validated', async () => {
    const name = session.name('status');
    await session.create(Model, model(name));
    const body = await session.expect(422, 'PATCH', session.path(Model, name, 'status'), {
      type: 'merge',
      body: { status: { awake: 'many' } },
    });
    assert.match(body.message, /status\.awake/);
  });

  test('/scale shows and sets the least number awake', async () => {
    const name = session.name('scale');
    await session.create(Model, model(name, { spec: { scaling: { minAwake: 1, maxAwake: 5 } } }));
    await session.expect(200, 'PATCH', session.path(Model, name, 'status'), {
      type: 'merge',
      body: { status: { awake: 2, selector: 'a=b' } },
    });
    const path = session.path(Model, name, 'scale');
    const scale = await session.expect(200, 'GET', path);
    assert.equal(scale.kind, 'Scale');
    assert.equal(scale.apiVersion, 'autoscaling/v1');
    assert.equal(scale.metadata.name, name);
    assert.deepEqual(scale.spec, { replicas: 1 });
    assert.deepEqual(scale.status, { replicas: 2, selector: 'a=b' });
    const patched = await session.expect(200, 'PATCH', path, { type: 'merge', body: { spec: { replicas: 3 } } });
    assert.deepEqual(patched.spec, { replicas: 3 });
    const object = await session.get(Model, name);
    assert.equal(object.spec.scaling.minAwake, 3);
    assert.equal(object.spec.scaling.maxAwake, 5);
    assert.equal(object.metadata.generation, 2);
    const put = await session.expect(200, 'PUT', path, { body: { ...patched, spec: { replicas: 4 } } });
    assert.deepEqual(put.spec, { replicas: 4 });
    await session.expect(409, 'PUT', path, { body: { ...patched, spec: { replicas: 5 } } });
  });

  test('/scale obeys the rules of the kind', async () => {
    const name = session.name('scale');
    await session.create(Model, model(name));
    const body = await session.expect(422, 'PATCH', session.path(Model, name, 'scale'), {
      type: 'merge',
      body: { spec: { replicas: 9 } },
    });
    assert.match(body.message, /minAwake must not be above maxAwake/);
  });

  test('a kind without /scale has none', async () => {
    const name = session.name('pool');
    await session.create(Pool, { apiVersion: 'stoker.dev/v1alpha1', kind: 'Pool', metadata: { name }, spec: {} });
    await session.expect(404, 'GET', session.path(Pool, name, 'scale'));
    await session.expect(200, 'GET', session.path(Pool, name, 'status'));
  });
}

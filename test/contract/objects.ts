// Making, reading, replacing and removing one object, and what the server writes into it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigMap, configMap, Lease, Model, model, Secret, type Session } from './session.ts';

export function objectContract(session: Session): void {
  test('a new object gets a uid, a version, a generation and a time, and its own words stay', async () => {
    const name = session.name('new');
    const sent = model(name, { metadata: { labels: { team: 'a' }, annotations: { note: 'b' } } });
    const made = await session.create(Model, sent);
    assert.match(made.metadata.uid, /^[0-9a-f-]{36}$/);
    assert.match(made.metadata.resourceVersion, /^\d+$/);
    assert.match(made.metadata.creationTimestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    assert.equal(made.metadata.generation, 1);
    assert.equal(made.metadata.namespace, session.namespace);
    assert.deepEqual(made.metadata.labels, { team: 'a' });
    assert.deepEqual(made.metadata.annotations, { note: 'b' });
    const read = await session.get(Model, name);
    assert.equal(read.apiVersion, 'stoker.dev/v1alpha1');
    assert.equal(read.kind, 'Model');
    assert.equal(read.metadata.uid, made.metadata.uid);
    assert.equal(read.metadata.resourceVersion, made.metadata.resourceVersion);
  });

  test('what the server owns cannot be sent', async () => {
    const name = session.name('owned');
    const uid = '11111111-1111-4111-8111-111111111111';
    const made = await session.create(
      Model,
      model(name, { metadata: { uid, generation: 7, creationTimestamp: '2001-01-01T00:00:00Z' } }),
    );
    assert.notEqual(made.metadata.uid, uid);
    assert.equal(made.metadata.generation, 1);
    assert.doesNotMatch(made.metadata.creationTimestamp, /^2001/);
  });

  test('a name is taken once: 409 AlreadyExists', async () => {
    const name = session.name('twice');
    await session.create(ConfigMap, configMap(name, { a: '1' }));
    const body = await session.expect(409, 'POST', session.path(ConfigMap), { body: configMap(name, { a: '2' }) });
    assert.equal(body.kind, 'Status');
    assert.equal(body.reason, 'AlreadyExists');
    assert.match(body.message, new RegExp(`configmaps "${name}" already exists`));
    assert.equal(body.details.name, name);
  });

  test('generateName is completed by the server', async () => {
    const prefix = `${session.name('made')}-`;
    const sent = { ...configMap('', {}), metadata: { generateName: prefix } };
    const [one, two] = [await session.create(ConfigMap, sent), await session.create(ConfigMap, sent)];
    assert.ok(one.metadata.name.startsWith(prefix));
    assert.match(one.metadata.name, /^[a-z0-9-]+$/);
    assert.notEqual(one.metadata.name, two.metadata.name);
  });

  test('what is not there is 404 NotFound, and so is a namespace, a kind and a path', async () => {
    const body = await session.expect(404, 'GET', session.path(Model, 'nobody'));
    assert.equal(body.reason, 'NotFound');
    assert.equal(body.message, 'models.stoker.dev "nobody" not found');
    assert.deepEqual(
      { name: body.details.name, group: body.details.group, kind: body.details.kind },
      { name: 'nobody', group: 'stoker.dev', kind: 'models' },
    );
    const away = await session.expect(404, 'POST', '/api/v1/namespaces/no-such-place/configmaps', {
      body: configMap('x', {}),
    });
    assert.match(away.message, /namespaces "no-such-place" not found/);
    await session.expect(404, 'GET', '/apis/stoker.dev/v1alpha1/wagons');
    await session.expect(404, 'GET', '/apis/stoker.dev/v9/models');
    await session.expect(404, 'GET', `${session.path(ConfigMap, 'x')}/status`);
  });

  test('PUT replaces the whole object, and counts generations only for the spec', async () => {
    const name = session.name('replace');
    const made = await session.create(Model, model(name, { metadata: { labels: { a: '1' } } }));
    const relabelled = await session.expect(200, 'PUT', session.path(Model, name), {
      body: { ...made, metadata: { ...made.metadata, labels: { b: '2' } } },
    });
    assert.deepEqual(relabelled.metadata.labels, { b: '2' });
    assert.equal(relabelled.metadata.generation, 1);
    const changed = await session.expect(200, 'PUT', session.path(Model, name), {
      body: { ...relabelled, spec: { ...relabelled.spec, serving: { concurrency: 3 } } },
    });
    assert.equal(changed.metadata.generation, 2);
    assert.equal(changed.spec.serving.concurrency, 3);
    assert.equal(changed.metadata.uid, made.metadata.uid);
    assert.equal(changed.metadata.creationTimestamp, made.metadata.creationTimestamp);
  });

  test('PUT with an old version is 409 Conflict; of our kinds it needs a version at all', async () => {
    const name = session.name('stale');
    const made = await session.create(Model, model(name));
    await session.merge(Model, name, { metadata: { labels: { a: '1' } } });
    const body = await session.expect(409, 'PUT', session.path(Model, name), { body: made });
    assert.equal(body.reason, 'Conflict');
    assert.match(body.message, /the object has been modified/);
    const { resourceVersion: _resourceVersion, ...metadata } = made.metadata;
    const missing = await session.expect(422, 'PUT', session.path(Model, name), { body: { ...made, metadata } });
    assert.match(missing.message, /metadata.resourceVersion: Invalid value.*must be specified for an update/);
  });

  test('PUT of another name is 400, of another uid 409', async () => {
    const name = session.name('other');
    const made = await session.create(ConfigMap, configMap(name, {}));
    await session.expect(400, 'PUT', session.path(ConfigMap, name), { body: configMap(`${name}x`, {}) });
    const uid = '11111111-1111-4111-8111-111111111111';
    await session.expect(409, 'PUT', session.path(ConfigMap, name), {
      body: { ...made, metadata: { ...made.metadata, uid } },
    });
  });

  test('a write that changes nothing leaves the version alone', async () => {
    const name = session.name('same');
    const made = await session.create(ConfigMap, configMap(name, { a: '1' }));
    const again = await session.merge(ConfigMap, name, { data: { a: '1' } });
    assert.equal(again.metadata.resourceVersion, made.metadata.resourceVersion);
  });

  test('a dry run answers like a write and writes nothing', async () => {
    const name = session.name('dry');
    const made = await session.expect(201, 'POST', `${session.path(Model)}?dryRun=All`, { body: model(name) });
    assert.equal(made.metadata.name, name);
    assert.equal(made.metadata.resourceVersion ?? '', '');
    await session.expect(404, 'GET', session.path(Model, name));
    const real = await session.create(Model, model(name));
    const patched = await session.expect(200, 'PATCH', `${session.path(Model, name)}?dryRun=All`, {
      body: { spec: { serving: { concurrency: 2 } } },
      type: 'merge',
    });
    assert.equal(patched.spec.serving.concurrency, 2);
    await session.expect(200, 'DELETE', `${session.path(Model, name)}?dryRun=All`);
    const read = await session.get(Model, name);
    assert.equal(read.metadata.resourceVersion, real.metadata.resourceVersion);
    assert.equal(read.metadata.generation, 1);
    const bad = await session.expect(422, 'POST', `${session.path(Model)}?dryRun=Some`, { body: model(`${name}x`) });
    assert.equal(bad.status, 'Failure');
  });

  test('a dry run is validated', async () => {
    const bad = model(session.name('dry'), { spec: { serving: { concurrency: 0 } } });
    await session.expect(422, 'POST', `${session.path(Model)}?dryRun=All`, { body: bad });
  });

  test('a Secret keeps stringData as base64', async () => {
    const name = session.name('secret');
    const body = { apiVersion: 'v1', kind: 'Secret', metadata: { name }, stringData: { key: 'value' } };
    const made = await session.create(Secret, body);
    assert.deepEqual(made.data, { key: Buffer.from('value').toString('base64') });
    assert.equal(made.stringData, undefined);
    assert.equal(made.type, 'Opaque');
  });

  test('a Lease wants six digits after the second, and a version', async () => {
    const name = session.name('lease');
    const lease = (renewTime: string) => ({
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name },
      spec: { holderIdentity: 'a', leaseDurationSeconds: 15, renewTime },
    });
    const made = await session.create(Lease, lease('2026-01-01T00:00:00.000000Z'));
    assert.equal(made.spec.renewTime, '2026-01-01T00:00:00.000000Z');
    const taken = await session.merge(Lease, name, {
      metadata: { resourceVersion: made.metadata.resourceVersion },
      spec: { holderIdentity: 'b', leaseTransitions: 1 },
    });
    assert.equal(taken.spec.holderIdentity, 'b');
    const late = await session.expect(409, 'PATCH', session.path(Lease, name), {
      type: 'merge',
      body: { metadata: { resourceVersion: made.metadata.resourceVersion }, spec: { holderIdentity: 'c' } },
    });
    assert.equal(late.reason, 'Conflict');
  });

  test('a body that is no JSON, and one of another kind, is 400', async () => {
    await session.expect(400, 'POST', session.path(ConfigMap), { body: { ...configMap('x', {}), kind: 'Secret' } });
    await session.expect(400, 'POST', session.path(ConfigMap), { body: { ...configMap('x', {}), apiVersion: 'v7' } });
  });
}

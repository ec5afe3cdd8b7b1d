// JSON merge patch and JSON patch, with and without a version.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigMap, configMap, Model, model, type Session } from './session.ts';

export function patchContract(session: Session): void {
  test('a merge patch adds, changes and removes, and leaves the rest alone', async () => {
    const name = session.name('merge');
    await session.create(ConfigMap, configMap(name, { a: '1', b: '2' }, { labels: { x: 'y' } }));
    const patched = await session.merge(ConfigMap, name, { data: { a: null, c: '3' } });
    assert.deepEqual(patched.data, { b: '2', c: '3' });
    assert.deepEqual(patched.metadata.labels, { x: 'y' });
  });

  test('a merge patch replaces lists as a whole', async () => {
    const name = session.name('merge');
    await session.create(Model, model(name, { spec: { pools: ['one', 'two'] } }));
    const patched = await session.merge(Model, name, { spec: { pools: ['three'] } });
    assert.deepEqual(patched.spec.pools, ['three']);
    assert.equal(patched.metadata.generation, 2);
  });

  test('a merge patch with an old version is 409, with the right one it holds', async () => {
    const name = session.name('merge');
    const made = await session.create(ConfigMap, configMap(name, { a: '1' }));
    const { resourceVersion } = made.metadata;
    await session.merge(ConfigMap, name, { metadata: { resourceVersion }, data: { a: '2' } });
    const body = await session.expect(409, 'PATCH', session.path(ConfigMap, name), {
      type: 'merge',
      body: { metadata: { resourceVersion }, data: { a: '3' } },
    });
    assert.equal(body.reason, 'Conflict');
    assert.equal((await session.get(ConfigMap, name)).data.a, '2');
  });

  test('of patches at the same time with one version, exactly one is taken', async () => {
    const name = session.name('race');
    const made = await session.create(ConfigMap, configMap(name, {}));
    const { resourceVersion } = made.metadata;
    const patch = (by: number) =>
      session.send('PATCH', session.path(ConfigMap, name), {
        type: 'merge',
        body: { metadata: { resourceVersion }, data: { by: String(by) } },
      });
    const answers = await Promise.all([1, 2, 3, 4, 5, 6].map(patch));
    const codes = answers.map(({ status }) => status).sort();
    assert.deepEqual(codes, [200, 409, 409, 409, 409, 409]);
  });

  test('a JSON patch adds, replaces, moves, copies, tests and removes', async () => {
    const name = session.name('json');
    await session.create(ConfigMap, configMap(name, { a: '1', b: '2' }, { annotations: { 'x.dev/y': 'old' } }));
    const patched = await session.expect(200, 'PATCH', session.path(ConfigMap, name), {
      type: 'json',
      body: [
        { op: 'test', path: '/data/a', value: '1' },
        { op: 'add', path: '/data/c', value: '3' },
        { op: 'replace', path: '/data/a', value: '4' },
        { op: 'move', from: '/data/b', path: '/data/d' },
        { op: 'copy', from: '/data/a', path: '/data/e' },
        { op: 'replace', path: '/metadata/annotations/x.dev~1y', value: 'new' },
        { op: 'remove', path: '/data/a' },
      ],
    });
    assert.deepEqual(patched.data, { c: '3', d: '2', e: '4' });
    assert.deepEqual(patched.metadata.annotations, { 'x.dev/y': 'new' });
  });

  test('a JSON patch works on lists', async () => {
    const name = session.name('json');
    await session.create(Model, model(name, { spec: { pools: ['one', 'two'] } }));
    const patched = await session.expect(200, 'PATCH', session.path(Model, name), {
      type: 'json',
      body: [
        { op: 'add', path: '/spec/pools/0', value: 'zero' },
        { op: 'add', path: '/spec/pools/-', value: 'three' },
        { op: 'remove', path: '/spec/pools/1' },
      ],
    });
    assert.deepEqual(patched.spec.pools, ['zero', 'two', 'three']);
  });

  test('a JSON patch of which one step fails changes nothing', async () => {
    const name = session.name('json');
    await session.create(ConfigMap, configMap(name, { a: '1' }));
    for (const last of [
      { op: 'test', path: '/data/a', value: 'other' },
      { op: 'remove', path: '/data/none' },
    ]) {
      await session.expect(422, 'PATCH', session.path(ConfigMap, name), {
        type: 'json',
        body: [{ op: 'add', path: '/data/b', value: '2' }, last],
      });
    }
    assert.deepEqual((await session.get(ConfigMap, name)).data, { a: '1' });
  });

  test('a patch is validated like any write', async () => {
    const name = session.name('bad');
    await session.create(Model, model(name));
    const body = await session.expect(422, 'PATCH', session.path(Model, name), {
      type: 'merge',
      body: { spec: { serving: { concurrency: 'many' } } },
    });
    assert.match(body.message, /spec\.serving\.concurrency/);
  });

  test('a patch of an unknown format is 415', async () => {
    const name = session.name('type');
    await session.create(ConfigMap, configMap(name, {}));
    const body = await session.expect(415, 'PATCH', session.path(ConfigMap, name), {
      type: 'application/json',
      body: { data: { a: '1' } },
    });
    assert.equal(body.reason, 'UnsupportedMediaType');
  });

  test('a patch of what is not there is 404', async () => {
    await session.expect(404, 'PATCH', session.path(ConfigMap, 'nobody'), { type: 'merge', body: { data: {} } });
  });
}

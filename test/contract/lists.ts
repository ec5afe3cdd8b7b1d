// Lists: selectors, pages of one moment, versions.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigMap, configMap, type Json, Model, model, Secret, type Session } from './session.ts';

const namesOf = (list: Json): string[] => list.items.map((item: Json) => item.metadata.name);

export function listContract(session: Session): void {
  const listBy = async (selector: string) =>
    namesOf(
      await session.expect(200, 'GET', `${session.path(ConfigMap)}?labelSelector=${encodeURIComponent(selector)}`),
    );

  test('a list says what it is, and comes in the order of names', async () => {
    const names = ['b', 'a', 'c'].map((letter) => session.name(`order-${letter}`));
    for (const name of names) await session.create(Model, model(name, { metadata: { labels: { suite: 'order' } } }));
    const list = await session.expect(200, 'GET', `${session.path(Model)}?labelSelector=suite%3Dorder`);
    assert.equal(list.kind, 'ModelList');
    assert.equal(list.apiVersion, 'stoker.dev/v1alpha1');
    assert.match(list.metadata.resourceVersion, /^\d+$/);
    assert.deepEqual(namesOf(list), names.toSorted());
  });

  test('an empty list has items', async () => {
    const list = await session.expect(200, 'GET', `${session.path(Model)}?labelSelector=nobody%3Dhere`);
    assert.deepEqual(list.items, []);
  });

  test('label selectors: equality, sets, existence, and all of them together', async () => {
    const run = session.name('run');
    const make = async (labels: object) => {
      const name = session.name('labelled');
      await session.create(ConfigMap, configMap(name, {}, { labels: { run, ...labels } }));
      return name;
    };
    const [red, blue, plain] = [await make({ colour: 'red' }), await make({ colour: 'blue', big: '' }), await make({})];
    assert.deepEqual(await listBy(`run=${run},colour=red`), [red]);
    assert.deepEqual(await listBy(`run==${run},colour!=red`), [blue, plain]);
    assert.deepEqual(await listBy(`run=${run},colour in (red, blue)`), [red, blue]);
    assert.deepEqual(await listBy(`run=${run},colour notin (red)`), [blue, plain]);
    assert.deepEqual(await listBy(`run=${run},colour`), [red, blue]);
    assert.deepEqual(await listBy(`run=${run},!colour`), [plain]);
    assert.deepEqual(await listBy(`run=${run},big=`), [blue]);
    const bad = await session.expect(
      400,
      'GET',
      `${session.path(ConfigMap)}?labelSelector=${encodeURIComponent('a=(')}`,
    );
    assert.match(bad.message, /unable to parse/);
  });

  test('field selectors: the name, and the type of a Secret', async () => {
    const name = session.name('field');
    await session.create(ConfigMap, configMap(name, {}));
    const found = await session.expect(200, 'GET', `${session.path(ConfigMap)}?fieldSelector=metadata.name%3D${name}`);
    assert.deepEqual(namesOf(found), [name]);
    const body = { apiVersion: 'v1', kind: 'Secret', metadata: { name }, type: 'stoker.dev/test' };
    await session.create(Secret, body);
    const typed = await session.expect(200, 'GET', `${session.path(Secret)}?fieldSelector=type%3Dstoker.dev%2Ftest`);
    assert.deepEqual(namesOf(typed), [name]);
    await session.expect(400, 'GET', `${session.path(Model)}?fieldSelector=spec.servedName%3Dx`);
  });

  test('pages go on where they ended, and show the moment of the first', async () => {
    const run = session.name('page');
    const names = Array.from({ length: 5 }, () => session.name('paged'));
    for (const name of names) await session.create(ConfigMap, configMap(name, {}, { labels: { run } }));
    const base = `${session.path(ConfigMap)}?labelSelector=run%3D${run}&limit=2`;
    const first = await session.expect(200, 'GET', base);
    assert.deepEqual(namesOf(first), names.slice(0, 2));
    await session.remove(ConfigMap, names[4] ?? '');
    await session.create(ConfigMap, configMap(session.name('paged'), {}, { labels: { run } }));
    const second = await session.expect(200, 'GET', `${base}&continue=${first.metadata.continue}`);
    assert.deepEqual(namesOf(second), names.slice(2, 4));
    assert.equal(second.metadata.resourceVersion, first.metadata.resourceVersion);
    const third = await session.expect(200, 'GET', `${base}&continue=${second.metadata.continue}`);
    assert.deepEqual(namesOf(third), names.slice(4));
    assert.equal(third.metadata.continue ?? '', '');
  });

  test('a continue token that was never given out is 400', async () => {
    await session.expect(400, 'GET', `${session.path(ConfigMap)}?limit=1&continue=nonsense`);
  });

  test('a list of a version that is still to come is refused, and may be tried again', async () => {
    const list = await session.expect(200, 'GET', session.path(ConfigMap));
    const ahead = Number(list.metadata.resourceVersion) + 1_000_000;
    const { status, body } = await session.send('GET', `${session.path(ConfigMap)}?resourceVersion=${ahead}`);
    assert.equal(status, 504);
    assert.equal(body.reason, 'Timeout');
    assert.match(body.message, /Too large resource version/);
  });

  test('versions and limits that are no numbers are refused', async () => {
    await session.expect(400, 'GET', `${session.path(ConfigMap)}?limit=many`);
    const { status } = await session.send('GET', `${session.path(ConfigMap)}?resourceVersion=old`);
    assert.ok(status >= 400, String(status));
  });

  test('objects of all namespaces are listed together', async () => {
    const run = session.name('everywhere');
    const name = session.name('one');
    await session.create(ConfigMap, configMap(name, {}, { labels: { run } }));
    const list = await session.expect(200, 'GET', `/api/v1/configmaps?labelSelector=run%3D${run}`);
    assert.deepEqual(namesOf(list), [name]);
    await session.expect(405, 'POST', '/api/v1/configmaps', { body: configMap(name, {}) });
  });

  test('a collection is deleted by its selector', async () => {
    const run = session.name('sweep');
    const kept = session.name('kept');
    await session.create(ConfigMap, configMap(kept, {}));
    for (let at = 0; at < 3; at += 1)
      await session.create(ConfigMap, configMap(session.name('swept'), {}, { labels: { run } }));
    await session.expect(200, 'DELETE', `${session.path(ConfigMap)}?labelSelector=run%3D${run}`);
    const list = await session.expect(200, 'GET', `${session.path(ConfigMap)}?labelSelector=run%3D${run}`);
    assert.deepEqual(namesOf(list), []);
    await session.get(ConfigMap, kept);
  });
}

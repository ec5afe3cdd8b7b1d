// Watches: what has been, what comes, selectors, bookmarks, resumption, and versions that are gone.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigMap, configMap, Model, model, type Session } from './session.ts';

export function watchContract(session: Session): void {
  /** A label of its own, so that other objects do not show up, and the version to start from. */
  const scope = async () => {
    const run = session.name('watch');
    const list = await session.expect(200, 'GET', session.path(ConfigMap));
    return { run, selector: `&labelSelector=run%3D${run}`, version: String(list.metadata.resourceVersion) };
  };
  const make = (name: string, run: string, data = {}) =>
    session.create(ConfigMap, configMap(name, data, { labels: { run } }));

  test('every change comes, in order, with the object as it was', async (t) => {
    const { run, selector, version } = await scope();
    const watch = await session.watch(ConfigMap, `${selector}&resourceVersion=${version}`);
    t.after(() => watch.close());
    const name = session.name('seen');
    const made = await make(name, run, { a: '1' });
    await session.merge(ConfigMap, name, { data: { a: '2' } });
    await session.remove(ConfigMap, name);
    const [added, modified, deleted] = [await watch.next(), await watch.next(), await watch.next()];
    assert.deepEqual([added.type, modified.type, deleted.type], ['ADDED', 'MODIFIED', 'DELETED']);
    assert.equal(added.object.kind, 'ConfigMap');
    assert.equal(added.object.metadata.resourceVersion, made.metadata.resourceVersion);
    assert.deepEqual([added.object.data.a, modified.object.data.a, deleted.object.data.a], ['1', '2', '2']);
    const versions = [added, modified, deleted].map(({ object }) => Number(object.metadata.resourceVersion));
    assert.deepEqual(
      versions,
      [...new Set(versions)].sort((a, b) => a - b),
    );
  });

  test('without a version, what there is comes first', async (t) => {
    const { run, selector } = await scope();
    const [one, two] = [session.name('there'), session.name('there')];
    await make(one, run);
    const watch = await session.watch(ConfigMap, selector);
    t.after(() => watch.close());
    assert.equal((await watch.next()).object.metadata.name, one);
    await make(two, run);
    const next = await watch.next();
    assert.equal(next.type, 'ADDED');
    assert.equal(next.object.metadata.name, two);
  });

  test('a watch goes on from the version of the last event: nothing is lost, nothing comes twice', async (t) => {
    const { run, selector, version } = await scope();
    const first = await session.watch(ConfigMap, `${selector}&resourceVersion=${version}`);
    const name = session.name('resumed');
    await make(name, run);
    const seen = await first.next();
    first.close();
    await session.merge(ConfigMap, name, { data: { missed: 'yes' } });
    const second = await session.watch(
      ConfigMap,
      `${selector}&resourceVersion=${seen.object.metadata.resourceVersion}`,
    );
    t.after(() => second.close());
    const missed = await second.next();
    assert.equal(missed.type, 'MODIFIED');
    assert.equal(missed.object.data.missed, 'yes');
  });

  test('an object that stops matching the selector is deleted for it, one that begins to is added', async (t) => {
    const { run, selector, version } = await scope();
    const watch = await session.watch(ConfigMap, `${selector}&resourceVersion=${version}`);
    t.after(() => watch.close());
    const name = session.name('moving');
    await make(name, run);
    await session.merge(ConfigMap, name, { metadata: { labels: { run: 'elsewhere' } } });
    await session.merge(ConfigMap, name, { metadata: { labels: { run } } });
    const types = [await watch.next(), await watch.next(), await watch.next()].map(({ type }) => type);
    assert.deepEqual(types, ['ADDED', 'DELETED', 'ADDED']);
  });

  test('one object is watched by its name', async (t) => {
    const { run, version } = await scope();
    const [mine, other] = [session.name('mine'), session.name('other')];
    const watch = await session.watch(ConfigMap, `&fieldSelector=metadata.name%3D${mine}&resourceVersion=${version}`);
    t.after(() => watch.close());
    await make(other, run);
    await make(mine, run);
    assert.equal((await watch.next()).object.metadata.name, mine);
  });

  test('status changes are seen', async (t) => {
    const name = session.name('status');
    const made = await session.create(Model, model(name));
    const from = `&fieldSelector=metadata.name%3D${name}&resourceVersion=${made.metadata.resourceVersion}`;
    const watch = await session.watch(Model, from);
    t.after(() => watch.close());
    await session.expect(200, 'PATCH', session.path(Model, name, 'status'), {
      type: 'merge',
      body: { status: { rung: 'Awake' } },
    });
    assert.equal((await watch.next()).object.status.rung, 'Awake');
  });

  test('the initial events end with a bookmark, when the client asks for it', async (t) => {
    const { run, selector } = await scope();
    const names = [session.name('initial'), session.name('initial')];
    for (const name of names) await make(name, run);
    const watch = await session.watch(
      ConfigMap,
      `${selector}&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true`,
    );
    t.after(() => watch.close());
    const events = [await watch.nextOfAny(), await watch.nextOfAny(), await watch.nextOfAny()];
    assert.deepEqual(
      events.map((event) => event?.type),
      ['ADDED', 'ADDED', 'BOOKMARK'],
    );
    const { metadata, kind } = events[2]?.object ?? {};
    assert.equal(kind, 'ConfigMap');
    assert.equal(metadata.annotations['k8s.io/initial-events-end'], 'true');
    assert.match(metadata.resourceVersion, /^\d+$/);
  });

  test('a watch ends at its time, and says nothing but how far it came', async () => {
    const { run, version } = await scope();
    const path = `${session.path(ConfigMap)}?watch=true&timeoutSeconds=3&allowWatchBookmarks=true`;
    const answer = await session.send('GET', `${path}&labelSelector=run%3D${run}&resourceVersion=${version}`);
    assert.equal(answer.status, 200);
    const text = typeof answer.body === 'string' ? answer.body.trim() : JSON.stringify(answer.body);
    // A server that has nothing new to say may end without one.
    for (const line of text.split('\n').filter((each) => each !== '')) {
      const event = JSON.parse(line);
      assert.equal(event.type, 'BOOKMARK');
      assert.ok(Number(event.object.metadata.resourceVersion) >= Number(version));
    }
  });

  test('what cannot be asked for is refused before the stream begins', async () => {
    const { status } = await session.send('GET', `${session.path(ConfigMap)}?watch=true&sendInitialEvents=true`);
    assert.ok(status === 400 || status === 422, String(status));
    await session.expect(
      400,
      'GET',
      `${session.path(ConfigMap)}?watch=true&labelSelector=${encodeURIComponent('a=(')}`,
    );
  });
}

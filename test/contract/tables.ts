// What people see: columns and cells as the server renders them, in lists, single reads and watches.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigMap, configMap, type Json, Model, ModelRevision, model, Pool, type Session, TABLE } from './session.ts';

const columnsOf = (table: Json): string[] => table.columnDefinitions.map((column: Json) => column.name);

export function tableContract(session: Session): void {
  const tableOf = (path: string) => session.expect(200, 'GET', path, { accept: TABLE });

  test('a Model shows its columns, from the status', async () => {
    const name = session.name('table');
    await session.create(Model, model(name));
    const conditions = [
      {
        type: 'Ready',
        status: 'True',
        reason: 'Awake',
        message: 'It answers.',
        lastTransitionTime: '2026-01-01T00:00:00Z',
      },
    ];
    await session.expect(200, 'PATCH', session.path(Model, name, 'status'), {
      type: 'merge',
      body: { status: { rung: 'Awake', stableRevision: 'one', awake: 1, conditions } },
    });
    const table = await tableOf(session.path(Model, name));
    assert.equal(table.kind, 'Table');
    assert.equal(table.apiVersion, 'meta.k8s.io/v1');
    assert.deepEqual(columnsOf(table), ['Name', 'Ready', 'Rung', 'Stable', 'Candidate', 'Awake', 'Asleep', 'Age']);
    const [row] = table.rows;
    assert.deepEqual(row.cells.slice(0, 4), [name, 'True', 'Awake', 'one']);
    assert.deepEqual(row.cells.slice(5, 7), [1, null]);
    assert.match(row.cells[7], /^\d+s$/);
    assert.equal(row.object.kind, 'PartialObjectMetadata');
    assert.equal(row.object.metadata.name, name);
    assert.equal(row.object.spec, undefined);
  });

  test('lists are Tables with the version and the pages of lists', async () => {
    const run = session.name('table');
    const names = [session.name('row'), session.name('row')];
    for (const name of names) await session.create(ConfigMap, configMap(name, { a: '1', b: '2' }, { labels: { run } }));
    const table = await tableOf(`${session.path(ConfigMap)}?limit=1&labelSelector=run%3D${run}`);
    assert.match(table.metadata.resourceVersion, /^\d+$/);
    assert.notEqual(table.metadata.continue ?? '', '');
    assert.deepEqual(columnsOf(table), ['Name', 'Data', 'Age']);
    assert.equal(table.rows.length, 1);
    assert.equal(String(table.rows[0].cells[1]), '2');
  });

  test('rows carry as much of the object as is asked for', async () => {
    const name = session.name('table');
    await session.create(Model, model(name));
    const whole = await tableOf(`${session.path(Model, name)}?includeObject=Object`);
    assert.equal(whole.rows[0].object.spec.servedName, name);
    const none = await tableOf(`${session.path(Model, name)}?includeObject=None`);
    assert.equal(none.rows[0].object ?? null, null);
    await session.expect(400, 'GET', `${session.path(Model, name)}?includeObject=Half`, { accept: TABLE });
  });

  test('Pool and ModelRevision have their columns', async () => {
    assert.deepEqual(columnsOf(await tableOf(session.path(Pool))), [
      'Name',
      'Slots',
      'Awake',
      'Asleep',
      'Spare',
      'Age',
    ]);
    assert.deepEqual(columnsOf(await tableOf(session.path(ModelRevision))), [
      'Name',
      'Digest',
      'Pinned',
      'Engine',
      'Age',
    ]);
  });

  test('a watch sends Tables, the columns with the first', async (t) => {
    const list = await session.expect(200, 'GET', session.path(Model));
    const [one, two] = [session.name('watched'), session.name('watched')];
    const watch = await session.watch(Model, `&resourceVersion=${list.metadata.resourceVersion}`, TABLE);
    t.after(() => watch.close());
    await session.create(Model, model(one));
    await session.create(Model, model(two));
    const [first, second] = [await watch.next(), await watch.next()];
    assert.equal(first.object.kind, 'Table');
    assert.equal(first.type, 'ADDED');
    assert.equal(first.object.rows[0].cells[0], one);
    assert.ok(first.object.columnDefinitions.length > 0);
    assert.equal(second.object.rows[0].cells[0], two);
    assert.deepEqual(second.object.columnDefinitions ?? [], []);
  });

  test('errors are a Status also for those who want a Table', async () => {
    const body = await session.expect(404, 'GET', session.path(Model, 'nobody'), { accept: TABLE });
    assert.equal(body.kind, 'Status');
  });

  test('a client that reads nothing the server speaks is told so', async () => {
    const body = await session.expect(406, 'GET', session.path(Model), { accept: 'text/html' });
    assert.equal(body.reason, 'NotAcceptable');
  });
}

// Events of core/v1, and the selectors by which `kubectl describe` finds them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Event, type Json, Model, model, type Session } from './session.ts';

export function eventContract(session: Session): void {
  const event = (regarding: Json, changes: object = {}) => ({
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: session.name('event') },
    involvedObject: {
      apiVersion: regarding.apiVersion,
      kind: regarding.kind,
      namespace: session.namespace,
      name: regarding.metadata.name,
      uid: regarding.metadata.uid,
    },
    type: 'Warning',
    reason: 'WeightsMissing',
    message: 'There is no such file.',
    count: 1,
    firstTimestamp: '2026-01-01T00:00:00Z',
    lastTimestamp: '2026-01-01T00:00:00Z',
    source: { component: 'stoker-controller' },
    ...changes,
  });
  const find = async (fields: Readonly<Record<string, string>>) => {
    const selector = Object.entries(fields)
      .map(([name, value]) => `${name}=${value}`)
      .join(',');
    const list = await session.expect(
      200,
      'GET',
      `${session.path(Event)}?fieldSelector=${encodeURIComponent(selector)}`,
    );
    return list.items.map((item: Json) => item.metadata.name);
  };

  test('an event is found by what it is about, its type and its reason', async () => {
    const about = await session.create(Model, model(session.name('about')));
    const [warning, normal] = [
      await session.create(Event, event(about)),
      await session.create(Event, event(about, { type: 'Normal', reason: 'Awake' })),
    ];
    const names = [warning.metadata.name, normal.metadata.name].sort();
    const { name, uid } = about.metadata;
    const byObject = {
      'involvedObject.kind': 'Model',
      'involvedObject.name': name,
      'involvedObject.namespace': session.namespace,
      'involvedObject.uid': uid,
    };
    assert.deepEqual((await find(byObject)).sort(), names);
    assert.deepEqual(await find({ 'involvedObject.uid': uid, type: 'Warning' }), [warning.metadata.name]);
    assert.deepEqual(await find({ 'involvedObject.uid': uid, reason: 'Awake' }), [normal.metadata.name]);
  });

  test('an event is counted up by a merge patch', async () => {
    const about = await session.create(Model, model(session.name('about')));
    const made = await session.create(Event, event(about));
    const counted = await session.merge(Event, made.metadata.name, { count: 2, lastTimestamp: '2026-01-01T00:01:00Z' });
    assert.equal(counted.count, 2);
    assert.equal(counted.firstTimestamp, '2026-01-01T00:00:00Z');
  });

  test('an event lives where its object does', async () => {
    const stranger = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'x', uid: 'y' } };
    const bad = event(stranger);
    const body = await session.expect(422, 'POST', session.path(Event), {
      body: { ...bad, involvedObject: { ...bad.involvedObject, namespace: 'elsewhere' } },
    });
    assert.match(body.message, /does not match event\.namespace/);
  });
}

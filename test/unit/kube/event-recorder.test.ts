import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClusterObject } from '../../../src/api/group.ts';
import type { KubeClient } from '../../../src/kube/client.ts';
import { createEventRecorder } from '../../../src/kube/event-recorder.ts';
import { createManualClock } from '../../../src/lib/clock.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { fail, ok } from '../../../src/lib/result.ts';
import { until } from '../../support/until.ts';

function model(name: string): ClusterObject {
  return {
    apiVersion: 'stoker.dev/v1alpha1',
    kind: 'Model',
    metadata: { name, namespace: 'ns', uid: `uid-${name}`, resourceVersion: '5' },
  };
}

/** A recorder over a server that keeps what is written; `expired` names are not there any more. */
function recorderOver() {
  const clock = createManualClock(1_700_000_000_000);
  const created: Record<string, unknown>[] = [];
  const patched: { name: string; patch: unknown }[] = [];
  const expired = new Set<string>();
  const gate = { open: true, waiting: [] as (() => void)[] };
  const pass = () => (gate.open ? Promise.resolve() : new Promise<void>((resolve) => gate.waiting.push(resolve)));
  const client: Pick<KubeClient, 'create' | 'patch'> = {
    async create(_kind, object) {
      await pass();
      created.push(object as Record<string, unknown>);
      return ok(object as never);
    },
    async patch(_kind, place, patch) {
      await pass();
      if (expired.has(place.name)) return fail({ reason: 'NotFound', message: 'gone' });
      patched.push({ name: place.name, patch });
      return ok(patch as never);
    },
  };
  const recorder = createEventRecorder({
    client,
    namespace: 'ns',
    component: 'stoker-controller',
    clock,
    log: silentLog,
  });
  const record = (name: string, message = 'It is awake.') =>
    recorder.record({ regarding: model(name), type: 'Normal', reason: 'Awake', message });
  const release = () => {
    gate.open = true;
    for (const resolve of gate.waiting.splice(0)) resolve();
  };
  return { clock, created, patched, expired, gate, recorder, record, release };
}

test('an event is written as kubectl describe expects it', async () => {
  const { created, record } = recorderOver();
  record('m');
  await until(() => created.length === 1, 'the event');
  const { metadata, ...rest } = created[0] as { metadata: { name: string; namespace: string } };
  assert.match(metadata.name, /^m\.[0-9a-f]{16}$/);
  assert.equal(metadata.namespace, 'ns');
  assert.deepEqual(rest, {
    apiVersion: 'v1',
    kind: 'Event',
    involvedObject: {
      apiVersion: 'stoker.dev/v1alpha1',
      kind: 'Model',
      namespace: 'ns',
      name: 'm',
      uid: 'uid-m',
      resourceVersion: '5',
    },
    type: 'Normal',
    reason: 'Awake',
    message: 'It is awake.',
    count: 1,
    firstTimestamp: '2023-11-14T22:13:20Z',
    lastTimestamp: '2023-11-14T22:13:20Z',
    source: { component: 'stoker-controller' },
    reportingComponent: 'stoker-controller',
  });
});

test('equal events are counted up in one object, and written anew once that has expired', async () => {
  const { clock, created, patched, expired, record } = recorderOver();
  record('m');
  await until(() => created.length === 1, 'the event');
  clock.advance(60_000);
  record('m');
  await until(() => patched.length === 1, 'the count');
  assert.deepEqual(patched[0]?.patch, { count: 2, lastTimestamp: '2023-11-14T22:14:20Z' });
  record('m', 'It sleeps.');
  await until(() => created.length === 2, 'another message');
  expired.add(patched[0]?.name ?? '');
  record('m');
  await until(() => created.length === 3, 'the event anew');
  assert.equal(created[2]?.count, 3);
});

test('events that come while one is being written are counted once', async () => {
  const { created, patched, gate, record, release } = recorderOver();
  gate.open = false;
  for (let count = 0; count < 10; count += 1) record('m');
  await until(() => gate.waiting.length === 1, 'the first write');
  release();
  await until(() => patched.length === 1, 'the rest');
  assert.equal(created.length, 1);
  assert.deepEqual(patched[0]?.patch, { count: 10, lastTimestamp: '2023-11-14T22:13:20Z' });
});

test('one object has 25 events at once, then one each five minutes; others are not touched by that', async () => {
  const { clock, created, record } = recorderOver();
  for (let count = 0; count < 100; count += 1) record('noisy', `message ${count}`);
  record('quiet');
  await until(() => created.length === 26, 'the events');
  clock.advance(299_999);
  record('noisy', 'too early');
  clock.advance(1);
  record('noisy', 'in time');
  record('noisy', 'too many');
  await until(() => created.length === 27, 'the refill');
  assert.equal(created[26]?.message, 'in time');
});

test('the queue is bounded, and stopping waits for it only until the signal aborts', async () => {
  const { created, gate, recorder, record, release } = recorderOver();
  gate.open = false;
  for (let count = 0; count < 400; count += 1) record(`model-${count}`);
  const patience = new AbortController();
  const stopped = recorder.stop(patience.signal);
  record('late');
  release();
  await stopped;
  assert.equal(created.length, 257, '256 in the queue and one on its way');
  const second = recorderOver();
  second.gate.open = false;
  for (let count = 0; count < 10; count += 1) second.record(`model-${count}`);
  const ended = second.recorder.stop(patience.signal);
  patience.abort();
  second.release();
  await ended;
  assert.equal(second.created.length, 1);
});

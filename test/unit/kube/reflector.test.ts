import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { kinds, type Pod } from '../../../src/api/kinds.ts';
import { clientOver } from '../../../src/kube/client.ts';
import { createObjectCache } from '../../../src/kube/object-cache.ts';
import { reflect } from '../../../src/kube/reflector.ts';
import { createKubeTransport } from '../../../src/kube/transport.ts';
import { createManualClock } from '../../../src/lib/clock.ts';
import { type LogFields, silentLog } from '../../../src/lib/log.ts';
import { bookmark, type FakeApiServer, failure, list, pod, startFakeApiServer } from '../../support/fake-api-server.ts';
import { until } from '../../support/until.ts';

let api: FakeApiServer;
const ends: (() => Promise<void>)[] = [];
beforeEach(async () => {
  api = await startFakeApiServer();
});
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
  await api.stop();
});

/** A reflector of Pods on a manual clock whose jitter is always the longest. */
function startReflector() {
  const clock = createManualClock();
  const cache = createObjectCache<Pod>();
  const transport = createKubeTransport(api.connection, clock);
  const stopping = new AbortController();
  const changes: string[] = [];
  const pausesMs: number[] = [];
  const reasons: string[] = [];
  let syncs = 0;
  const remember = (fields: LogFields) => {
    if (fields.pauseMs === undefined) return;
    pausesMs.push(Number(fields.pauseMs));
    reasons.push(String(fields.reason));
  };
  const running = reflect<Pod>(
    {
      kind: kinds.Pod,
      namespace: 'ns',
      client: clientOver(transport),
      transport,
      cache,
      clock,
      rng: { next: () => 1, below: (bound) => bound - 1 },
      log: { ...silentLog, warn: remember, debug: remember },
      onSynced: () => {
        syncs += 1;
      },
      onChange: (name) => changes.push(name),
    },
    stopping.signal,
  );
  ends.push(async () => {
    stopping.abort(new Error('done'));
    await running;
    await transport.close();
    assert.equal(clock.pendingTimers(), 0, 'no timer is left behind');
  });
  const names = () => cache.list().map((each) => `${each.metadata.name}@${each.metadata.resourceVersion}`);
  return { clock, cache, changes, pausesMs, reasons, names, syncs: () => syncs };
}

const lists = () => api.calls.filter((call) => call.query.get('watch') !== 'true');

/** Lets the reflector's pause pass, once it has begun. */
async function passPause(pods: ReturnType<typeof startReflector>, count: number): Promise<void> {
  await until(() => pods.pausesMs.length === count, `pause ${count}`);
  pods.clock.advance(pods.pausesMs[count - 1] ?? 0);
}

test('lists in pages, then watches from there with bookmarks and a jittered timeout', async () => {
  api.onCall = ({ query }) =>
    query.get('continue') === null
      ? { body: list([pod('a', '3'), pod('b', '4')], '10', 'more') }
      : { body: list([pod('c', '5')], '10') };
  const pods = startReflector();
  await until(() => api.watches.length === 1, 'the watch');
  assert.deepEqual(pods.names(), ['a@3', 'b@4', 'c@5']);
  assert.deepEqual(pods.changes, ['a', 'b', 'c']);
  assert.equal(pods.syncs(), 1);
  assert.deepEqual(
    lists().map((call) => `${call.path}?${call.query}`),
    ['/api/v1/namespaces/ns/pods?limit=500', '/api/v1/namespaces/ns/pods?limit=500&continue=more'],
  );
  const query = api.watches[0]?.query;
  assert.deepEqual(
    [query?.get('resourceVersion'), query?.get('allowWatchBookmarks'), query?.get('timeoutSeconds')],
    ['10', 'true', '600'],
  );
  assert.equal(api.calls[0]?.headers.authorization, 'Bearer test');
});

test('events change the cache, and a watch that ended in good order is resumed at once from the last version', async () => {
  const pods = startReflector();
  await until(() => api.watches.length === 1, 'the watch');
  const watch = api.watches[0];
  watch?.send('ADDED', pod('a', '2'));
  watch?.send('MODIFIED', pod('a', '3'));
  watch?.send('ADDED', pod('b', '4'));
  watch?.send('DELETED', pod('b', '5'));
  watch?.send('SOMETHING', pod('x', '6'));
  watch?.send('BOOKMARK', bookmark('7'));
  await until(() => pods.changes.length === 4, 'the changes');
  assert.deepEqual(pods.names(), ['a@3']);
  pods.clock.advance(6000);
  watch?.end();
  await until(() => api.watches.length === 2, 'the next watch');
  assert.equal(api.watches[1]?.query.get('resourceVersion'), '7');
  assert.equal(lists().length, 1);
});

test('events that come one byte at a time, or cut inside a character, are understood', async () => {
  const pods = startReflector();
  await until(() => api.watches.length === 1, 'the watch');
  const watch = api.watches[0];
  const bytes = Buffer.from(
    `${JSON.stringify({ type: 'ADDED', object: pod('a', '2', { annotations: { note: 'é€😀' } }) })}\n`,
  );
  for (const byte of bytes) await watch?.raw(Buffer.from([byte]));
  await until(() => pods.names().length === 1, 'the object');
  assert.equal(pods.cache.get('a')?.metadata.annotations?.note, 'é€😀');
});

test('a cut watch is resumed, and half an event is not believed', async () => {
  const pods = startReflector();
  await until(() => api.watches.length === 1, 'the watch');
  api.watches[0]?.send('ADDED', pod('a', '2'));
  await api.watches[0]?.raw('{"type":"ADDED","object":{"metadata":{"name":"b"');
  await until(() => pods.changes.length === 1, 'the whole event');
  api.watches[0]?.cut();
  await passPause(pods, 1);
  await until(() => api.watches.length === 2, 'the next watch');
  assert.equal(api.watches[1]?.query.get('resourceVersion'), '2');
  assert.deepEqual(pods.names(), ['a@2']);
});

test('after 410, as an answer or as an event, it lists again and finds what was deleted meanwhile', async () => {
  const answers = [
    list([pod('a', '1'), pod('b', '2')], '10'),
    list([pod('b', '2'), pod('c', '20')], '30'),
    list([pod('b', '2')], '40'),
  ];
  api.onCall = () => ({ body: answers.shift() ?? list([], '99') });
  api.onWatch = (_watch, serial) => (serial === 2 ? failure(410, 'Expired', 'too old') : undefined);
  const pods = startReflector();
  await until(() => api.watches.length === 1, 'the watch');
  api.watches[0]?.send('ERROR', failure(410, 'Expired', 'too old resource version').body);
  await passPause(pods, 1);
  await until(() => api.watches.length === 2, 'the second watch');
  assert.deepEqual(pods.names(), ['b@2', 'c@20']);
  assert.deepEqual(pods.changes, ['a', 'b', 'a', 'c']);
  await passPause(pods, 2);
  await until(() => api.watches.length === 3, 'the third watch');
  assert.deepEqual(pods.names(), ['b@2']);
  assert.equal(pods.changes.at(-1), 'c');
  assert.equal(api.watches[2]?.query.get('resourceVersion'), '40');
  assert.equal(pods.syncs(), 1);
});

test('an ERROR event of another kind and a line that is no event also list again', async () => {
  const pods = startReflector();
  await until(() => api.watches.length === 1, 'the watch');
  api.watches[0]?.send('ERROR', failure(500, 'InternalError', 'etcd is ill').body);
  await passPause(pods, 1);
  await until(() => api.watches.length === 2, 'the second watch');
  await api.watches[1]?.raw('<html>\n');
  await passPause(pods, 2);
  await until(() => api.watches.length === 3, 'the third watch');
  assert.equal(lists().length, 3);
  assert.deepEqual(pods.reasons, ['etcd is ill', 'a watch event is not JSON']);
});

test('a server that closes every watch at once is not flooded: pauses grow to 10 s, and a good watch ends them', async () => {
  api.onWatch = (watch, serial) => {
    if (serial < 12) watch.end();
    return undefined;
  };
  const pods = startReflector();
  for (let count = 1; count <= 11; count += 1) await passPause(pods, count);
  assert.deepEqual(pods.pausesMs, [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000, 10_000, 10_000]);
  await until(() => api.watches.length === 12, 'the good watch');
  api.watches[11]?.send('ADDED', pod('a', '20'));
  await until(() => pods.changes.length === 1, 'its first event');
  pods.clock.advance(5000);
  api.watches[11]?.end();
  await until(() => api.watches.length === 13, 'the next watch, at once');
  assert.equal(pods.pausesMs.at(-1), 0);
});

test('no call is made before the pause is over', async () => {
  api.onWatch = (watch) => {
    watch.end();
    return undefined;
  };
  const pods = startReflector();
  await until(() => pods.pausesMs.length === 1, 'the pause');
  const before = api.calls.length;
  pods.clock.advance(199);
  for (let turn = 0; turn < 50; turn += 1) await setImmediate();
  assert.equal(api.calls.length, before);
  pods.clock.advance(1);
  await until(() => api.calls.length === before + 1, 'the next watch');
});

test('429 is obeyed for as long as the server says, on lists and on watches', async () => {
  let refusals = 1;
  api.onCall = () =>
    refusals-- > 0
      ? { ...failure(429, 'TooManyRequests', 'slow down'), headers: { 'retry-after': '7' } }
      : { body: list([], '5') };
  api.onWatch = (_watch, serial) =>
    serial === 1 ? { ...failure(429, 'TooManyRequests', 'slow down'), headers: { 'retry-after': '9' } } : undefined;
  const pods = startReflector();
  await passPause(pods, 1);
  await passPause(pods, 2);
  await until(() => api.watches.length === 2, 'the watch');
  assert.deepEqual(pods.pausesMs, [7000, 9000]);
  assert.equal(api.watches[1]?.query.get('resourceVersion'), '5');
});

test('a version that the server fails on three times in a row is given up for a list', async () => {
  api.onWatch = (_watch, serial) => (serial <= 3 ? failure(504, 'Timeout', 'Too large resource version') : undefined);
  const pods = startReflector();
  for (let count = 1; count <= 3; count += 1) {
    await until(() => pods.pausesMs.length === count, `failure ${count}`);
    assert.equal(lists().length, 1);
    pods.clock.advance(pods.pausesMs[count - 1] ?? 0);
  }
  await until(() => api.watches.length === 4, 'the good watch');
  assert.equal(lists().length, 2);
});

test('a watch without a byte for 90 s is left and resumed; a bookmark is a byte', async () => {
  const pods = startReflector();
  await until(() => api.watches.length === 1, 'the watch');
  await until(() => pods.clock.pendingTimers() === 1, 'the head of the answer');
  pods.clock.advance(60_000);
  api.watches[0]?.send('ADDED', pod('a', '7'));
  await until(() => pods.changes.length === 1, 'the event');
  pods.clock.advance(89_000);
  for (let turn = 0; turn < 50; turn += 1) await setImmediate();
  assert.deepEqual(pods.reasons, []);
  assert.equal(api.watches[0]?.isClosed(), false);
  pods.clock.advance(1000);
  await until(() => api.watches.length === 2, 'the next watch');
  assert.match(pods.reasons.join(), /silent for 90000 ms/);
  assert.equal(api.watches[1]?.query.get('resourceVersion'), '7');
  await until(() => api.watches[0]?.isClosed() === true, 'the old socket to close');
});

test('a page token that expired is followed by one list in one piece', async () => {
  api.onCall = ({ query }) => {
    if (query.get('continue') !== null) return failure(410, 'Expired', 'the continue token is too old');
    return query.get('limit') === null
      ? { body: list([pod('a', '1'), pod('b', '2')], '3') }
      : { body: list([pod('a', '1')], '2', 'more') };
  };
  const pods = startReflector();
  await until(() => api.watches.length === 1, 'the watch');
  assert.deepEqual(pods.names(), ['a@1', 'b@2']);
  assert.deepEqual(pods.pausesMs, []);
});

test('it is not synced before the last page, and keeps what it had when a relist fails', async () => {
  let mode: 'broken' | 'good' = 'broken';
  api.onCall = ({ query }) => {
    if (mode === 'good') return { body: list([pod('a', '1')], '3') };
    return query.get('continue') === null
      ? { body: list([pod('a', '1')], '2', 'more') }
      : failure(503, 'ServiceUnavailable', 'starting');
  };
  const pods = startReflector();
  await until(() => pods.pausesMs.length === 1, 'the failure');
  assert.equal(pods.syncs(), 0);
  assert.deepEqual(pods.names(), []);
  mode = 'good';
  await passPause(pods, 1);
  await until(() => api.watches.length === 1, 'the watch');
  mode = 'broken';
  api.watches[0]?.send('ERROR', failure(410, 'Expired', 'too old').body);
  await passPause(pods, 2);
  await until(() => pods.pausesMs.length === 3, 'the failed relist');
  assert.deepEqual(pods.names(), ['a@1']);
  assert.equal(pods.syncs(), 1);
});

test('a list that never answers is given up after 15 s, and is begun again more and more slowly', async () => {
  api.onCall = () => 'hang';
  const pods = startReflector();
  for (let count = 1; count <= 4; count += 1) {
    await until(() => api.calls.length === count, `list ${count}`);
    pods.clock.advance(15_000);
    await passPause(pods, count);
  }
  assert.deepEqual(pods.pausesMs, [200, 400, 800, 1600]);
  assert.match(pods.reasons[0] ?? '', /did not answer GET \/api\/v1\/namespaces\/ns\/pods within 15000 ms/);
});

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import type { Pod } from '../../../src/api/kinds.ts';
import { kinds } from '../../../src/api/kinds.ts';
import { createKubeClient, type KubeClient } from '../../../src/kube/client.ts';
import { createManualClock, type ManualClock } from '../../../src/lib/clock.ts';
import { type FakeApiServer, failure, list, pod, startFakeApiServer } from '../../support/fake-api-server.ts';
import { until } from '../../support/until.ts';

let api: FakeApiServer;
let clock: ManualClock;
let client: KubeClient;
const place = { namespace: 'ns', name: 'a' };
beforeEach(async () => {
  api = await startFakeApiServer();
  clock = createManualClock();
  client = createKubeClient(api.connection, clock);
});
afterEach(async () => {
  await client.close();
  await api.stop();
  assert.equal(clock.pendingTimers(), 0, 'no timer is left behind');
});

test('each verb makes the call that Kubernetes expects', async () => {
  api.onCall = () => ({ body: pod('a', '2') });
  const object = pod('a', '1') as Pod;
  await client.get(kinds.Pod, place);
  await client.create(kinds.Model, object, { namespace: 'ns' });
  await client.replace(kinds.Pod, object);
  await client.patch(kinds.Model, place, { spec: { x: 1 } });
  await client.patch(
    kinds.Model,
    { ...place, subresource: 'status' },
    { status: {}, metadata: { labels: { a: 'b' } } },
    { resourceVersion: '7' },
  );
  await client.remove(kinds.Lease, place, { gracePeriodSeconds: 0, uid: 'u' });
  assert.deepEqual(
    api.calls.map(({ method, path, headers, body }) => [method, path, headers['content-type'], body]),
    [
      ['GET', '/api/v1/namespaces/ns/pods/a', undefined, undefined],
      ['POST', '/apis/stoker.dev/v1alpha1/namespaces/ns/models', 'application/json', object],
      ['PUT', '/api/v1/namespaces/ns/pods/a', 'application/json', object],
      ['PATCH', '/apis/stoker.dev/v1alpha1/namespaces/ns/models/a', 'application/merge-patch+json', { spec: { x: 1 } }],
      [
        'PATCH',
        '/apis/stoker.dev/v1alpha1/namespaces/ns/models/a/status',
        'application/merge-patch+json',
        { status: {}, metadata: { labels: { a: 'b' }, resourceVersion: '7' } },
      ],
      [
        'DELETE',
        '/apis/coordination.k8s.io/v1/namespaces/ns/leases/a',
        'application/json',
        {
          apiVersion: 'v1',
          kind: 'DeleteOptions',
          propagationPolicy: 'Background',
          gracePeriodSeconds: 0,
          preconditions: { uid: 'u' },
        },
      ],
    ],
  );
});

test('items of a list are given their kind, dates stay strings', async () => {
  const item = { metadata: { name: 'a', creationTimestamp: '2026-01-01T00:00:00Z' } };
  api.onCall = () => ({ body: list([item], '9', 'more') });
  const page = await client.list(kinds.Pod, { namespace: 'ns', labelSelector: 'stoker.dev/pool=x', limit: 1 });
  assert.deepEqual(page, {
    ok: true,
    value: { items: [{ ...item, apiVersion: 'v1', kind: 'Pod' }], resourceVersion: '9', continueToken: 'more' },
  });
  assert.equal(String(api.calls[0]?.query), 'labelSelector=stoker.dev%2Fpool%3Dx&limit=1');
});

test('refusals become the reasons of the port, with the sentence of the server', async () => {
  const rows: [number, string, string][] = [
    [400, 'BadRequest', 'Invalid'],
    [401, 'Unauthorized', 'Unauthorized'],
    [403, 'Forbidden', 'Forbidden'],
    [404, 'NotFound', 'NotFound'],
    [409, 'AlreadyExists', 'AlreadyExists'],
    [409, 'Conflict', 'Conflict'],
    [410, 'Expired', 'Gone'],
    [415, 'UnsupportedMediaType', 'Invalid'],
    [422, 'Invalid', 'Invalid'],
    [429, 'TooManyRequests', 'Throttled'],
    [500, 'InternalError', 'Unavailable'],
    [503, 'ServiceUnavailable', 'Unavailable'],
    [504, 'Timeout', 'Timeout'],
  ];
  for (const [code, reason, expected] of rows) {
    api.onCall = () => failure(code, reason, `sentence of ${code}`);
    assert.deepEqual(await client.get(kinds.Pod, place), {
      ok: false,
      error: { reason: expected, message: `sentence of ${code}` },
    });
  }
});

test('when the server says when to come back, that is kept', async () => {
  api.onCall = () => ({ ...failure(429, 'TooManyRequests', 'slow'), headers: { 'retry-after': '3' } });
  assert.deepEqual(await client.get(kinds.Pod, place), {
    ok: false,
    error: { reason: 'Throttled', message: 'slow', retryAfterMs: 3000 },
  });
  const refusal = failure(503, 'ServiceUnavailable', 'later');
  api.onCall = () => ({ status: 503, body: { ...refusal.body, details: { retryAfterSeconds: 2 } } });
  assert.deepEqual(await client.get(kinds.Pod, place), {
    ok: false,
    error: { reason: 'Unavailable', message: 'later', retryAfterMs: 2000 },
  });
});

test('answers that are not what was asked for are errors, not objects', async () => {
  for (const body of ['text', { kind: 'Pod' }, [], null]) {
    api.onCall = () => ({ body });
    const answer = await client.get(kinds.Pod, place);
    assert.equal(answer.ok ? 'ok' : answer.error.reason, 'Unavailable');
    const page = await client.list(kinds.Pod, { namespace: 'ns' });
    assert.equal(page.ok ? 'ok' : page.error.reason, 'Unavailable');
  }
});

test('a call ends after 15 s, and at once when its signal aborts', async () => {
  api.onCall = () => 'hang';
  const late = client.get(kinds.Pod, place);
  await until(() => api.calls.length === 1, 'the call');
  clock.advance(15_000);
  const timeout = await late;
  assert.equal(timeout.ok ? 'ok' : timeout.error.reason, 'Timeout');
  const caller = new AbortController();
  const aborted = client.get(kinds.Pod, place, caller.signal);
  await until(() => api.calls.length === 2, 'the call');
  caller.abort(new Error('not wanted any more'));
  const answer = await aborted;
  assert.equal(answer.ok ? 'ok' : answer.error.reason, 'Aborted');
});

test('a server that is not there, and credentials that cannot be had, are told apart', async () => {
  const nowhere = createKubeClient({ server: 'http://127.0.0.1:1', tls: {}, authorize: async () => ({}) }, clock);
  const answer = await nowhere.get(kinds.Pod, place);
  assert.equal(answer.ok ? 'ok' : answer.error.reason, 'Unavailable');
  assert.match(answer.ok ? '' : answer.error.message, /cannot be reached: .*ECONNREFUSED/);
  await assert.rejects(nowhere.send({ method: 'GET', path: '/version' }), /cannot be reached/);
  await nowhere.close();
  const nobody = createKubeClient(
    { ...api.connection, authorize: () => Promise.reject(new Error('the plugin failed')) },
    clock,
  );
  const refused = await nobody.get(kinds.Pod, place);
  assert.deepEqual(refused, {
    ok: false,
    error: { reason: 'Unauthorized', message: 'there are no credentials: the plugin failed' },
  });
  await nobody.close();
});

test('calls share kept connections', async () => {
  api.onCall = () => ({ body: pod('a', '1') });
  for (let count = 0; count < 20; count += 1) assert.equal((await client.get(kinds.Pod, place)).ok, true);
  const connections = new Set(api.calls.map((call) => call.fromPort)).size;
  assert.ok(connections <= 2, `20 calls in a row took ${connections} connections`);
});

test('a server behind a path is reached there, and its warnings are kept', async () => {
  const behind = createKubeClient({ ...api.connection, server: `${api.connection.server}/k8s/c-1/` }, clock);
  api.onCall = () => ({ body: {}, headers: { warning: '299 - "this is \\"old\\""' } });
  const answer = await behind.send({ method: 'GET', path: '/version' });
  assert.deepEqual([answer.status, answer.warnings], [200, ['this is "old"']]);
  assert.equal(api.calls[0]?.path, '/k8s/c-1/version');
  await behind.close();
});

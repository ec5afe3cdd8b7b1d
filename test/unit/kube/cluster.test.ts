import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { kinds } from '../../../src/api/kinds.ts';
import { createKubeCluster, type KubeCluster } from '../../../src/kube/cluster.ts';
import { AssertionFailure } from '../../../src/lib/assert.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { createRng } from '../../../src/lib/rng.ts';
import {
  type FakeAnswer,
  type FakeApiServer,
  failure,
  list,
  pod,
  startFakeApiServer,
} from '../../support/fake-api-server.ts';
import { until } from '../../support/until.ts';

let api: FakeApiServer;
let cluster: KubeCluster;
beforeEach(async () => {
  api = await startFakeApiServer();
  cluster = createKubeCluster({
    connection: api.connection,
    namespace: 'ns',
    watch: [kinds.Pod, kinds.Model],
    clock: systemClock,
    rng: createRng(1),
    log: silentLog,
    component: 'test',
  });
});
afterEach(async () => {
  await cluster.stop();
  await api.stop();
});

test('it is synced once every kind has been listed, and tells every change with kind and name', async () => {
  let areModelsThere = false;
  api.onCall = ({ path }) => {
    if (path.endsWith('/pods')) return { body: list([pod('a', '1', { labels: { 'stoker.dev/pool': 'p' } })], '5') };
    return areModelsThere ? { body: list([], '6') } : failure(503, 'ServiceUnavailable', 'starting');
  };
  const changes: string[] = [];
  const end = cluster.onChange((kind, name) => changes.push(`${kind}/${name}`));
  cluster.onChange(() => {
    throw new Error('one bad listener');
  });
  const started = cluster.start();
  await until(() => changes.length === 1, 'the Pod');
  assert.equal(cluster.isSynced(), false);
  areModelsThere = true;
  await started;
  assert.equal(cluster.isSynced(), true);
  assert.equal(cluster.get(kinds.Pod, 'a')?.metadata.resourceVersion, '1');
  assert.deepEqual(cluster.listBy(kinds.Pod, 'pool', 'p'), cluster.list(kinds.Pod));
  await until(() => api.watches.length === 2, 'both watches');
  const pods = api.watches.find((watch) => watch.query.get('resourceVersion') === '5');
  pods?.send('DELETED', pod('a', '7'));
  await until(() => changes.length === 2, 'the deletion');
  assert.deepEqual(changes, ['Pod/a', 'Pod/a']);
  end();
  pods?.send('ADDED', pod('b', '8'));
  await until(() => cluster.get(kinds.Pod, 'b') !== undefined, 'the next Pod');
  assert.equal(changes.length, 2);
});

test('reading a kind that is not watched from the cache is a broken promise', () => {
  assert.throws(() => cluster.list(kinds.Secret), AssertionFailure);
});

test('stop before everything was listed ends start with a sentence', async () => {
  api.onCall = () => 'hang';
  const started = cluster.start();
  const refused = assert.rejects(started, /stopped before/);
  await until(() => api.calls.length === 2, 'the lists');
  await cluster.stop();
  await refused;
});

test('a token is someone only when the server says so for our audience', async () => {
  const user = {
    username: 'system:serviceaccount:ns:stoker-slot',
    extra: { 'authentication.kubernetes.io/pod-name': ['slot-1'], 'authentication.kubernetes.io/pod-uid': ['u-1'] },
  };
  const review = (status: object): FakeAnswer => ({
    status: 201,
    body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', status },
  });
  api.onCall = () => review({ authenticated: true, audiences: ['stoker-link'], user });
  const accepted = await cluster.reviewToken('secret-token', 'stoker-link');
  assert.deepEqual(accepted, { ok: true, value: { username: user.username, podName: 'slot-1', podUid: 'u-1' } });
  const [call] = api.calls;
  assert.deepEqual([call?.method, call?.path], ['POST', '/apis/authentication.k8s.io/v1/tokenreviews']);
  assert.deepEqual(call?.body, {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenReview',
    spec: { token: 'secret-token', audiences: ['stoker-link'] },
  });
  const refusals = [
    { authenticated: false, error: 'bad token secret-token' },
    { authenticated: true, user },
    { authenticated: true, audiences: ['https://kubernetes.default.svc'], user },
    { audiences: ['stoker-link'], user },
    { authenticated: true, audiences: ['stoker-link'], user: { username: '' } },
  ];
  for (const status of refusals) {
    api.onCall = () => review(status);
    const refused = await cluster.reviewToken('secret-token', 'stoker-link');
    assert.equal(refused.ok ? 'ok' : refused.error.reason, 'Unauthorized');
    assert.doesNotMatch(JSON.stringify(refused), /secret-token/);
  }
  api.onCall = () => failure(403, 'Forbidden', 'no reviews for you');
  const forbidden = await cluster.reviewToken('t', 'stoker-link');
  assert.equal(forbidden.ok ? 'ok' : forbidden.error.reason, 'Forbidden');
});

test('events that wait are written before it stops', async () => {
  const regarding = pod('a', '1') as never;
  cluster.recordEvent({ regarding, type: 'Warning', reason: 'Odd', message: 'Something is odd.' });
  await cluster.stop();
  assert.deepEqual(
    api.calls.map((call) => [call.method, call.path]),
    [['POST', '/api/v1/namespaces/ns/events']],
  );
});

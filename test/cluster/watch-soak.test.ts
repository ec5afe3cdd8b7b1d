// The watched cache on a bad road to a real API server: cuts in the middle of lines, streams that stand still, refusals,
// versions that are gone because the server began anew, and a server that sends callers away. At every checkpoint the cache
// is exactly what a list says. STOKER_SOAK_SECONDS makes it longer: 600 is the whole soak.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { kinds } from '../../src/api/kinds.ts';
import { createKubeClient, type KubeClient } from '../../src/kube/client.ts';
import { createKubeCluster, type KubeCluster } from '../../src/kube/cluster.ts';
import type { Connection } from '../../src/kube/connection.ts';
import { createKubeTransport } from '../../src/kube/transport.ts';
import { parseWatchEvent } from '../../src/kube/watch-events.ts';
import { delay, systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { createRng } from '../../src/lib/rng.ts';
import type { ControlPlane } from '../support/cluster/control-plane.ts';
import { openRoughRoad, type RoughRoad } from '../support/cluster/rough-road.ts';
import { expect, joinCluster, startTestPlane, type TestCluster } from '../support/cluster/test-cluster.ts';

const seconds = Number(process.env.STOKER_SOAK_SECONDS ?? 20);
const CHECK_EVERY_MS = 4000;
/** Pauses between attempts grow to 10 s. */
const CATCH_UP_MS_MAX = 40_000;
const seed = Number(process.env.STOKER_SOAK_SEED ?? 11);

describe('a watch on a bad road', { timeout: seconds * 1000 + 180_000 }, () => {
  const rng = createRng(seed);
  let plane: ControlPlane;
  let cluster: TestCluster;
  let namespace: string;
  let road: RoughRoad;
  let watched: KubeCluster;
  let client: KubeClient;
  /** Administrators are never sent away: this is nobody special. */
  let ordinary: Connection;
  let changes = 0;
  before(async () => {
    plane = await startTestPlane();
    cluster = await joinCluster(plane.kubeconfig, () => plane.stop());
    namespace = await cluster.makeNamespace('soak');
    road = await openRoughRoad(plane.server, rng);
    client = createKubeClient(cluster.connection);
    ordinary = await makeOrdinary();
    watched = createKubeCluster({
      connection: { ...ordinary, server: road.server },
      namespace,
      watch: [kinds.ConfigMap],
      component: 'soak',
      clock: systemClock,
      rng,
      log: silentLog,
    });
    await watched.start();
  });
  after(async () => {
    await watched.stop();
    await client.close();
    await road.close();
    await cluster.close();
  });

  async function makeOrdinary(): Promise<Connection> {
    const rbac = 'rbac.authorization.k8s.io';
    const root = `/apis/${rbac}/v1/namespaces/${namespace}`;
    const make = (kind: string, rest: object) =>
      expect(cluster.client, 201, {
        method: 'POST',
        path: `${root}/${kind.toLowerCase()}s`,
        body: { apiVersion: `${rbac}/v1`, kind, metadata: { name: 'ordinary' }, ...rest },
      });
    await make('Role', { rules: [{ apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list', 'watch'] }] });
    await make('RoleBinding', {
      roleRef: { apiGroup: rbac, kind: 'Role', name: 'ordinary' },
      subjects: [{ kind: 'ServiceAccount', name: 'default', namespace }],
    });
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/default/token`;
    const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 3600 } };
    const { status } = await expect(cluster.client, 201, { method: 'POST', path, body });
    return cluster.as(status.token, namespace);
  }

  /** One random change among forty names, straight to the server. */
  async function change(): Promise<void> {
    const name = `c${rng.below(40)}`;
    const place = { namespace, name };
    changes += 1;
    const data = { round: String(changes) };
    const made = await client.create(
      kinds.ConfigMap,
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data },
      { namespace },
    );
    if (made.ok || made.error.reason !== 'AlreadyExists') return;
    if (rng.next() < 0.3) await client.remove(kinds.ConfigMap, place);
    else await client.patch(kinds.ConfigMap, place, { data });
  }

  /** Everything by name and version, as the server has it and as the cache has it. */
  async function differences(): Promise<string[]> {
    const listed = await client.list(kinds.ConfigMap, { namespace });
    if (!listed.ok) return [listed.error.message];
    const keyOf = ({ metadata }: { metadata: { name: string; resourceVersion?: string } }) =>
      `${metadata.name}@${metadata.resourceVersion}`;
    const there = new Set(listed.value.items.map(keyOf));
    const here = new Set(watched.list(kinds.ConfigMap).map(keyOf));
    return [...there, ...here].filter((key) => !(there.has(key) && here.has(key)));
  }

  async function catchUp(): Promise<void> {
    const endMs = performance.now() + CATCH_UP_MS_MAX;
    for (;;) {
      const left = await differences();
      if (left.length === 0) return;
      assert.ok(performance.now() < endMs, `seed ${seed}: the cache never became equal: ${left.join(', ')}`);
      await delay(systemClock, 50);
    }
  }

  /** Trouble by chance, or an end to it. */
  function trouble(): void {
    const chance = rng.next();
    if (chance < 0.05) road.cut(0.7);
    else if (chance < 0.08) road.hold(true);
    else if (chance < 0.12) road.refuse(true);
    else if (chance < 0.3) smooth();
  }

  function smooth(): void {
    road.hold(false);
    road.refuse(false);
  }

  test(`for ${seconds} s no event is missed`, async (t) => {
    const endMs = performance.now() + seconds * 1000;
    let checks = 0;
    while (performance.now() < endMs) {
      const roundMs = performance.now() + CHECK_EVERY_MS;
      while (performance.now() < roundMs) {
        await Promise.all([change(), change(), change()]);
        trouble();
      }
      smooth();
      await catchUp();
      checks += 1;
    }
    assert.ok(road.troubles() >= 5 && changes > 100, `${road.troubles()} troubles, ${changes} changes`);
    t.diagnostic(`seed ${seed}: ${changes} changes, ${road.troubles()} troubles, ${checks} checkpoints`);
  });

  test('a server that began anew knows old versions no more: the cache is read again', async () => {
    road.refuse(true);
    road.cut(1);
    for (let count = 0; count < 50; count += 1) await change();
    await plane.stopApiServer('SIGKILL');
    await plane.startApiServer();
    for (let count = 0; count < 20; count += 1) await change();
    road.refuse(false);
    await catchUp();
    assert.equal(await reasonOfOldVersion(), 'Gone');
  });

  /** How the server's answer to a watch from long ago is understood. */
  async function reasonOfOldVersion(): Promise<string | undefined> {
    const transport = createKubeTransport(cluster.connection, systemClock);
    const path = `/api/v1/namespaces/${namespace}/configmaps?watch=true&timeoutSeconds=5&resourceVersion=1`;
    const opened = await transport.open(path, new AbortController().signal);
    let text = '';
    if (opened.ok) for await (const bytes of opened.value) text += Buffer.from(bytes).toString('utf8');
    await transport.close();
    if (!opened.ok) return opened.error.reason;
    const event = parseWatchEvent(kinds.ConfigMap, text.split('\n')[0] ?? '');
    return event.type === 'error' ? event.error.reason : event.type;
  }

  test('a server that sends callers away is not asked in a loop, and everything comes in the end', async () => {
    await plane.stopApiServer('SIGTERM');
    await plane.startApiServer([
      '--enable-priority-and-fairness=false',
      '--max-requests-inflight=1',
      '--max-mutating-requests-inflight=1',
    ]);
    const noise = createKubeClient(ordinary);
    let throttled = 0;
    const endMs = performance.now() + 4000;
    const nag = async () => {
      while (performance.now() < endMs) {
        const listed = await noise.list(kinds.ConfigMap, { namespace });
        if (listed.ok) continue;
        assert.equal(listed.error.reason, 'Throttled', listed.error.message);
        assert.ok((listed.error.retryAfterMs ?? 0) > 0);
        throttled += 1;
        if (throttled % 20 === 0) road.cut(1);
      }
    };
    await Promise.all(Array.from({ length: 8 }, nag));
    await noise.close();
    assert.ok(throttled > 0, 'nobody was sent away');
    for (let count = 0; count < 10; count += 1) await change();
    await catchUp();
  });
});

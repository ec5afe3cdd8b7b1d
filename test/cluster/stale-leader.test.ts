// A leader that was paused, goes on, and does not know yet that another one leads: what it still says reaches a real agent and a
// real router in the middle of their sessions with the new leader. They drop it, nothing is done twice, and it ends itself.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createRng } from '../../src/lib/rng.ts';
import { renderKubeconfig } from '../../src/main/kubeconfig.ts';
import { type Lab, startLab } from '../support/cluster/lab.ts';
import { type LingeringFront, startLingeringFront } from '../support/cluster/lingering-front.ts';
import { askStream, simulatedModel, simulatedPool } from '../support/cluster/questions.ts';
import { openRoughRoad, type RoughRoad } from '../support/cluster/rough-road.ts';
import { type StokerProcess, startStokerProcess } from '../support/cluster/stoker-process.ts';
import { expect, type Json, openTestCluster } from '../support/cluster/test-cluster.ts';

const DROPPED = 'dropped a link message that the fence refuses';

describe('a leader that was paused', { timeout: 180_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'stoker-stale-'));
  const started: StokerProcess[] = [];
  let lab: Lab;
  let front: LingeringFront;
  let road: RoughRoad;
  let old: StokerProcess;
  let next: StokerProcess;
  let agent: StokerProcess;
  let router: StokerProcess;
  let openai: string;
  let slot: Json;

  const write = (name: string, text: string) => {
    const path = join(folder, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  const start = (args: readonly string[], environment: NodeJS.ProcessEnv = {}) => {
    const child = startStokerProcess([...args, '--log-level', 'debug'], environment);
    started.push(child);
    return child;
  };
  const merge = (path: string, body: object) =>
    expect(lab.cluster.client, 200, {
      method: 'PATCH',
      path,
      body,
      headers: { 'content-type': 'application/merge-patch+json' },
    });

  /** The old leader reaches the API server by a road that can be held. */
  async function startOldLeader(): Promise<StokerProcess> {
    road = await openRoughRoad(lab.cluster.connection.server, createRng(5));
    const kubeconfig = write(
      'old.kubeconfig',
      renderKubeconfig({
        url: road.server,
        caPem: lab.cluster.connection.tls.ca ?? '',
        user: 'controller',
        token: await lab.token('stoker-controller', { audience: '' }),
      }),
    );
    return lab.startController('old', ['--kubeconfig', kubeconfig, '--link-url', front.url]);
  }

  /** The Pod is the controller's; the process in it is a real agent. */
  async function startAgent(): Promise<StokerProcess> {
    await lab.until(async () => (await lab.list('pods')).length === 1, 'the slot to be made');
    [slot] = await lab.list('pods');
    const { name, uid } = slot.metadata;
    const path = `/api/v1/namespaces/${lab.namespace}/pods/${name}`;
    const target = { apiVersion: 'v1', kind: 'Node', name: 'lab' };
    const binding = { apiVersion: 'v1', kind: 'Binding', metadata: { name }, target };
    await lab.cluster.client.send({ method: 'POST', path: `${path}/binding`, body: binding });
    const conditions = [{ type: 'Ready', status: 'True' }];
    await merge(`${path}/status`, { status: { phase: 'Running', podIP: '127.0.0.1', conditions } });
    const tokenFile = write('agent-token', await lab.token('stoker-slot', { pod: { name, uid } }));
    const ports = ['--bind-host', '127.0.0.1', '--data-port', '0', '--admin-port', '0'];
    const link = ['--link-url', front.url, '--link-token-file', tokenFile, '--data-dir', join(folder, 'agent')];
    return start(['agent', ...ports, ...link], { STOKER_POD_UID: uid, STOKER_POD_NAME: name });
  }

  before(async () => {
    front = await startLingeringFront();
    lab = await startLab(await openTestCluster(), { node: false });
    old = await startOldLeader();
    front.pointAt(Number((await old.ready).linkPort));
    next = lab.startController('next', ['--link-url', front.url]);
    await next.said('old leads');
    await lab.create('pools', simulatedPool('sim', { min: 1, max: 1 }));
    await lab.create('models', simulatedModel('kept', 'sim', { scaling: { minAwake: 1 } }));
    agent = await startAgent();
    const tokenFile = write('router-token', await lab.token('stoker-router'));
    const link = ['--link-url', front.url, '--link-token-file', tokenFile];
    router = start(['router', '--port', '0', '--admin-port', '0', ...link]);
    openai = String((await router.ready).url);
    await lab.until(async () => (await lab.get('models', 'kept')).status?.rung === 'Awake', 'the model to be awake');
    assert.equal((await askStream(openai, 'kept')).status, 200);
  });
  after(async () => {
    old.signal('SIGCONT');
    for (const child of started) await child.stop();
    await lab.stop();
    await front.close();
    await road.close();
    await lab.cluster.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const leaseOf = async () => (await lab.get('leases', 'stoker-controller')).spec;

  test('is followed by the next one, whom agent and router obey', async () => {
    old.signal('SIGSTOP');
    // An administrator does not wait for the Lease to expire. Else the old one would know by its own clock that it is over.
    const path = `/apis/coordination.k8s.io/v1/namespaces/${lab.namespace}/leases/stoker-controller`;
    await merge(path, { spec: { holderIdentity: '' } });
    front.pointAt(Number((await next.ready).linkPort));
    front.moveSpokes();
    await lab.create('models', simulatedModel('later', 'sim', { scaling: { minAwake: 1 } }));
    await lab.patch('models', 'kept', { spec: { scaling: { minAwake: 0 } } });
    await lab.until(async () => (await lab.get('models', 'later')).status?.rung === 'Awake', 'the next one to act');
    assert.equal((await askStream(openai, 'later')).status, 200);
    assert.equal(front.straysDelivered(), 0, 'nothing of the old one came yet');
  });

  test('goes on, believes that it leads, and is dropped by agent and router', async (t) => {
    const { leaseTransitions: epoch } = await leaseOf();
    // It has heard of the changes, and cannot ask whether it leads.
    road.hold(true);
    road.refuse(true);
    old.signal('SIGCONT');
    await agent.said(DROPPED, 15_000);
    await router.said(DROPPED, 15_000);
    const drops = [...dropsIn(agent.log()), ...dropsIn(router.log())];
    t.diagnostic(`${front.straysDelivered()} strays, dropped: ${JSON.stringify(drops)}`);
    assert.ok(drops.every((drop) => drop.epoch === epoch - 1));
    assert.ok(drops.some(({ type }) => type === 'target'));
    assert.ok(drops.some(({ type }) => type === 'table'));
    assert.equal(await old.gone, 1);
    assert.match(old.log(), /was not renewed for 10 s|Another controller leads/);
  });

  test('has changed nothing', async () => {
    assert.equal((await leaseOf()).holderIdentity, 'next');
    assert.deepEqual(
      (await lab.list('pods')).map(({ metadata }) => metadata.uid),
      [slot.metadata.uid],
    );
    assert.equal((await lab.get('models', 'later')).status.rung, 'Awake');
    const answer = await askStream(openai, 'later');
    assert.match(answer.raw, /data: \[DONE\]\n\n$/);
    assert.equal(agent.log().split('"the link is up"').length - 1, 2, 'the session with the new leader went on');
  });
});

interface Drop {
  readonly type: string;
  readonly epoch: number;
}

function dropsIn(log: string): Drop[] {
  const lines = log.split('\n').filter((line) => line.includes(DROPPED));
  return lines.map((line) => JSON.parse(line)).map(({ type, epoch }) => ({ type, epoch }));
}

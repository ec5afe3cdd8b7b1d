// A large cluster in steady state: 2,000 objects and 500 slots whose agents are all connected. Prints what the controller
// costs then: calls to the API server a second, and a share of one core. The bounds are generous: they catch loops.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { delay, systemClock } from '../../src/lib/clock.ts';
import { type FakeSlots, startFakeSlots } from '../support/cluster/fake-slots.ts';
import { type Lab, startLab } from '../support/cluster/lab.ts';
import { simulatedModel, simulatedPool } from '../support/cluster/questions.ts';
import type { StokerProcess } from '../support/cluster/stoker-process.ts';
import { type Json, joinCluster, startTestPlane } from '../support/cluster/test-cluster.ts';

const SLOTS = 500;
const MODELS = 750;
const QUIET_MS = 20_000;
const READY_MS_MAX = 300_000;
const CALLS_PER_SECOND_MAX = 20;
const CORES_MAX = 0.5;
/** Linux counts a process's time in these. */
const TICKS_PER_SECOND = 100;

describe('2,000 objects and 500 slots', { timeout: 480_000 }, () => {
  let lab: Lab;
  let slots: FakeSlots;
  let controller: StokerProcess;
  before(async () => {
    const plane = await startTestPlane();
    lab = await startLab(await joinCluster(plane.kubeconfig, () => plane.stop()), { node: false });
    slots = await startFakeSlots(lab);
    controller = lab.startController('one', ['--log-level', 'warn']);
    await controller.ready;
  });
  after(async () => {
    await slots.stop();
    await lab.stop();
    await lab.cluster.close();
  });

  /** Calls that the server has answered, by verb and resource. Watches that go on are none. */
  async function callsAnswered(): Promise<ReadonlyMap<string, number>> {
    const { body } = await lab.cluster.client.send({ method: 'GET', path: '/metrics' });
    const calls = new Map<string, number>();
    for (const [, labels = '', count] of String(body).matchAll(/^apiserver_request_total\{([^}]*)\} (\S+)$/gm)) {
      const label = (name: string) => new RegExp(`(?:^|,)${name}="([^"]*)"`).exec(labels)?.[1] ?? '';
      const key = `${label('verb')} ${label('resource')}${label('subresource') && `/${label('subresource')}`}`;
      calls.set(key, (calls.get(key) ?? 0) + Number(count));
    }
    return calls;
  }

  function coreSeconds(): number {
    const stat = readFileSync(`/proc/${controller.pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  }

  test('all of them come to rest, and then the controller costs little', { timeout: 420_000 }, async (t) => {
    const startMs = performance.now();
    await lab.create('pools', simulatedPool('many', { min: SLOTS, max: SLOTS }));
    for (let at = 0; at < MODELS; at += 1) {
      await lab.create('models', simulatedModel(`model-${at}`, 'many', { scaling: { minAwake: 0 } }));
    }
    const isCalm = async () => {
      const { status } = await lab.get('pools', 'many');
      if (status?.ready !== SLOTS) return false;
      const models = await lab.list('models');
      return models.every(({ status: seen }) =>
        seen?.conditions?.some(({ type, reason }: Json) => type === 'Ready' && reason === 'Cold'),
      );
    };
    await lab.until(isCalm, 'every slot to be connected and every Model to say that it can be woken', READY_MS_MAX);
    const tookMs = performance.now() - startMs;
    await delay(systemClock, QUIET_MS / 4);
    const before = { calls: await callsAnswered(), cores: coreSeconds(), atMs: performance.now() };
    await delay(systemClock, QUIET_MS);
    const seconds = (performance.now() - before.atMs) / 1000;
    const rates = [...(await callsAnswered())]
      .map(([key, count]) => ({ key, perSecond: (count - (before.calls.get(key) ?? 0)) / seconds }))
      .filter(({ perSecond }) => perSecond > 0)
      .sort((a, b) => b.perSecond - a.perSecond);
    const callsPerSecond = rates.reduce((sum, { perSecond }) => sum + perSecond, 0);
    const cores = (coreSeconds() - before.cores) / seconds;
    t.diagnostic(
      `at rest after ${(tookMs / 1000).toFixed(0)} s; then ${callsPerSecond.toFixed(1)} API calls/s (whole server), ${cores.toFixed(3)} cores of the controller`,
    );
    t.diagnostic(rates.map(({ key, perSecond }) => `${key} ${perSecond.toFixed(2)}/s`).join(', '));
    assert.ok(callsPerSecond <= CALLS_PER_SECOND_MAX, String(callsPerSecond));
    assert.ok(cores <= CORES_MAX, String(cores));
    const pool = await lab.get('pools', 'many');
    assert.equal(pool.status.nextSerial, SLOTS);
    assert.equal((await lab.list('pods')).length, SLOTS);
  });
});

// Two controllers on a real API server: one leads, and whatever happens to it the other follows in time, with nothing done
// twice. Slots and requests do not notice.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { request } from 'undici';
import { type Lab, startLab } from '../support/cluster/lab.ts';
import { askStream, simulatedModel, simulatedPool } from '../support/cluster/questions.ts';
import type { StokerProcess } from '../support/cluster/stoker-process.ts';
import { openTestCluster } from '../support/cluster/test-cluster.ts';

const CLEAN_MS_MAX = 3000;
const HARD_MS_MAX = 25_000;

describe('leadership', { timeout: 300_000 }, () => {
  let lab: Lab;
  let openai: string;
  let leader: StokerProcess;
  let standby: StokerProcess;
  before(async () => {
    lab = await startLab(await openTestCluster());
    leader = lab.startController('one');
    await leader.ready;
    standby = lab.startController('two');
    await standby.said('one leads');
    await lab.create('pools', simulatedPool('sim', { min: 2, max: 2 }));
    await lab.create('models', simulatedModel('kept', 'sim', { scaling: { minAwake: 1 } }));
    openai = await lab.startRouter();
    await lab.until(async () => (await lab.get('models', 'kept')).status?.rung === 'Awake', 'the model to be awake');
  });
  after(async () => {
    await lab.stop();
    await lab.cluster.close();
  });

  /** The epoch of the first leader: a Lease that is not there begins at a time, not at 1. */
  let first = 0;
  const epochOf = async () => (await lab.get('leases', 'stoker-controller')).spec.leaseTransitions as number;
  const slotUids = async () => (await lab.list('pods')).map(({ metadata }) => metadata.uid).sort();
  /** Until a change that only a controller can make has been made. */
  const acts = async (name: string, msMax: number) => {
    await lab.create('models', simulatedModel(name, 'sim'));
    await lab.until(
      async () => (await lab.get('models', name)).status?.conditions !== undefined,
      `somebody to look at ${name}`,
      msMax,
    );
  };

  test('the one that stands by is alive and ready, does not act, and says so', async () => {
    const port = await adminPortOf(standby);
    assert.deepEqual(await answerOf(port, '/healthz'), [200, 'ok\n']);
    assert.deepEqual(await answerOf(port, '/readyz'), [200, 'ok: standing by, another replica leads\n']);
    assert.equal((await answerOf(port, '/metrics'))[0], 200);
    assert.deepEqual(await answerOf(port, '/explain/scale/kept'), [
      503,
      'This replica stands by and decides nothing. one holds the Lease and leads: ask that one.\n',
    ]);
    first = await epochOf();
    assert.ok(first > 0);
  });

  test('a clean hand-over takes 3 s at most; slots stay, and requests are served all the while', async () => {
    const before = await slotUids();
    const asking = keepAsking(openai, 'kept');
    const startMs = performance.now();
    leader.signal('SIGTERM');
    await standby.ready;
    const tookMs = performance.now() - startMs;
    assert.equal(await leader.gone, 0);
    assert.ok(tookMs <= CLEAN_MS_MAX, `it took ${Math.round(tookMs)} ms`);
    assert.equal(await epochOf(), first + 1);
    await acts('after-clean', 5000);
    assert.deepEqual(await slotUids(), before);
    assert.deepEqual(await asking.stop(), []);
  });

  test('after a hard kill the next one leads within 25 s; nothing is made twice', async () => {
    leader = lab.startController('three');
    await leader.said('two leads');
    const before = await slotUids();
    const asking = keepAsking(openai, 'kept');
    const startMs = performance.now();
    standby.signal('SIGKILL');
    await leader.ready;
    const tookMs = performance.now() - startMs;
    assert.ok(tookMs <= HARD_MS_MAX, `it took ${Math.round(tookMs)} ms`);
    assert.equal(await epochOf(), first + 2);
    await acts('after-kill', 10_000);
    assert.deepEqual(await slotUids(), before);
    assert.deepEqual(await asking.stop(), []);
    assert.equal((await lab.get('pools', 'sim')).status.nextSerial, 2);
  });

  test('a leader that was paused is over when it goes on: it writes nothing and ends', async () => {
    standby = lab.startController('four');
    await standby.said('three leads');
    const before = await slotUids();
    leader.signal('SIGSTOP');
    await standby.ready;
    await acts('while-paused', 10_000);
    const seen = await lab.get('leases', 'stoker-controller');
    leader.signal('SIGCONT');
    assert.equal(await leader.gone, 1);
    assert.match(leader.log(), /This process stood still|Another controller leads/);
    const now = await lab.get('leases', 'stoker-controller');
    assert.equal(now.spec.holderIdentity, 'four');
    assert.equal(now.spec.leaseTransitions, seen.spec.leaseTransitions);
    assert.deepEqual(await slotUids(), before);
    // The router finds the new leader once it has heard nothing of the old one for long enough.
    const isServed = async () => (await askStream(openai, 'while-paused')).status === 200;
    await lab.until(isServed, 'the router to know what the new leader decided');
  });

  test('a restarted process of the same name waits for nothing', async () => {
    const startMs = performance.now();
    standby.signal('SIGKILL');
    await standby.gone;
    const again = lab.startController('four');
    await again.ready;
    assert.ok(performance.now() - startMs <= 5000, `it took ${Math.round(performance.now() - startMs)} ms`);
    assert.equal(await epochOf(), first + 4);
    await acts('after-restart', 10_000);
  });
});

/** Asks one question after the other. `stop` resolves with what went wrong. */
function keepAsking(url: string, model: string): { stop(): Promise<string[]> } {
  let isStopped = false;
  const failures: string[] = [];
  const work = (async () => {
    let asked = 0;
    while (!isStopped || asked === 0) {
      asked += 1;
      const { status, raw } = await askStream(url, model);
      if (status !== 200 || !raw.endsWith('data: [DONE]\n\n')) failures.push(`${status} ${raw}`);
    }
  })();
  return {
    async stop() {
      isStopped = true;
      await work;
      return failures;
    },
  };
}

async function answerOf(port: number, path: string): Promise<[number, string]> {
  const { statusCode, body } = await request(`http://127.0.0.1:${port}${path}`);
  return [statusCode, await body.text()];
}

/** It picked a free one and says which only when it leads: the log has it before. */
async function adminPortOf(controller: StokerProcess): Promise<number> {
  await controller.said('"adminPort"');
  return Number(/"adminPort":(\d+)/.exec(controller.log())?.[1]);
}

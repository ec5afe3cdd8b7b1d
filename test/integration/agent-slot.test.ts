// The agent as the hub sees it: targets in, reports out, engines that fail in every way they can.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { request } from 'undici';
import type { AgentLimits } from '../../src/agent/limits.ts';
import { residentRungs } from '../../src/api/link.ts';
import {
  answerJson,
  chunk,
  createFakeEngine,
  type FakeEngine,
  goodSample,
  openEvents,
} from '../support/fake-engine.ts';
import { wanted } from '../support/fake-hub.ts';
import { podUid, type RunningAgent, readFrames, slotRequest, startAgent } from '../support/running-agent.ts';
import { until } from '../support/until.ts';

/** A promise that the test settles. */
function gate() {
  let open: () => void = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}

const never = (signal: AbortSignal) =>
  new Promise<void>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });

describe('an agent', { timeout: 60_000 }, () => {
  let fake: FakeEngine;
  let running: RunningAgent;
  let stateDir = '';
  const limits: Partial<AgentLimits> = { retryMsBase: 5, retryMsMax: 20 };
  const start = async (changes: Partial<AgentLimits> = {}) => {
    running = await startAgent({ engines: fake.engines, stateDir, limits: { ...limits, ...changes } });
  };
  beforeEach(() => {
    fake = createFakeEngine();
    stateDir = mkdtempSync(join(tmpdir(), 'stoker-agent-'));
  });
  afterEach(async () => {
    await running.close();
    await fake.close();
    rmSync(stateDir, { recursive: true });
    for (const report of running.hub.reports) {
      const resident = report.instances.filter((instance) => residentRungs.has(instance.rung));
      assert.ok(resident.length <= 1, JSON.stringify(resident));
    }
  });
  const awake = (revision: string) => running.hub.seen(revision, (report) => report.rung === 'Awake');
  const ask = async (id: string) => running.pool.request(slotRequest(id));
  const stream = () => {
    fake.behaviour.chat = ({ response }) => {
      openEvents(response);
      response.write(chunk({ content: 'Hi' }));
    };
  };

  test('says hello with its data port and reports at once', async () => {
    await start();
    const hello = running.hub.hello();
    assert.equal(hello?.podUid, podUid);
    assert.equal(hello?.dataPort, running.dataPort);
    assert.deepEqual(running.hub.reports[0]?.instances, []);
    running.hub.target([wanted('a', 'Awake')]);
    const report = await awake('a');
    assert.equal(report.id, `${podUid}/a/1`);
    assert.equal(report.engineBuild, 'builtin:0123456789ab');
    assert.deepEqual(report.probeSample, goodSample);
    assert.equal(report.climb?.from, 'Staged');
    assert.deepEqual(running.hub.latest()?.fence, { epoch: 1, seq: 1 });
    assert.deepEqual(running.hub.latest()?.keyVersions, [1]);
  });

  test('is ready once the hub was reached, and stays so without it', async () => {
    await start();
    const ready = async () => {
      const answer = await request(`http://127.0.0.1:${running.adminPort}/readyz`);
      await answer.body.dump();
      return answer.statusCode;
    };
    assert.equal(await ready(), 200);
    running.hub.target([wanted('a', 'Awake')]);
    const { id } = await awake('a');
    running.hub.drop();
    assert.equal(await ready(), 200);
    const answer = await ask(id);
    assert.equal(answer.statusCode, 200);
    await answer.body.dump();
  });

  test('swaps two models: sleeps one before the other wakes, and back', async () => {
    await start();
    running.hub.target([wanted('a', 'Awake'), wanted('b', 'Staged')]);
    await awake('a');
    running.hub.target([wanted('a', 'Asleep'), wanted('b', 'Awake')]);
    await awake('b');
    assert.equal(running.hub.instance('a')?.rung, 'Asleep');
    assert.equal(fake.processes[0]?.isAsleep, true);
    running.hub.target([wanted('a', 'Awake'), wanted('b', 'Asleep')]);
    const back = await running.hub.seen('a', (report) => report.rung === 'Awake' && report.climb?.from === 'Asleep');
    assert.equal(back.id, `${podUid}/a/1`);
    assert.equal(fake.processes.length, 2);
  });

  test('stops instead of sleeping where the engine cannot sleep', async () => {
    fake.behaviour.survivesSleep = false;
    await start();
    running.hub.target([wanted('a', 'Awake')]);
    await awake('a');
    running.hub.target([wanted('a', 'Asleep')]);
    await running.hub.seen('a', (report) => report.rung === 'Staged');
    assert.equal(fake.latest().isGone, true);
  });

  test('stops and forgets what no target names', async () => {
    await start();
    running.hub.target([wanted('a', 'Awake')]);
    await awake('a');
    running.hub.target([]);
    await until(() => running.hub.latest()?.instances.length === 0, 'no instances');
    assert.equal(fake.latest().isGone, true);
  });

  test('drains before it sleeps, and cuts truthfully when the time is over', async () => {
    await start();
    stream();
    running.hub.target([wanted('a', 'Awake')]);
    const { id } = await awake('a');
    const answer = await ask(id);
    running.hub.target([wanted('a', 'Asleep', { drainMs: 3000 })]);
    await running.hub.seen('a', (report) => report.rung === 'Draining');
    const refused = await ask(id);
    assert.equal(refused.headers['x-stoker-refusal'], 'Draining');
    await refused.body.dump();
    const frames = readFrames(await answer.body.text());
    assert.equal(frames[0]?.kind, 'content');
    assert.equal(JSON.parse(frames.at(-1)?.data ?? '').error.code, 'draining');
    await running.hub.seen('a', (report) => report.rung === 'Asleep' && report.inFlight === 0);
  });

  test('takes a drain back when the model is wanted again', async () => {
    await start();
    stream();
    running.hub.target([wanted('a', 'Awake')]);
    const { id } = await awake('a');
    const answer = await ask(id);
    running.hub.target([wanted('a', 'Asleep', { drainMs: 60_000 })]);
    await running.hub.seen('a', (report) => report.rung === 'Draining');
    running.hub.target([wanted('a', 'Awake')]);
    await awake('a');
    assert.deepEqual(fake.latest().log, ['load', 'probe']);
    answer.body.on('error', () => {}).destroy();
  });

  test('tries a start again with a back-off, and says why it failed', async () => {
    let tries = 0;
    const third = gate();
    fake.behaviour.load = async () => {
      tries += 1;
      if (tries < 3) throw new Error('The file is broken.');
      await third.opened;
    };
    await start();
    running.hub.target([wanted('a', 'Awake')]);
    const failed = await running.hub.seen('a', (seen) => seen.failure !== undefined);
    assert.equal(failed.failure?.message, 'The file is broken.');
    third.open();
    const report = await awake('a');
    assert.equal(report.id, `${podUid}/a/3`);
    assert.equal(report.failure, undefined);
    assert.equal(fake.processes.filter((process) => process.isGone).length, 2);
  });

  test('ends a start that takes too long', async () => {
    fake.behaviour.load = (_process, signal) => never(signal);
    await start({ startMsMax: 30, retryMsBase: 60_000, retryMsMax: 60_000 });
    running.hub.target([wanted('a', 'Awake')]);
    const report = await running.hub.seen('a', (seen) => seen.rung === 'Failed');
    assert.equal(report.failure?.reason, 'StepTimeout');
    assert.equal(fake.latest().isGone, true);
  });

  test('ends a start that comes up only after it was given up', async () => {
    const late = gate();
    fake.behaviour.start = () => late.opened;
    await start({ startMsMax: 30, retryMsBase: 60_000, retryMsMax: 60_000 });
    running.hub.target([wanted('a', 'Awake')]);
    await running.hub.seen('a', (seen) => seen.rung === 'Failed');
    late.open();
    await until(() => fake.processes.length === 1 && fake.latest().isGone, 'the late engine is ended');
  });

  test('gives up a start that nobody wants any more, for the one that is wanted', async () => {
    fake.behaviour.load = (process, signal) => (process.launch.revision === 'a' ? never(signal) : Promise.resolve());
    await start();
    running.hub.target([wanted('a', 'Awake')]);
    await running.hub.seen('a', (report) => report.rung === 'Starting');
    running.hub.target([wanted('a', 'Staged'), wanted('b', 'Awake')]);
    await awake('b');
    assert.equal(running.hub.instance('a')?.rung, 'Staged');
    assert.equal(running.hub.instance('a')?.failure, undefined);
  });

  test('compares the probe with what the target expects', async () => {
    await start({ retryMsBase: 60_000, retryMsMax: 60_000 });
    const probeExpected = { ...goodSample, tokenIds: [9, 2, 3, 4, 5, 6, 7, 8] };
    running.hub.target([wanted('a', 'Awake', { probeExpected })]);
    const report = await running.hub.seen('a', (seen) => seen.rung === 'Failed');
    assert.equal(report.failure?.reason, 'ProbeMismatch');
    assert.equal(report.probeSample, undefined);
  });

  test('never serves a wake that answers the probe wrongly: starts again', async () => {
    await start();
    running.hub.target([wanted('a', 'Awake')]);
    await awake('a');
    running.hub.target([wanted('a', 'Asleep')]);
    await running.hub.seen('a', (report) => report.rung === 'Asleep');
    fake.behaviour.probe = async (process) =>
      process.log.includes('wake') ? { ...goodSample, tokenIds: [0, 0, 0, 0, 0, 0, 0, 0] } : goodSample;
    running.hub.target([wanted('a', 'Awake')]);
    const report = await awake('a');
    assert.equal(report.id, `${podUid}/a/2`);
    assert.equal(fake.processes[0]?.isGone, true);
  });

  test('ends an engine whose sleep fails', async () => {
    fake.behaviour.sleep = async () => {
      throw new Error('It cannot sleep.');
    };
    await start({ retryMsBase: 60_000, retryMsMax: 60_000 });
    running.hub.target([wanted('a', 'Awake')]);
    await awake('a');
    running.hub.target([wanted('a', 'Asleep')]);
    const report = await running.hub.seen('a', (seen) => seen.rung === 'Failed');
    assert.equal(report.failure?.message, 'It cannot sleep.');
    assert.equal(fake.latest().isGone, true);
  });

  test('reports a crash with its exit and last words, and starts again', async () => {
    await start();
    running.hub.target([wanted('a', 'Awake')]);
    await awake('a');
    const again = gate();
    fake.behaviour.load = () => again.opened;
    await fake.latest().crash({ code: null, signal: 'SIGKILL', lastWords: 'out of memory' });
    const report = await running.hub.seen('a', (seen) => seen.failure !== undefined);
    assert.equal(report.failure?.reason, 'EngineExited');
    assert.equal(report.failure?.message, 'The engine ended by SIGKILL: out of memory');
    again.open();
    await running.hub.seen('a', (seen) => seen.id === `${podUid}/a/2` && seen.rung === 'Awake');
  });

  test('ends and restarts an engine that no longer answers, and admits nobody meanwhile', async () => {
    const ending = gate();
    fake.behaviour.check = async (process, signal) => {
      if (process.instance.endsWith('/1') && process.log.includes('hang')) await never(signal);
    };
    fake.behaviour.stop = () => ending.opened;
    await start({ vitalsEveryMs: 10, vitalsMissesMax: 2 });
    running.hub.target([wanted('a', 'Awake')]);
    const { id } = await awake('a');
    fake.latest().log.push('hang');
    const report = await running.hub.seen('a', (seen) => seen.rung === 'Stopping');
    assert.equal(report.probed, false);
    const refused = await ask(id);
    assert.equal(refused.headers['x-stoker-refusal'], 'Draining');
    await refused.body.dump();
    const again = gate();
    fake.behaviour.start = () => again.opened;
    ending.open();
    const failed = await running.hub.seen('a', (seen) => seen.failure !== undefined);
    assert.equal(failed.failure?.reason, 'EngineUnresponsive');
    assert.match(failed.failure?.message ?? '', /2 times in a row.*did not answer in time/);
    again.open();
    await running.hub.seen('a', (seen) => seen.id === `${podUid}/a/2` && seen.rung === 'Awake');
  });

  test('drops targets that are not newer', async () => {
    await start();
    running.hub.target([wanted('a', 'Awake')]);
    await awake('a');
    for (const [epoch, seq] of [
      [1, 1],
      [0, 9],
    ] as const) {
      assert.throws(() => running.hub.push({ type: 'target', epoch, seq, instances: [], keys: [] }), /newer/);
    }
    assert.equal(running.hub.instance('a')?.rung, 'Awake');
  });

  test('goes on counting starts after it was restarted', async () => {
    await start();
    running.hub.target([wanted('a', 'Awake')]);
    await awake('a');
    await running.close();
    await start();
    running.hub.target([wanted('a', 'Awake')]);
    assert.equal((await awake('a')).id, `${podUid}/a/2`);
  });

  test('takes its leave: serves until routers let go, then drains, then ends everything', async () => {
    await start();
    stream();
    running.hub.target([wanted('a', 'Awake')]);
    const { id } = await awake('a');
    const answer = await ask(id);
    let isStopped = false;
    const stopped = running.agent.stop(3000).then(() => {
      isStopped = true;
    });
    await until(() => running.hub.latest()?.terminating === true, 'a report that says so');
    fake.behaviour.chat = ({ response }) => answerJson(response, { choices: [] });
    const served = await ask(id);
    assert.equal(served.statusCode, 200);
    await served.body.dump();
    running.hub.withdrawn();
    await running.hub.seen('a', (report) => report.rung === 'Draining');
    const refused = await ask(id);
    assert.equal(refused.headers['x-stoker-refusal'], 'Draining');
    await refused.body.dump();
    assert.equal(isStopped, false);
    assert.equal(JSON.parse(readFrames(await answer.body.text()).at(-1)?.data ?? '').error.code, 'draining');
    await stopped;
    assert.equal(fake.latest().isGone, true);
  });
});

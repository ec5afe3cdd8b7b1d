// The faults of the simulated engine: every one is provoked and observed, over HTTP and through an agent.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { SimLaunch } from '../../src/api/link.ts';
import { SIMULATED_BUILD } from '../../src/api/simulated-weights.ts';
import type { Fault, FaultKind } from '../../src/api/simulation.ts';
import { findMembers } from '../../src/engine/proc.ts';
import { podUid, readFrames, slotRequest, startAgent } from '../support/running-agent.ts';
import {
  ask,
  createSimEngines,
  dataOf,
  failureOf,
  health,
  launchOf,
  post,
  postJson,
  postStream,
  signal,
  useSimSlot,
} from '../support/sim-slot.ts';

describe('faults of requests', { timeout: 120_000 }, () => {
  const { startLoaded } = useSimSlot();
  const at = (kind: FaultKind, ...ordinals: number[]): Fault => ({ kind, at: ordinals });

  test('HangBeforeHeaders and HangMidStream hang while others are served, until the caller leaves', async () => {
    const engine = await startLoaded(launchOf([at('HangBeforeHeaders', 1), at('HangMidStream', 3)]));
    const left = new AbortController();
    let hasHead = false;
    const silent = post(engine, ask('Go on.', { stream: true }), left.signal).then(() => {
      hasHead = true;
    });
    assert.equal((await postJson(engine, ask('Others.'))).status, 200);
    const { body } = await post(engine, ask('Go on.', { stream: true, max_tokens: 200 }), left.signal);
    const texts: string[] = [];
    const reading = (async () => {
      for await (const piece of body) texts.push(String(piece));
    })();
    assert.equal((await postJson(engine, ask('Others.', { max_tokens: 400 }))).status, 200);
    assert.equal(hasHead, false);
    assert.match(texts.join(''), /assistant/);
    assert.doesNotMatch(texts.join(''), /DONE|finish_reason":"/);
    left.abort();
    await assert.rejects(silent);
    await assert.rejects(reading);
    assert.equal((await postJson(engine, ask('Others.'))).status, 200);
    const { busy, queued } = await health(engine);
    assert.deepEqual([busy, queued], [0, 0]);
  });

  test('Slow takes ten times the steps', async () => {
    const engine = await startLoaded(launchOf([at('Slow', 2)]));
    const steps = async () => {
      const before = (await health(engine)).batches;
      assert.equal((await postJson(engine, ask('Go on.'))).json.usage.completion_tokens, 20);
      return (await health(engine)).batches - before;
    };
    assert.equal(await steps(), 20);
    const slow = await steps();
    assert.ok(slow > 180 && slow <= 210, String(slow));
  });

  test('Trickle brings the same bytes in small pieces, streamed and in JSON', async () => {
    const engine = await startLoaded(launchOf([at('Trickle', 2, 4)]));
    const quick = await postStream(engine);
    const trickled = await postStream(engine);
    const plain = (text: string) => text.replaceAll(/"id":"[^"]*","object":"[^"]*","created":\d+/g, '');
    assert.equal(plain(trickled.text), plain(quick.text));
    assert.ok(trickled.pieces.length > dataOf(trickled.text).length, `${trickled.pieces.length} pieces`);
    const { json } = await postJson(engine, ask('Go on.'));
    assert.deepEqual((await postJson(engine, ask('Go on.'))).json.choices, json.choices);
  });

  test('Cut ends the connection inside an answer', async () => {
    const engine = await startLoaded(launchOf([at('Cut', 1, 2)]));
    const { text, error } = await postStream(engine);
    assert.ok(error instanceof Error);
    assert.match(text, /assistant/);
    assert.doesNotMatch(text, /DONE/);
    await assert.rejects(postJson(engine, ask('Go on.')));
    assert.equal((await postJson(engine, ask('Go on.'))).status, 200);
  });

  test('GarbageFrame breaks one frame, or the JSON', async () => {
    const engine = await startLoaded(launchOf([at('GarbageFrame', 1, 2)]));
    const { text, error } = await postStream(engine);
    assert.equal(error, undefined);
    const broken = dataOf(text).filter((data) => data !== '[DONE]' && !data.endsWith('}'));
    assert.equal(broken.length, 1);
    await assert.rejects(postJson(engine, ask('Go on.')), SyntaxError);
  });

  test('Crash ends the process, which says why', async () => {
    const engine = await startLoaded(launchOf([at('Crash', 1)]));
    const broken = post(engine, ask('Go on.', { stream: true })).then(({ body }) => body.text());
    await assert.rejects(broken);
    const exit = await engine.exited;
    assert.equal(exit.code, 139);
    assert.match(exit.lastWords, /the simulation says so/);
  });

  test('a fault that begins late strikes a short answer as well', async () => {
    const engine = await startLoaded(launchOf([{ kind: 'Cut', chanceBasisPoints: 10_000 }]));
    for (let turn = 0; turn < 4; turn += 1) {
      const { error } = await postStream(engine, { max_tokens: 1 });
      assert.ok(error instanceof Error);
    }
  });
});

describe('faults of starts, wakes and sleeps', { timeout: 120_000 }, () => {
  const { start, startLoaded } = useSimSlot();
  test('FailedStart and OutOfMemory fail the load with a sentence', async () => {
    const failed = await start(launchOf([{ kind: 'FailedStart', at: [1] }]));
    assert.match((await failureOf(failed.whenLoaded(signal))).message, /FailedStart/);
    const full = await start(launchOf([{ kind: 'OutOfMemory', at: [1] }]));
    assert.match((await failureOf(full.whenLoaded(signal))).message, /Out of accelerator memory/);
  });

  const wakes: [FaultKind, RegExp][] = [
    ['FailedWake', /WakeFailed.*FailedWake/],
    ['OutOfMemory', /WakeFailed.*Out of accelerator memory/],
    ['PartialWake', /ProbeFailed.*PartialWake/],
  ];
  for (const [kind, sentence] of wakes) {
    test(kind, async () => {
      const chance = kind === 'OutOfMemory' ? { at: [2] } : { at: [1] };
      const engine = await startLoaded(launchOf([{ kind, ...chance }]));
      const cycle = async () => {
        await engine.sleep(1, signal);
        await engine.wake(signal);
        await engine.probe(signal);
      };
      if (kind === 'OutOfMemory') await cycle();
      const failure = await failureOf(cycle());
      assert.match(`${failure.reason}: ${failure.message}`, sentence);
      if (kind === 'PartialWake') {
        assert.equal((await health(engine)).state, 'ready');
        assert.equal((await postJson(engine, ask('x'))).status, 500);
      }
    });
  }

  test('FailedSleep leaves it awake', async () => {
    const engine = await startLoaded(launchOf([{ kind: 'FailedSleep', at: [1] }]));
    assert.equal((await failureOf(engine.sleep(1, signal))).reason, 'SleepFailed');
    assert.equal((await postJson(engine, ask('x'))).status, 200);
  });

  test('CorruptWake changes the probe and the answers', async () => {
    const engine = await startLoaded(launchOf([{ kind: 'CorruptWake', at: [1] }]));
    const probe = await engine.probe(signal);
    const { json } = await postJson(engine, ask('x'));
    await engine.sleep(1, signal);
    await engine.wake(signal);
    assert.notDeepEqual((await engine.probe(signal)).tokenIds, probe.tokenIds);
    assert.notEqual(
      (await postJson(engine, ask('x'))).json.choices[0].message.content,
      json.choices[0].message.content,
    );
  });
});
describe('an agent with the simulated engine', { timeout: 60_000 }, () => {
  const target = (rung: 'Awake' | 'Asleep' | 'Staged', launch: SimLaunch) => [
    { model: 'big', revision: launch.revision, rung, launch },
  ];
  const CLIMB_MS_MAX = 20_000;

  test('a wake that corrupts the output never reaches a caller', async () => {
    const running = await startAgent({ engines: createSimEngines(), limits: { retryMsBase: 500, retryMsMax: 500 } });
    const { hub } = running;
    const launch = launchOf([{ kind: 'CorruptWake', at: [1] }]);
    try {
      hub.target(target('Awake', launch));
      const first = await hub.seen('sim-1', ({ rung }) => rung === 'Awake', CLIMB_MS_MAX);
      assert.equal(first.engineBuild, SIMULATED_BUILD);
      const say = async (instance: string) => {
        const body = ask('Go on.', { stream: true });
        const answer = await running.pool.request(slotRequest(instance, { body }));
        return readFrames(await answer.body.text());
      };
      const contentOf = (frames: { kind: string; data: string }[]) =>
        frames.flatMap(({ kind, data }) => (kind === 'content' ? [JSON.parse(data).choices[0].delta.content] : []));
      const before = contentOf(await say(first.id));
      hub.target(target('Asleep', launch));
      await hub.seen('sim-1', ({ rung }) => rung === 'Asleep', CLIMB_MS_MAX);
      hub.target(target('Awake', launch));
      const second = await hub.seen('sim-1', ({ rung, id }) => rung === 'Awake' && id !== first.id, CLIMB_MS_MAX);
      const reports = hub.reports.flatMap(({ instances }) => instances);
      assert.ok(reports.some(({ rung, failure }) => rung === 'Failed' && failure?.reason === 'ProbeMismatch'));
      assert.ok(reports.every(({ rung, probed, id }) => !(rung === 'Waking' && probed && id === first.id)));
      assert.deepEqual(contentOf(await say(second.id)), before);
      hub.target(target('Staged', launch));
      await hub.seen('sim-1', ({ rung }) => rung === 'Staged', CLIMB_MS_MAX);
    } finally {
      await running.close();
    }
    for (const incarnation of [1, 2]) {
      assert.deepEqual(await findMembers({ instance: `${podUid}/sim-1/${incarnation}` }), []);
    }
  });
});

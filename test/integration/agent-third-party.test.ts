// An agent whose engines are programs of others: up, asked through the data path, asleep, woken with corrupted weights. Against
// fakes of the programs; everything of ours is real.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { Launch, Target } from '../../src/api/link.ts';
import { enginesOf, launchOfEngine } from '../support/engine-subjects.ts';
import { type InstalledFakes, installFakes } from '../support/fake-engines/installed.ts';
import { type RunningAgent, readFrames, slotRequest, startAgent } from '../support/running-agent.ts';

const LOAD_MS_MAX = 20_000;
const revision = 'big-0123456789';

describe('an agent with engines that are not ours', { timeout: 60_000 }, () => {
  let fakes: InstalledFakes;
  let agent: RunningAgent;
  beforeEach(async () => {
    fakes = installFakes();
    agent = await startAgent({
      engines: enginesOf(fakes),
      limits: { retryMsBase: 1, retryMsMax: 10, vitalsEveryMs: 200 },
    });
  });
  afterEach(async () => {
    await agent.close();
    fakes.remove();
  });

  const want = (launch: Launch, rung: Target['instances'][number]['rung']) =>
    agent.hub.target([{ model: 'big', revision, rung, launch }]);
  const up = async (engine: 'Vllm' | 'Sglang' | 'LlamaServer') => {
    const launch = launchOfEngine(engine, fakes);
    want(launch, 'Awake');
    return {
      launch,
      report: await agent.hub.seen(revision, (seen) => seen.rung === 'Awake' && seen.probed, LOAD_MS_MAX),
    };
  };
  const ask = async (id: string, body: object) => {
    const answer = await agent.pool.request(slotRequest(id, { body: JSON.stringify({ model: 'big/model', ...body }) }));
    return { status: answer.statusCode, text: await answer.body.text() };
  };
  const messages = [{ role: 'user', content: 'What is a load balancer?' }];

  for (const engine of ['Vllm', 'Sglang', 'LlamaServer'] as const) {
    test(`${engine}: a stream arrives as canonical frames under our names; the climb says its parts`, async () => {
      const { report } = await up(engine);
      const { loadedMs = 0, warmedMs } = report.climb ?? {};
      assert.equal(warmedMs !== undefined && warmedMs > 0 && warmedMs <= loadedMs, engine !== 'LlamaServer');
      assert.equal(report.probeSample?.tokenIds.length, 8);
      const { status, text } = await ask(report.id, {
        messages,
        max_tokens: 6,
        stream: true,
        stream_options: { include_usage: true },
      });
      assert.equal(status, 200);
      const frames = readFrames(text);
      assert.deepEqual(
        frames.map((frame) => frame.kind).filter((kind) => kind !== 'other'),
        ['role', ...Array.from({ length: 6 }, () => 'content'), 'finish', 'usage', 'done'],
      );
      const first = JSON.parse(frames[0]!.data) as Record<string, unknown>;
      assert.deepEqual([first.id, first.model, first.system_fingerprint], ['chatcmpl-test', 'big/model', revision]);
    });

    test(`${engine}: a prompt that is too long is refused in our words, whatever its own are`, async () => {
      const { report } = await up(engine);
      const long = [{ role: 'user', content: 'many words '.repeat(3000) }];
      const { status, text } = await ask(report.id, { messages: long });
      const { error } = JSON.parse(text) as { error: Record<string, unknown> };
      assert.equal(status, 400);
      assert.deepEqual([error.type, error.code], ['invalid_request_error', 'context_length_exceeded']);
    });
  }

  test('a field that reaches other requests is refused by its name, however it is written', async () => {
    const { report } = await up('Sglang');
    for (const field of ['rid', 'bootstrap_host']) {
      const { status, text } = await ask(report.id, { messages, [field]: 'x' });
      const { error } = JSON.parse(text) as { error: Record<string, unknown> };
      assert.deepEqual([status, error.code, error.param], [400, 'invalid_request', field]);
    }
    const body = '{"model":"big/model","messages":[{"role":"user","content":"rid"}],"r\\u0069d":"x"}';
    const hidden = await agent.pool.request(slotRequest(report.id, { body }));
    assert.equal(hidden.statusCode, 400);
    assert.match(await hidden.body.text(), /The field rid cannot be set here/);
    const fine = await ask(report.id, {
      messages: [{ role: 'user', content: '"rid":1', rid: 'inside' }],
      max_tokens: 2,
    });
    assert.equal(fine.status, 200);
  });

  test('a wake that corrupted the weights serves nobody: the engine is started again, and answers as at first', async () => {
    const { launch, report } = await up('Vllm');
    const probeExpected = report.probeSample!;
    want({ ...launch, probeExpected }, 'Asleep');
    await agent.hub.seen(revision, (seen) => seen.rung === 'Asleep', LOAD_MS_MAX);
    fakes.setFaults({ corruptsWake: true });
    want({ ...launch, probeExpected }, 'Awake');
    const failed = await agent.hub.seen(revision, (seen) => seen.failure?.reason === 'ProbeMismatch', LOAD_MS_MAX);
    assert.match(failed.failure?.message ?? '', /The probe's token 1 is \d+, and \d+ is expected/);
    const again = await agent.hub.seen(revision, (seen) => seen.rung === 'Awake' && seen.probed, LOAD_MS_MAX);
    assert.notEqual(again.id, report.id);
    assert.equal(again.climb?.from, 'Staged');
  });

  test('what the engine works on is a metric while it is awake, and none when it sleeps', async () => {
    const { launch } = await up('Vllm');
    const shown = async () =>
      (await agent.metrics.render()).match(/^stoker_engine_(kv|running|waiting)_\w+\{model="big"\} .*$/gm) ?? [];
    let lines: string[] = [];
    while (lines.length < 3) {
      await setImmediate();
      lines = await shown();
    }
    assert.deepEqual(lines.sort(), [
      'stoker_engine_kv_used_ratio{model="big"} 0',
      'stoker_engine_running_requests{model="big"} 0',
      'stoker_engine_waiting_requests{model="big"} 0',
    ]);
    want(launch, 'Asleep');
    await agent.hub.seen(revision, (seen) => seen.rung === 'Asleep', LOAD_MS_MAX);
    assert.deepEqual(await shown(), []);
  });

  test('llama-server is stopped where others would sleep', async () => {
    const { launch } = await up('LlamaServer');
    want(launch, 'Asleep');
    const report = await agent.hub.seen(revision, (seen) => seen.rung === 'Staged', LOAD_MS_MAX);
    assert.equal(report.residentBytes, undefined);
  });
});

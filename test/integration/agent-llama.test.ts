// The agent with the real built-in engine: a climb, a stream, sleep and wake, a killed engine, and nothing left behind.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createEngines } from '../../src/engine/engines.ts';
import { llamaBuild } from '../../src/engine/llama-build.ts';
import { findMembers } from '../../src/engine/proc.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { createRng } from '../../src/lib/rng.ts';
import { wanted } from '../support/fake-hub.ts';
import { podUid, type RunningAgent, readFrames, slotRequest, startAgent } from '../support/running-agent.ts';

const weightsPath = join(import.meta.dirname, '../../models/stoker-demo-1m.gguf');
const weights = {
  weightsPath,
  weightsSizeBytes: statSync(weightsPath).size,
  weightsSha256: createHash('sha256').update(readFileSync(weightsPath)).digest('hex'),
};
const CLIMB_MS_MAX = 30_000;

const question = (tokens: number, more: object) =>
  JSON.stringify({
    ...more,
    model: 'demo',
    stream: true,
    temperature: 0,
    max_tokens: tokens,
    stream_options: { include_usage: true },
    messages: [{ role: 'user', content: 'Tell me a story.' }],
  });

describe('an agent with the built-in engine', { timeout: 120_000 }, () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'stoker-llama-'));
  let running: RunningAgent;
  before(async () => {
    const engines = createEngines({ stateDir, threads: 1, clock: systemClock, rng: createRng(1), log: silentLog });
    running = await startAgent({ engines, stateDir, limits: { retryMsBase: 50, retryMsMax: 200 } });
  });
  after(async () => {
    await running.close();
    for (const incarnation of [1, 2]) {
      assert.deepEqual(await findMembers({ instance: `${podUid}/demo/${incarnation}` }), []);
    }
    rmSync(stateDir, { recursive: true, force: true });
  });

  const ask = async (instance: string, tokens = 20, more: object = {}) => {
    const answer = await running.pool.request(slotRequest(instance, { body: question(tokens, more) }));
    return { status: answer.statusCode, body: answer.body };
  };

  test('starts, probes and streams canonical frames', async () => {
    running.hub.target([wanted('demo', 'Awake', weights)]);
    const report = await running.hub.seen('demo', (seen) => seen.rung === 'Awake', CLIMB_MS_MAX);
    assert.equal(report.probed, true);
    assert.equal(report.id, `${podUid}/demo/1`);
    assert.equal(report.probeSample?.tokenIds.length, 8);
    assert.equal(report.engineBuild, await llamaBuild());
    const { status, body } = await ask(report.id);
    assert.equal(status, 200);
    const frames = readFrames(await body.text());
    assert.deepEqual([...new Set(frames.map((frame) => frame.kind))], ['role', 'content', 'finish', 'usage', 'done']);
    const content = JSON.parse(frames[1]?.data ?? '{}');
    assert.equal(content.id, 'chatcmpl-test');
    assert.equal(content.model, 'served-demo');
    assert.equal(content.system_fingerprint, 'demo');
  });

  const post = async (path: string, body: object) => {
    const { id } = running.hub.instance('demo') ?? { id: '' };
    const answer = await running.pool.request(slotRequest(id, { path, body: JSON.stringify(body) }));
    return { status: answer.statusCode, text: await answer.body.text() };
  };

  test('streams and completes texts under our names', async () => {
    const body = { prompt: 'Once upon a time', max_tokens: 8, temperature: 0 };
    const streamed = await post('/v1/completions', { ...body, stream: true, stream_options: { include_usage: true } });
    const frames = readFrames(streamed.text);
    assert.deepEqual([...new Set(frames.map((frame) => frame.kind))], ['content', 'finish', 'usage', 'done']);
    const chunks = frames.slice(0, -1).map((frame) => JSON.parse(frame.data));
    assert.ok(chunks.every(({ object, id }) => object === 'text_completion' && id === 'chatcmpl-test'));
    const whole = JSON.parse((await post('/v1/completions', body)).text);
    assert.equal(whole.id, 'chatcmpl-test');
    assert.equal(whole.model, 'served-demo');
    assert.equal(whole.system_fingerprint, 'demo');
    assert.equal(chunks.map(({ choices }) => choices[0]?.text ?? '').join(''), whole.choices[0].text);
  });

  test('streams several answers in numbered frames', async () => {
    const messages = [{ role: 'user', content: 'Tell me a story.' }];
    const { text } = await post('/v1/chat/completions', { messages, n: 3, max_tokens: 10, stream: true, seed: 1 });
    const frames = readFrames(text);
    assert.equal(frames.filter((frame) => frame.kind === 'finish').length, 3);
    assert.equal(frames.at(-1)?.kind, 'done');
  });

  test('passes vectors under our names, and refusals that name the field', async () => {
    const { status, text } = await post('/v1/embeddings', { input: ['hello', 'world'], encoding_format: 'base64' });
    assert.equal(status, 200);
    const answer = JSON.parse(text);
    assert.deepEqual([answer.object, answer.id, answer.model], ['list', 'chatcmpl-test', 'served-demo']);
    assert.equal(answer.system_fingerprint, 'demo');
    assert.equal(Buffer.from(answer.data[1].embedding, 'base64').length, 128 * 4);
    const refused = await post('/v1/embeddings', { input: [''] });
    assert.equal(refused.status, 400);
    assert.equal(JSON.parse(refused.text).error.param, 'input[0]');
    const tools = await post('/v1/chat/completions', { messages: [], tools: [{}] });
    assert.equal(JSON.parse(tools.text).error.param, 'tools');
  });

  test('sleeps, refuses, wakes with the same probe, and streams again', async () => {
    running.hub.target([wanted('demo', 'Asleep', weights)]);
    const asleep = await running.hub.seen('demo', (seen) => seen.rung === 'Asleep', CLIMB_MS_MAX);
    const refused = await ask(asleep.id);
    assert.equal(refused.status, 409);
    await refused.body.dump();
    running.hub.target([wanted('demo', 'Awake', weights)]);
    const awake = await running.hub.seen('demo', (seen) => seen.rung === 'Awake', CLIMB_MS_MAX);
    assert.equal(awake.climb?.from, 'Asleep');
    assert.equal(awake.id, asleep.id);
    const { body } = await ask(awake.id);
    assert.equal(readFrames(await body.text()).at(-1)?.kind, 'done');
  });

  test('an engine that is killed in the middle of a stream gives an error frame and comes back', async () => {
    const before = running.hub.instance('demo');
    assert.ok(before);
    const [pid] = await findMembers({ instance: before.id });
    assert.ok(pid);
    // Two at once with eight answers each, so that the small model is not done with both of them when it is killed.
    let isKilled = false;
    const endOf = async () => {
      const { status, body } = await ask(before.id, 400, { n: 8 });
      let text = '';
      for await (const bytes of body) {
        text += String(bytes);
        if (!isKilled && text.includes('content')) process.kill(pid, 'SIGKILL');
        isKilled ||= text.includes('content');
      }
      return status === 200 ? readFrames(text).at(-1) : { kind: 'error', data: text };
    };
    const ends = await Promise.all([endOf(), endOf()]);
    const cut = ends.filter((end) => end?.kind !== 'done');
    assert.ok(cut.length > 0, 'nothing was cut');
    for (const end of cut) {
      assert.equal(end?.kind, 'error');
      assert.equal(JSON.parse(end?.data ?? '{}').error.code, 'upstream_failed');
    }
    const again = await running.hub.seen(
      'demo',
      (seen) => seen.rung === 'Awake' && seen.id !== before.id,
      CLIMB_MS_MAX,
    );
    assert.equal(again.id, `${podUid}/demo/2`);
    assert.equal(again.probed, true);
    // The failure is told until the next climb is over; how long the rung is Failed is a matter of chance.
    const seenFailed = running.hub.reports.some((report) =>
      report.instances.some((seen) => seen.failure?.reason === 'EngineExited'),
    );
    assert.equal(seenFailed, true);
  });
});

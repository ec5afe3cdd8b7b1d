// The simulated engine as an agent sees it: it answers, sleeps and wakes, shares the memory of its slot, and ends with its parent.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { request } from 'undici';
import { SIMULATED_BUILD, simulatedMemory } from '../../src/api/simulated-weights.ts';
import type { Fault } from '../../src/api/simulation.ts';
import type { EngineProcess } from '../../src/ports/engine.ts';
import {
  ask,
  dataOf,
  failureOf,
  health,
  launchOf,
  post,
  postJson,
  postStream,
  signal,
  size,
  useSimSlot,
} from '../support/sim-slot.ts';

const { awakeBytes } = simulatedMemory(size);

interface Chunk {
  readonly choices: readonly { delta: { content?: string }; finish_reason: string | null }[];
  readonly usage?: { prompt_tokens: number; completion_tokens: number; total_tokens: number } | null;
}
describe('the simulated engine', { timeout: 300_000 }, () => {
  const { setMemory, start, startLoaded } = useSimSlot();

  test('starts, says what it is, and costs little', async (context) => {
    const beganMs = performance.now();
    const engine = await start();
    context.diagnostic(`its HTTP answers after ${Math.round(performance.now() - beganMs)} ms`);
    await engine.whenLoaded(signal);
    assert.deepEqual(await engine.identity(signal), { build: SIMULATED_BUILD });
    const probe = await engine.probe(signal);
    assert.equal(probe.tokenIds.length, 8);
    assert.deepEqual(await engine.probe(signal), probe);
    const { residentBytes } = await engine.memory();
    context.diagnostic(`${Math.round(residentBytes / 1e6)} MB of memory`);
    assert.ok(residentBytes < 150e6);
    assert.equal((await health(engine)).acceleratorBytes, awakeBytes);
  });

  test('answers in JSON: counted, cut at max_tokens, the same again', async () => {
    const engine = await startLoaded();
    const first = await postJson(engine, ask('Tell me a story.'));
    assert.equal(first.status, 200);
    assert.deepEqual(first.json.usage, {
      prompt_tokens: 11,
      completion_tokens: 20,
      total_tokens: 31,
      prompt_tokens_details: { cached_tokens: 0 },
    });
    const [choice] = first.json.choices;
    assert.equal(choice.finish_reason, 'length');
    assert.match(choice.message.content, /^[A-Z][a-z]+ [a-z]+ /);
    const texts = [];
    for (const more of [{}, { seed: 7 }, { seed: 7 }, { temperature: 0 }]) {
      texts.push((await postJson(engine, ask('Tell me a story.', more))).json.choices[0].message.content);
    }
    assert.equal(texts[0], choice.message.content);
    assert.equal(texts[1], texts[2]);
    assert.equal(new Set([texts[0], texts[1], texts[3]]).size, 3);
    const whole = await postJson(engine, ask('Tell me a story.', { max_tokens: 900 }));
    assert.equal(whole.json.choices[0].finish_reason, 'stop');
    assert.ok(whole.json.choices[0].message.content.endsWith('.'));
  });

  test('streams the same answer, with usage when asked, and stops at a stop text', async () => {
    const engine = await startLoaded();
    const { json } = await postJson(engine, ask('Go on.'));
    const { text } = await postStream(engine, { stream_options: { include_usage: true } });
    const data = dataOf(text);
    assert.equal(data.pop(), '[DONE]');
    const chunks = data.map((each) => JSON.parse(each) as Chunk);
    assert.deepEqual(chunks.pop()?.usage, json.usage);
    const content = chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('');
    assert.equal(content, json.choices[0].message.content);
    assert.equal(chunks.at(-1)?.choices[0]?.finish_reason, 'length');
    const stop = content.split(' ')[3] ?? '';
    const stopped = await postJson(engine, ask('Go on.', { stop: [` ${stop}`] }));
    assert.equal(stopped.json.choices[0].message.content, content.split(' ').slice(0, 3).join(' '));
    assert.equal(stopped.json.choices[0].finish_reason, 'stop');
  });

  const postTo = async (engine: EngineProcess, path: string, body: object) => {
    const answer = await request(`${engine.baseUrl}${path}`, {
      method: 'POST',
      headers: { ...engine.headers, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'served', ...body }),
    });
    return { status: answer.statusCode, json: JSON.parse(await answer.body.text()) };
  };

  test('continues texts: a list, several answers each, echoed, with usage', async () => {
    const engine = await startLoaded();
    const body = { prompt: ['Once upon', 'The sun'], n: 2, max_tokens: 8, echo: true, seed: 3 };
    const { json } = await postTo(engine, '/v1/completions', body);
    assert.equal(json.object, 'text_completion');
    const texts: string[] = json.choices.map(({ text }: { text: string }) => text);
    assert.equal(new Set(texts).size, 4);
    assert.ok(texts.every((text, index) => text.startsWith(body.prompt[index >> 1] ?? '-')));
    assert.deepEqual([json.usage.prompt_tokens, json.usage.completion_tokens], [5, 32]);
    assert.deepEqual((await postTo(engine, '/v1/completions', body)).json.choices, json.choices);
  });

  test('gives several answers to a conversation, the first as if alone', async () => {
    const engine = await startLoaded();
    const alone = await postJson(engine, ask('Go on.', { seed: 5 }));
    const three = await postJson(engine, ask('Go on.', { seed: 5, n: 3 }));
    const texts = three.json.choices.map(({ message }: { message: { content: string } }) => message.content);
    assert.equal(texts[0], alone.json.choices[0].message.content);
    assert.equal(new Set(texts).size, 3);
    assert.equal(three.json.usage.completion_tokens, 60);
    assert.equal(three.json.usage.prompt_tokens, alone.json.usage.prompt_tokens);
  });

  test('calls the tool that is demanded, streamed and in JSON, and talks otherwise', async () => {
    const engine = await startLoaded();
    const declared = { name: 'look_up', parameters: { type: 'object', properties: { word: { type: 'string' } } } };
    const tools = [{ type: 'function', function: declared }];
    const demand = { tools, tool_choice: { type: 'function', function: { name: 'look_up' } } };
    const { json } = await postJson(engine, ask('Look.', demand));
    const [choice] = json.choices;
    assert.equal(choice.finish_reason, 'tool_calls');
    assert.equal(choice.message.content, null);
    const [call] = choice.message.tool_calls;
    assert.equal(call.function.name, 'look_up');
    assert.equal(typeof JSON.parse(call.function.arguments).word, 'string');
    const stream = await postStream(engine, { ...demand, messages: [{ role: 'user', content: 'Look.' }] });
    const deltas = dataOf(stream.text)
      .filter((data) => data !== '[DONE]')
      .map((data) => JSON.parse(data).choices[0].delta.tool_calls?.[0]);
    assert.equal(deltas[0]?.id, call.id);
    assert.equal(deltas.map((delta) => delta?.function.arguments ?? '').join(''), call.function.arguments);
    assert.ok(deltas.slice(1).every((delta) => delta === undefined || !('id' in delta)));
    const result = { role: 'tool', tool_call_id: call.id, content: 'found' };
    const history = [{ role: 'user', content: 'Look.' }, choice.message, result];
    const next = await postJson(engine, JSON.stringify({ messages: history, tools, max_tokens: 5 }));
    assert.equal(typeof next.json.choices[0].message.content, 'string');
  });

  test('gives unit vectors of its size that depend on the text', async () => {
    const engine = await startLoaded();
    const { json } = await postTo(engine, '/v1/embeddings', { input: ['a text', 'another', 'a text'] });
    const vectors: number[][] = json.data.map(({ embedding }: { embedding: number[] }) => embedding);
    assert.ok(vectors.every((vector) => vector.length === 4096 && Math.abs(Math.hypot(...vector) - 1) < 1e-6));
    assert.deepEqual(vectors[0], vectors[2]);
    assert.notDeepEqual(vectors[0], vectors[1]);
    assert.deepEqual(json.usage, { prompt_tokens: 6, total_tokens: 6 });
    const packed = await postTo(engine, '/v1/embeddings', { input: 'a text', encoding_format: 'base64' });
    const first = Buffer.from(packed.json.data[0].embedding, 'base64').readFloatLE(0);
    assert.ok(Math.abs(first - (vectors[0]?.[0] ?? 0)) < 1e-6);
    const long = await postTo(engine, '/v1/embeddings', { input: ['a', 'x'.repeat(5000)] });
    assert.deepEqual([long.status, long.json.error.param], [400, 'input[1]']);
  });

  test('faults strike vectors too', async () => {
    const faults: Fault[] = [
      { kind: 'Cut', at: [1] },
      { kind: 'GarbageFrame', at: [2] },
      { kind: 'Trickle', at: [3] },
    ];
    const engine = await startLoaded(launchOf(faults));
    const embed = () => postTo(engine, '/v1/embeddings', { input: 'a', encoding_format: 'base64' });
    await assert.rejects(embed());
    await assert.rejects(embed(), SyntaxError);
    assert.deepEqual((await embed()).json, (await embed()).json);
  });

  test('refuses what it cannot do, by name', async () => {
    const engine = await startLoaded();
    const refusal = async (body: string) => {
      const { status, json } = await postJson(engine, body);
      return [status, json.error.code, json.error.param];
    };
    assert.deepEqual(await refusal('{'), [400, 'invalid_request', 'body']);
    assert.deepEqual(await refusal(ask('x', { logit_bias: { 1: 1 } })), [400, 'invalid_request', 'logit_bias']);
    assert.deepEqual(await refusal(ask('x', { tools: [{}] })), [400, 'invalid_request', 'tools[0].type']);
    assert.deepEqual(await refusal(ask('x', { logprobs: true })), [400, 'invalid_request', 'logprobs']);
    assert.deepEqual(await refusal(ask('x', { tool_choice: 'required' })), [400, 'invalid_request', 'tool_choice']);
    assert.deepEqual(await refusal(ask('x'.repeat(5000))), [400, 'context_length_exceeded', 'messages']);
    const stranger = await request(`${engine.baseUrl}/health`, { headers: { authorization: 'Bearer wrong' } });
    assert.equal(stranger.statusCode, 401);
    await stranger.body.dump();
  });

  test('serves more than it has places for in turn, and refuses beyond its queue', async () => {
    const engine = await startLoaded(launchOf([], { simulation: { faults: [], speedPercent: 1000 } }));
    // Long enough for all of them to arrive while the first ones run, also on a busy machine.
    const long = ask('Go on.', { max_tokens: 400, seed: 16 });
    const answers = await Promise.all(Array.from({ length: 13 }, () => postJson(engine, long)));
    const statuses = answers.map(({ status }) => status).sort();
    assert.deepEqual(statuses, [...Array(12).fill(200), 429]);
  });

  test('sleeps, refuses, wakes as it was, and tells its figures', async () => {
    const engine = await startLoaded();
    const probe = await engine.probe(signal);
    for (const level of [1, 2] as const) {
      await engine.sleep(level, signal);
      const { state, acceleratorBytes } = await health(engine);
      assert.equal(state, 'asleep');
      assert.ok((acceleratorBytes ?? awakeBytes) < 2e9);
      assert.deepEqual((await postJson(engine, ask('x'))).json.error.code, 'model_warming');
      await engine.wake(signal);
      assert.deepEqual(await engine.probe(signal), probe);
    }
    assert.equal((await postJson(engine, ask('x'))).status, 200);
    const metrics = await request(`${engine.baseUrl}/metrics`, { headers: engine.headers });
    const text = await metrics.body.text();
    assert.match(text, /^stoker_sim_loads_total 3$/m);
    assert.match(text, /^stoker_sim_state\{state="ready"\} 1$/m);
    assert.match(text, /^stoker_sim_accelerator_bytes 1\d{10}$/m);
  });

  test('the instances of a slot share its memory', async () => {
    setMemory(awakeBytes + 3e9);
    const one = await startLoaded();
    const failure = await failureOf((await start()).whenLoaded(signal));
    assert.equal(failure.reason, 'LoadFailed');
    assert.match(failure.message, /^Out of accelerator memory: the model needs 16\.5 GB, and 3\.0 GB are free\.$/);
    await one.sleep(1, signal);
    const two = await startLoaded();
    assert.match((await failureOf(one.wake(signal))).message, /Out of accelerator memory/);
    await one.stop(1000);
    await two.sleep(2, signal);
    await two.wake(signal);
    assert.equal((await postJson(two, ask('x'))).status, 200);
  });

  test('a leak adds up until a wake does not fit any more', async () => {
    setMemory(awakeBytes + 5e9);
    const engine = await startLoaded(launchOf([{ kind: 'Leak', chanceBasisPoints: 10_000 }]));
    await engine.sleep(1, signal);
    await engine.wake(signal);
    await engine.sleep(1, signal);
    assert.match((await failureOf(engine.wake(signal))).message, /Out of accelerator memory/);
  });

  test('SIGTERM lets a running answer end', async () => {
    const engine = await startLoaded(launchOf([], { simulation: { faults: [], speedPercent: 2500 } }));
    const { body } = await post(engine, ask('Go on.', { stream: true, max_tokens: 100 }));
    let stopping: Promise<unknown> | undefined;
    let text = '';
    for await (const piece of body) {
      text += String(piece);
      stopping ??= engine.stop(5000);
    }
    assert.match(text, /\[DONE\]\n\n$/);
    await stopping;
  });

  test('ends with its parent, also while it loads', async () => {
    const entry = fileURLToPath(new URL('../../src/engine/sim/server-process.ts', import.meta.url));
    const child = spawn(process.execPath, [entry], { stdio: ['pipe', 'pipe', 'pipe'] });
    const key = 'k'.repeat(32);
    const config = { instance: 'p/r/1', servedName: 's', contextLength: 512, concurrency: 1, key, drainMs: 0 };
    const simulated = { profile: 'Size70B' };
    child.stdin.write(`${JSON.stringify({ ...config, simulated, freeBytes: 320e9 })}\n`);
    await once(child.stdout, 'data');
    const exited = once(child, 'exit');
    child.stdin.end();
    assert.deepEqual(await exited, [0, null]);
  });

  test('a wrong configuration is its last word, without the values', async () => {
    const entry = fileURLToPath(new URL('../../src/engine/sim/server-process.ts', import.meta.url));
    const child = spawn(process.execPath, [entry], { stdio: ['pipe', 'pipe', 'pipe'] });
    let words = '';
    child.stderr.on('data', (bytes) => {
      words += String(bytes);
    });
    child.stdin.write('{"instance":"a","key":"hunter2hunter2hunter2","freeBytes":-1}\n');
    const [code] = await once(child, 'exit');
    assert.equal(code, 2);
    assert.match(words, /^The configuration is wrong at /);
    assert.doesNotMatch(words, /hunter2/);
  });
});

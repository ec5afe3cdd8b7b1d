// The routes beside chat, with the official `openai` client: text completions, whole and in pieces, and embeddings.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import OpenAI, { APIError, BadRequestError } from 'openai';
import { request } from 'undici';
import { type FakeSlot, type SlotCall, startFakeSlot, usage } from '../support/fake-slot.ts';
import { completionAnswer, embeddingAnswer } from '../support/openai-answers.ts';
import { type RunningRouter, startRouter } from '../support/running-router.ts';

const question = { model: 'demo', prompt: 'Once upon' };

function streamText(call: SlotCall, texts: readonly string[]): void {
  const chunk = (text: string, finish: string | null) => ({
    ...{ id: call.responseId, object: 'text_completion', created: 1, model: 'served' },
    choices: [{ index: 0, text, finish_reason: finish, logprobs: null }],
  });
  for (const text of texts) call.frame('content', chunk(text, null));
  call.frame('finish', chunk('', 'stop'));
  call.frame('usage', { ...chunk('', null), choices: [], usage });
  call.frame('done', '[DONE]');
  call.response.end();
}

let slot: FakeSlot;
let router: RunningRouter;
let client: OpenAI;

beforeEach(async () => {
  slot = await startFakeSlot();
  router = await startRouter();
  router.table({ endpoints: [{ address: slot.address }] });
  client = new OpenAI({ baseURL: `${router.url}/v1`, apiKey: 'any', maxRetries: 0 });
});
afterEach(async () => {
  await router.close();
  await slot.close();
});

describe('text completions', () => {
  test('stream, with usage for those who ask', async () => {
    slot.onCall = (call) => streamText(call, [' a', ' time']);
    for (const include_usage of [true, false]) {
      const stream = await client.completions.create({ ...question, stream: true, stream_options: { include_usage } });
      let text = '';
      let seen: unknown;
      for await (const chunk of stream) {
        text += chunk.choices[0]?.text ?? '';
        seen = chunk.usage ?? seen;
        assert.match(chunk.id, /^cmpl-[0-9a-f]{32}$/);
      }
      assert.equal(text, ' a time');
      assert.deepEqual(seen, include_usage ? usage : undefined);
    }
    assert.equal(slot.calls[0]?.request.url, '/v1/completions');
    assert.equal(JSON.parse(slot.calls[1]?.body ?? '').stream_options.include_usage, true);
    assert.equal((await router.ended('served')).route, 'completions');
  });

  test('whole answers and their requests pass byte for byte', async () => {
    slot.onCall = (call) => call.json(completionAnswer(call.responseId, [' one', ' two']));
    const answer = await client.completions.create({ ...question, n: 2, logit_bias: { '50256': -100 }, seed: 3 });
    assert.deepEqual(
      answer.choices.map(({ text }) => text),
      [' one', ' two'],
    );
    assert.deepEqual(JSON.parse(slot.calls[0]?.body ?? ''), {
      ...question,
      n: 2,
      logit_bias: { '50256': -100 },
      seed: 3,
    });
    const line = await router.ended('served');
    assert.equal(line.usageIn, usage.prompt_tokens);
  });

  test('a held stream is told that the model wakes', async () => {
    router.table({ warmth: [{ etaMs: 1000 }] });
    slot.onCall = (call) => streamText(call, ['awake']);
    const answer = await request(`${router.url}/v1/completions`, {
      method: 'POST',
      body: JSON.stringify({ ...question, stream: true }),
    });
    router.table({ endpoints: [{ address: slot.address }] });
    assert.match(await answer.body.text(), /^: stoker model demo is waking[\s\S]*awake[\s\S]*\[DONE\]\n\n$/);
  });

  test('a cut ends with an error event', async () => {
    slot.onCall = (call) => {
      call.frame('content', { choices: [{ index: 0, text: 'half' }] });
      setImmediate(() => call.cut());
    };
    const stream = await client.completions.create({ ...question, stream: true });
    await assert.rejects(
      async () => {
        for await (const _ of stream);
      },
      (error) => error instanceof APIError && error.code === 'upstream_failed',
    );
  });

  test('faults name the field', async () => {
    await assert.rejects(
      client.completions.create({ ...question, prompt: ['a', 7] as never }),
      (error) => error instanceof BadRequestError && error.param === 'prompt[1]',
    );
    assert.equal(slot.calls.length, 0);
  });
});

describe('embeddings', () => {
  const vectors = [
    [0.5, -0.25, 1],
    [0, 1, -1],
  ];

  test('come as the client asks for them', async () => {
    slot.onCall = (call) => call.json(embeddingAnswer(vectors, JSON.parse(call.body).encoding_format));
    const packed = await client.embeddings.create({ model: 'demo', input: ['a', 'b'] });
    assert.equal(JSON.parse(slot.calls[0]?.body ?? '').encoding_format, 'base64');
    const plain = await client.embeddings.create({ model: 'demo', input: ['a', 'b'], encoding_format: 'float' });
    for (const answer of [packed, plain]) {
      assert.deepEqual(
        answer.data.map(({ embedding }) => [...embedding]),
        vectors,
      );
      assert.equal(answer.usage.prompt_tokens, 5);
    }
    assert.equal(slot.calls[0]?.request.url, '/v1/embeddings');
    assert.match(slot.calls[0]?.responseId ?? '', /^embd-/);
    assert.equal((await router.ended('served')).route, 'embeddings');
  });

  test('what the engine cannot do is told in its words', async () => {
    slot.onCall = (call) => call.error(400, 'invalid_request', 'This model has no embeddings.');
    await assert.rejects(
      client.embeddings.create({ model: 'demo', input: 'a' }),
      (error) => error instanceof BadRequestError && /no embeddings/.test(error.message),
    );
  });

  test('an empty input is refused before it reaches an engine', async () => {
    await assert.rejects(
      client.embeddings.create({ model: 'demo', input: ['a', ''] }),
      (error) => error instanceof BadRequestError && error.param === 'input[1]',
    );
    assert.equal(slot.calls.length, 0);
  });

  test('pages of this machine may ask, others may not', async () => {
    slot.onCall = (call) => call.json(embeddingAnswer(vectors, 'float'));
    const ask = (origin: string) =>
      request(`${router.url}/v1/embeddings`, {
        method: 'POST',
        headers: { origin },
        body: JSON.stringify({ model: 'demo', input: 'a' }),
      });
    const own = await ask('http://localhost:3000');
    assert.equal(own.headers['access-control-allow-origin'], 'http://localhost:3000');
    await own.body.dump();
    const foreign = await ask('https://example.org');
    assert.equal(foreign.statusCode, 403);
    await foreign.body.dump();
  });
});

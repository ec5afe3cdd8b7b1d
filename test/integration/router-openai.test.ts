// The official `openai` client against the router: what it does is the contract.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import OpenAI, { APIError, AuthenticationError, BadRequestError, InternalServerError, NotFoundError } from 'openai';
import { parseApiKeysFile } from '../../src/router/api-keys.ts';
import { chatAnswer, type FakeSlot, startFakeSlot, usage } from '../support/fake-slot.ts';
import { type RunningRouter, startRouter } from '../support/running-router.ts';
import { until } from '../support/until.ts';

const question = { model: 'demo', messages: [{ role: 'user' as const, content: 'Hello!' }] };

describe('the official client', () => {
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

  test('streams text and usage', async () => {
    slot.onCall = (call) => call.stream('Hel', 'lo');
    const stream = await client.chat.completions.create({
      ...question,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = '';
    let seen: unknown;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? '';
      seen = chunk.usage ?? seen;
    }
    assert.equal(text, 'Hello');
    assert.deepEqual(seen, usage);
  });

  test('is held while the model wakes, and never sees the comments', async () => {
    router.table({ warmth: [{ etaMs: 1000 }] });
    slot.onCall = (call) => call.stream('awake');
    const stream = await client.chat.completions.create({ ...question, stream: true });
    router.table({ endpoints: [{ address: slot.address }] });
    let text = '';
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
    assert.equal(text, 'awake');
  });

  test('reads a JSON answer and the id of the request', async () => {
    slot.onCall = (call) => call.json(chatAnswer(call.responseId, 'Hi'));
    const { data, request_id } = await client.chat.completions
      .create(question, { headers: { 'x-request-id': 'my-own.id' } })
      .withResponse();
    assert.equal(data.choices[0]?.message.content, 'Hi');
    assert.equal(request_id, 'my-own.id');
  });

  test('raises on an error event in a stream', async () => {
    slot.onCall = (call) => {
      call.content('half');
      setImmediate(() => call.cut());
    };
    const stream = await client.chat.completions.create({ ...question, stream: true });
    await assert.rejects(
      async () => {
        for await (const _ of stream);
      },
      (error) => error instanceof APIError && error.code === 'upstream_failed',
    );
  });

  test('stops the engine when it leaves the loop', async () => {
    slot.onCall = (call) => call.content('one');
    const stream = await client.chat.completions.create({ ...question, stream: true });
    for await (const _ of stream) break;
    await until(() => slot.calls.length === 1, 'the instance has it');
    await slot.calls[0]?.aborted;
  });

  test('maps errors to its own classes', async () => {
    await assert.rejects(client.chat.completions.create({ ...question, messages: [] }), BadRequestError);
    await assert.rejects(client.models.retrieve('nothing'), NotFoundError);
    router.table({ warmth: [{ failure: { reason: 'Test', message: 'Broken.' } }] });
    await assert.rejects(client.chat.completions.create(question), InternalServerError);
    const models = await client.models.list();
    assert.equal(models.data[0]?.id, 'demo');
  });

  test('comes back by itself when it is told that the model is warming', async () => {
    const patient = new OpenAI({ baseURL: `${router.url}/v1`, apiKey: 'any', maxRetries: 1 });
    slot.onCall = (call) => call.json(chatAnswer(call.responseId, 'Hi'));
    router.table({ warmth: [{ etaMs: 600 }] });
    const answer = patient.chat.completions.create(question, { headers: { 'x-stoker-deadline-ms': '500' } });
    await router.ended('model_warming');
    router.table({ endpoints: [{ address: slot.address }] });
    assert.equal((await answer).choices[0]?.message.content, 'Hi');
  });

  test('is refused without its key', async () => {
    const keys = parseApiKeysFile('sk-alpha-12345');
    assert.ok(keys.ok);
    const locked = await startRouter({ apiKeys: keys.value });
    const wrong = new OpenAI({ baseURL: `${locked.url}/v1`, apiKey: 'sk-wrong-12345', maxRetries: 0 });
    await assert.rejects(wrong.models.list(), AuthenticationError);
    const right = new OpenAI({ baseURL: `${locked.url}/v1`, apiKey: 'sk-alpha-12345', maxRetries: 0 });
    assert.equal((await right.models.list()).data.length, 1);
    await locked.close();
  });
});

// The official JavaScript client against a whole Stoker: what this client does with our answers is the contract. The rows are
// those of an OpenAI-compatible server: shapes, streams, errors and their classes, retries, timeouts, leaving early.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import OpenAI, {
  APIConnectionTimeoutError,
  APIError,
  AuthenticationError,
  BadRequestError,
  InternalServerError,
  NotFoundError,
} from 'openai';
import { until } from '../support/until.ts';
import { API_KEY, REAL_MODEL, type ServedFleet, startServedFleet } from './served-fleet.ts';

const messages = [{ role: 'user' as const, content: 'Tell me a story about a fox.' }];

describe('the official JavaScript client', { timeout: 120_000 }, () => {
  let fleet: ServedFleet;
  let client: OpenAI;
  /** Requests that left the client: its own retries count, too. */
  let sent = 0;
  const countingFetch: typeof fetch = (...args) => {
    sent += 1;
    return fetch(...args);
  };
  const connect = (options: { maxRetries?: number; timeout?: number; apiKey?: string } = {}) =>
    new OpenAI({ baseURL: fleet.baseUrl, apiKey: API_KEY, maxRetries: 0, fetch: countingFetch, ...options });

  before(async () => {
    fleet = await startServedFleet();
    client = connect();
  });
  after(() => fleet.stop());

  for (const model of [REAL_MODEL, 'sim-well']) {
    test(`${model}: a JSON answer has the shape, and usage adds up`, async () => {
      const answer = await client.chat.completions.create({ model, messages, max_completion_tokens: 8 });
      const [choice] = answer.choices;
      assert.match(answer.id, /^chatcmpl-/);
      assert.equal(answer.object, 'chat.completion');
      assert.equal(answer.model, model);
      assert.equal(choice?.finish_reason, 'length');
      assert.equal(choice?.message.role, 'assistant');
      assert.ok((choice?.message.content ?? '').length > 0);
      assert.equal(choice?.message.refusal, null);
      const { usage } = answer;
      assert.equal(usage?.completion_tokens, 8);
      assert.equal(usage?.total_tokens, (usage?.prompt_tokens ?? 0) + 8);
    });

    test(`${model}: a stream has one id, begins with the role, ends with a reason, then usage`, async () => {
      const options = { stream: true as const, stream_options: { include_usage: true } };
      const chunks = [];
      for await (const chunk of await client.chat.completions.create({ model, messages, max_tokens: 9, ...options }))
        chunks.push(chunk);
      const last = chunks.pop();
      assert.deepEqual(last?.choices, []);
      assert.equal(last?.usage?.completion_tokens, 9);
      assert.equal(new Set(chunks.map(({ id, created, object }) => `${id} ${created} ${object}`)).size, 1);
      assert.equal(chunks[0]?.choices[0]?.delta.role, 'assistant');
      const reasons = chunks.map(({ choices }) => choices[0]?.finish_reason ?? null);
      assert.deepEqual(reasons.slice(0, -1), Array(reasons.length - 1).fill(null));
      assert.equal(reasons.at(-1), 'length');
    });

    test(`${model}: usage that nobody asked for does not come`, async () => {
      for await (const chunk of await client.chat.completions.create({
        model,
        messages,
        max_tokens: 4,
        stream: true,
      })) {
        assert.equal(chunk.usage ?? null, null);
        assert.equal(chunk.choices.length, 1);
      }
    });

    test(`${model}: the stream of the SDK's own helper is the JSON answer of the same seed`, async () => {
      const question = { model, messages, max_tokens: 12, temperature: 0, seed: 5 };
      const streamed = await client.chat.completions.stream(question).finalContent();
      const answer = await client.chat.completions.create(question);
      assert.equal(streamed, answer.choices[0]?.message.content);
    });

    test(`${model}: n answers, each with its index, and stop texts`, async () => {
      const answer = await client.chat.completions.create({
        model,
        messages,
        max_tokens: 40,
        n: 2,
        stop: [' the', ' a'],
      });
      assert.deepEqual(
        answer.choices.map(({ index }) => index),
        [0, 1],
      );
      for (const { message } of answer.choices) assert.doesNotMatch(message.content ?? '', / the| a/);
    });

    test(`${model}: n answers streamed reach their own index`, async () => {
      const texts = ['', ''];
      for await (const chunk of await client.chat.completions.create({
        model,
        messages,
        max_tokens: 6,
        n: 2,
        stream: true,
      }))
        for (const { index, delta } of chunk.choices) texts[index] += delta.content ?? '';
      assert.ok(texts.every((text) => text.length > 0));
    });

    test(`${model}: fields that we do not know are passed on and do no harm`, async () => {
      // biome-ignore lint/suspicious/noExplicitAny: the client has no word for it, which is the point.
      const unknown = { some_engine_extra: { deep: [1] }, user: 'somebody', metadata: { a: 'b' } } as any;
      const answer = await client.chat.completions.create({ model, messages, max_tokens: 2, ...unknown });
      assert.equal(answer.usage?.completion_tokens, 2);
    });

    test(`${model}: a text completion, whole and streamed`, async () => {
      const question = { model, prompt: 'Once upon a time', max_tokens: 7, temperature: 0 };
      const answer = await client.completions.create(question);
      assert.match(answer.id, /^cmpl-/);
      assert.equal(answer.object, 'text_completion');
      assert.equal(answer.usage?.completion_tokens, 7);
      let text = '';
      let tokens = 0;
      const options = { stream: true as const, stream_options: { include_usage: true } };
      for await (const chunk of await client.completions.create({ ...question, ...options })) {
        text += chunk.choices[0]?.text ?? '';
        tokens = chunk.usage?.completion_tokens ?? tokens;
      }
      assert.equal(text, answer.choices[0]?.text);
      assert.equal(tokens, 7);
    });

    test(`${model}: text completions of several prompts keep their order`, async () => {
      const prompts = ['Once upon a time', 'The fox'];
      const answer = await client.completions.create({ model, prompt: prompts, max_tokens: 3, echo: true });
      assert.deepEqual(
        answer.choices.map(({ index }) => index),
        [0, 1],
      );
      for (const [at, prompt] of prompts.entries()) assert.ok(answer.choices[at]?.text.startsWith(prompt));
    });

    test(`${model}: embeddings are unit vectors, the same in both encodings`, async () => {
      const input = ['a fox', 'a load balancer'];
      // The client asks for base64 by itself and decodes it.
      const decoded = await client.embeddings.create({ model, input });
      const floats = await client.embeddings.create({ model, input, encoding_format: 'float' });
      assert.equal(decoded.object, 'list');
      assert.ok(decoded.usage.prompt_tokens > 0);
      for (const [at, { embedding, index }] of floats.data.entries()) {
        assert.equal(index, at);
        const length = Math.hypot(...embedding);
        assert.ok(Math.abs(length - 1) < 1e-3, `the length is ${length}`);
        const other = decoded.data[at]?.embedding ?? [];
        assert.equal(other.length, embedding.length);
        for (const [component, value] of embedding.entries())
          assert.ok(Math.abs(value - (other[component] ?? Number.NaN)) < 1e-5);
      }
    });
  }

  test('log-probabilities of the real engine, with alternatives', async () => {
    const answer = await client.chat.completions.create({
      ...{ model: REAL_MODEL, messages, max_tokens: 4, temperature: 0, logprobs: true, top_logprobs: 3 },
    });
    const content = answer.choices[0]?.logprobs?.content ?? [];
    assert.equal(content.length, 4);
    for (const { logprob, bytes, top_logprobs } of content) {
      assert.ok(logprob <= 0);
      assert.ok((bytes ?? []).length > 0);
      assert.equal(top_logprobs.length, 3);
    }
  });

  test('tokens can be biased', async () => {
    const first = async (token: number) => {
      const answer = await client.chat.completions.create({
        ...{ model: REAL_MODEL, messages, max_tokens: 1, temperature: 0, logprobs: true },
        logit_bias: { [token]: 100 },
      });
      return answer.choices[0]?.logprobs?.content?.[0]?.token;
    };
    assert.notEqual(await first(500), await first(501));
  });

  const tool = {
    type: 'function' as const,
    function: { name: 'weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } },
  };

  test('an engine with tools calls the demanded one, whole and in pieces', async () => {
    const question = { model: 'sim-well', messages, tools: [tool], tool_choice: 'required' as const };
    const answer = await client.chat.completions.create(question);
    const [call] = answer.choices[0]?.message.tool_calls ?? [];
    assert.equal(answer.choices[0]?.finish_reason, 'tool_calls');
    assert.equal(answer.choices[0]?.message.content, null);
    assert.ok(call?.type === 'function' && call.function.name === 'weather');
    JSON.parse(call.function.arguments);
    const streamed = await client.chat.completions.stream(question).finalChatCompletion();
    const [pieces] = streamed.choices[0]?.message.tool_calls ?? [];
    assert.ok(pieces?.type === 'function' && pieces.function.name === 'weather');
    assert.equal(pieces.function.arguments, call.function.arguments);
  });

  test('an engine without tools refuses them by name', async () => {
    await assert.rejects(
      client.chat.completions.create({ model: REAL_MODEL, messages, tools: [tool] }),
      (error) => error instanceof BadRequestError && error.param === 'tools' && error.code === 'invalid_request',
    );
  });

  test('what the caller did wrong has a class, a code and the field', async () => {
    await assert.rejects(
      client.chat.completions.create({ model: REAL_MODEL, messages, temperature: 9 }),
      (error) => error instanceof BadRequestError && error.param === 'temperature' && error.status === 400,
    );
    await assert.rejects(
      client.chat.completions.create({
        model: REAL_MODEL,
        messages: [{ role: 'user', content: 'word '.repeat(2000) }],
      }),
      (error) => error instanceof BadRequestError && error.code === 'context_length_exceeded',
    );
    await assert.rejects(
      client.chat.completions.create({ model: 'nothing', messages }),
      (error) => error instanceof NotFoundError && error.code === 'model_not_found',
    );
    await assert.rejects(client.models.retrieve('nothing'), NotFoundError);
    await assert.rejects(
      client.chat.completions.create({ model: REAL_MODEL, messages: [{ role: 'user', content: 'x'.repeat(5 << 20) }] }),
      (error) => error instanceof APIError && error.status === 413 && error.code === 'body_too_large',
    );
    await assert.rejects(client.get('/no/such/route'), NotFoundError);
    await assert.rejects(
      connect({ apiKey: 'sk-somebody-else' }).models.list(),
      (error) => error instanceof AuthenticationError && error.code === 'invalid_api_key',
    );
  });

  test('models are listed and found by name, sleeping ones too', async () => {
    const names = [];
    for await (const { id, object, created, owned_by } of await client.models.list()) {
      assert.equal(object, 'model');
      assert.ok(Number.isInteger(created) && owned_by.length > 0);
      names.push(id);
    }
    assert.ok(names.includes(REAL_MODEL) && names.includes('cold-python'));
    assert.equal((await client.models.retrieve('cold-javascript')).id, 'cold-javascript');
  });

  test('a request has an id, and ours say what was done', async () => {
    const { data, response, request_id } = await client.chat.completions
      .create({ model: REAL_MODEL, messages, max_tokens: 2 }, { headers: { 'x-request-id': 'mine-1' } })
      .withResponse();
    assert.equal(request_id, 'mine-1');
    assert.equal(data.model, REAL_MODEL);
    assert.match(response.headers.get('x-stoker-revision') ?? '', /^demo-[0-9a-f]{10}$/);
    assert.equal(response.headers.get('x-stoker-attempts'), '1');
    await assert.rejects(client.models.retrieve('nothing'), (error) => error instanceof APIError && !!error.requestID);
  });

  test('a failure that another try cannot mend is not tried again', async () => {
    const patient = connect({ maxRetries: 2 });
    sent = 0;
    await assert.rejects(
      patient.chat.completions.create({ model: 'broken', messages }),
      (error) => error instanceof InternalServerError && error.code === 'model_failed',
    );
    assert.equal(sent, 1, 'x-should-retry: false is honoured');
  });

  test('a caller who is sent away from a cold model comes back when he was told, and is served', async () => {
    const patient = connect({ maxRetries: 1 });
    sent = 0;
    const answer = await patient.chat.completions.create(
      { model: 'cold-javascript', messages, max_tokens: 3 },
      { headers: { 'x-stoker-deadline-ms': '3500' } },
    );
    assert.equal(answer.usage?.completion_tokens, 3);
    assert.equal(sent, 2);
    assert.equal(await fleet.countOutcomes('cold-javascript', 'model_warming'), 1);
  });

  test('an answer that breaks off raises, after the part that came', async () => {
    const stream = await client.chat.completions.create({ model: 'sim-cut', messages, stream: true });
    await assert.rejects(
      async () => {
        for await (const _ of stream);
      },
      (error) => error instanceof APIError && error.code === 'upstream_failed',
    );
    await assert.rejects(client.chat.completions.create({ model: 'sim-cut', messages }), InternalServerError);
  });

  test('leaving the loop stops the engine', async () => {
    const gone = await fleet.countOutcomes('sim-slow', 'client_gone');
    const stream = await client.chat.completions.create({ model: 'sim-slow', messages, stream: true });
    for await (const _ of stream) break;
    await until(async () => (await fleet.countInFlight('sim-slow')) === 0, 'the engine is free');
    await until(async () => (await fleet.countOutcomes('sim-slow', 'client_gone')) === gone + 1, 'it is counted');
  });

  test("the client's own timeout ends the request here, too", async () => {
    await assert.rejects(
      connect({ timeout: 400 }).chat.completions.create({ model: 'sim-slow', messages, max_tokens: 1000 }),
      APIConnectionTimeoutError,
    );
    await until(async () => (await fleet.countInFlight('sim-slow')) === 0, 'the engine is free');
  });
});

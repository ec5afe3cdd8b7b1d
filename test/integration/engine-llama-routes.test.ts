// Text completions, several answers, log-probabilities and embeddings of the model server process, over HTTP.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  type Chunk,
  endless,
  isReadyLine,
  letters,
  type ModelServer,
  readStream,
  startModelServer,
  untilHealth,
} from '../support/model-server.ts';

let server: ModelServer;

before(async () => {
  server = await startModelServer();
  await server.until(isReadyLine);
});

after(() => server.stop());

const postJson = async (path: string, body: object) => {
  const response = await server.call(path, { method: 'POST', body: JSON.stringify({ model: 'demo', ...body }) });
  return { status: response.status, json: (await response.json()) as Answer };
};

interface Answer {
  object: string;
  choices: {
    index: number;
    text: string;
    finish_reason: string;
    message: { content: string };
    logprobs: {
      content: {
        token: string;
        logprob: number;
        bytes: number[];
        top_logprobs: { token: string; logprob: number }[];
      }[];
      tokens: string[];
      token_logprobs: number[];
      top_logprobs: Record<string, number>[] | null;
      text_offset: number[];
    } | null;
  }[];
  data: { index: number; embedding: number[] }[];
  usage: { prompt_tokens: number; completion_tokens: number; total_tokens: number };
  error: { code: string; param: string; message: string };
}

test('a text is continued, as text or as tokens, alone or in a list, echoed or not', async () => {
  const base = { max_tokens: 12, temperature: 0 };
  const alone = await postJson('/v1/completions', { ...base, prompt: 'Once upon a time' });
  assert.equal(alone.json.object, 'text_completion');
  const text = alone.json.choices[0]?.text ?? '';
  assert.match(text, /^ there was /);
  assert.equal(alone.json.usage.completion_tokens, 12);
  assert.equal(alone.json.choices[0]?.finish_reason, 'length');
  const prompts = ['What is', 'Once upon a time', 'The sun'];
  const list = await postJson('/v1/completions', { ...base, prompt: prompts, echo: true });
  assert.deepEqual(
    list.json.choices.map(({ index, text: each }) => [index, each.startsWith(prompts[index] ?? '-')]),
    [
      [0, true],
      [1, true],
      [2, true],
    ],
  );
  assert.equal(list.json.choices[1]?.text, `Once upon a time${text}`);
  const stream = await readStream(
    await server.call('/v1/completions', {
      method: 'POST',
      body: JSON.stringify({
        ...base,
        prompt: 'Once upon a time',
        stream: true,
        stream_options: { include_usage: true },
      }),
    }),
  );
  const streamed = stream.chunks as unknown as Answer[];
  assert.equal(streamed.map(({ choices }) => choices[0]?.text ?? '').join(''), text);
  assert.ok(streamed.every(({ object }) => object === 'text_completion'));
  assert.equal(streamed.at(-1)?.usage.total_tokens, alone.json.usage.total_tokens);
  assert.equal(stream.done, true);
});

test('a prompt of tokens is taken as it is', async () => {
  const ask64 = { prompt: [64, 65, 66], max_tokens: 1, temperature: 0, echo: true };
  const { json } = await postJson('/v1/completions', ask64);
  assert.match(json.choices[0]?.text ?? '', /^abc/);
  assert.equal(json.usage.prompt_tokens, 3);
  const refused = await postJson('/v1/completions', { prompt: [64, 959] });
  assert.deepEqual([refused.status, refused.json.error.param], [400, 'prompt']);
  const long = await postJson('/v1/completions', { prompt: ['a', 'word '.repeat(600)] });
  assert.deepEqual([long.json.error.code, long.json.error.param], ['context_length_exceeded', 'prompt[1]']);
});

test('several answers to one prompt: the first is as if alone, the others differ, usage is the sum', async () => {
  const body = { messages: [{ role: 'user', content: 'Tell me a story.' }], max_tokens: 30, seed: 5, temperature: 1.2 };
  const alone = await postJson('/v1/chat/completions', body);
  const four = await postJson('/v1/chat/completions', { ...body, n: 4 });
  const texts = four.json.choices.map(({ message }) => message.content);
  assert.equal(texts.length, 4);
  assert.equal(texts[0], alone.json.choices[0]?.message.content);
  assert.equal(new Set(texts).size, 4);
  assert.equal(four.json.usage.prompt_tokens, alone.json.usage.prompt_tokens);
  assert.ok(four.json.usage.completion_tokens > alone.json.usage.completion_tokens);
  const stream = await readStream(
    await server.call('/v1/chat/completions', {
      method: 'POST',
      body: JSON.stringify({ ...body, n: 4, stream: true }),
    }),
  );
  const byChoice = ['', '', '', ''];
  const ended: number[] = [];
  for (const { choices } of stream.chunks as unknown as (Chunk & { choices: { index: number }[] })[]) {
    const [choice] = choices;
    assert.ok(choice);
    assert.ok(!ended.includes(choice.index), 'a choice has ended');
    byChoice[choice.index] += choice.delta?.content ?? '';
    if (choice.finish_reason !== null) ended.push(choice.index);
  }
  assert.deepEqual(byChoice, texts);
  assert.equal(ended.length, 4);
});

test('log-probabilities do not change the text, whatever the settings of sampling', async () => {
  const settings = [
    {},
    { temperature: 0 },
    { temperature: 1.7 },
    { top_k: 5 },
    { top_p: 0.6, min_p: 0.02 },
    { frequency_penalty: 1.5, presence_penalty: -0.5 },
    { logit_bias: { 70: 5, 80: -3, 90: -100 } },
  ];
  for (const [seed, more] of settings.entries()) {
    const body = { messages: [{ role: 'user', content: 'Tell me a story.' }], max_tokens: 40, seed, ...more };
    const plain = await postJson('/v1/chat/completions', body);
    const scored = await postJson('/v1/chat/completions', { ...body, logprobs: true, top_logprobs: 3 });
    const text = plain.json.choices[0]?.message.content;
    assert.equal(scored.json.choices[0]?.message.content, text, JSON.stringify(more));
    const content = scored.json.choices[0]?.logprobs?.content ?? [];
    assert.equal(Buffer.from(content.flatMap(({ bytes }) => bytes)).toString('utf8'), text);
    for (const { logprob, top_logprobs: top } of content) {
      assert.equal(top.length, 3);
      const shares = top.map((each) => Math.exp(each.logprob));
      assert.ok(logprob <= (top[0]?.logprob ?? 1) && shares.reduce((sum, share) => sum + share, 0) <= 1.000001);
    }
  }
});

test('a JSON answer that grows beyond its bound is refused, and the same one can be streamed', async () => {
  const body = { messages: [{ role: 'user', content: 'Go on.' }], logit_bias: letters, n: 8 };
  const scored = { ...body, logprobs: true, top_logprobs: 20 };
  const refused = await postJson('/v1/chat/completions', scored);
  assert.deepEqual([refused.status, refused.json.error.param], [400, 'stream']);
  assert.match(refused.json.error.message, /grown beyond 4194304 bytes/);
  const stream = await readStream(
    await server.call('/v1/chat/completions', { method: 'POST', body: JSON.stringify({ ...scored, stream: true }) }),
  );
  assert.equal(stream.done, true);
  await untilHealth(server, (answer) => answer.busy === 0);
});

test('text completions tell log-probabilities in their own form', async () => {
  const body = { prompt: 'Once upon a time', max_tokens: 5, temperature: 0 };
  const { json } = await postJson('/v1/completions', { ...body, logprobs: 2 });
  const [choice] = json.choices;
  const scores = choice?.logprobs;
  assert.ok(choice && scores);
  assert.equal(scores.tokens.join(''), choice.text);
  assert.deepEqual(
    scores.text_offset,
    scores.tokens.map((_, index) => scores.tokens.slice(0, index).join('').length),
  );
  assert.ok(
    scores.top_logprobs?.every((top, index) => top[scores.tokens[index] ?? ''] === scores.token_logprobs[index]),
  );
  assert.equal(
    (await postJson('/v1/completions', { ...body, logprobs: 0 })).json.choices[0]?.logprobs?.top_logprobs,
    null,
  );
});

test('vectors have length 1 and are the same alone, in a list, beside streams and as base64', async () => {
  const input = ['What is a load balancer?', 'Once upon a time there was a cat.', 'hello'];
  const alone = await Promise.all(input.map((each) => postJson('/v1/embeddings', { input: each })));
  const vectors = alone.map(({ json }) => json.data[0]?.embedding ?? []);
  for (const vector of vectors) {
    assert.equal(vector.length, 128);
    assert.ok(Math.abs(Math.hypot(...vector) - 1) < 1e-6);
  }
  assert.ok(Math.abs((vectors[0]?.[0] ?? 0) - (vectors[1]?.[0] ?? 0)) > 1e-3);
  const streams = Array.from({ length: 8 }, async (_, seed) =>
    readStream(await server.call('/v1/chat/completions', endless({ max_tokens: 100, seed }))),
  );
  const list = await postJson('/v1/embeddings', { input, dimensions: 128 });
  const packed = await postJson('/v1/embeddings', { input, encoding_format: 'base64' });
  assert.ok((await Promise.all(streams)).every(({ done }) => done));
  for (const [index, vector] of vectors.entries()) {
    assert.equal(list.json.data[index]?.index, index);
    const bytes = Buffer.from(String(packed.json.data[index]?.embedding), 'base64');
    for (const [at, each] of vector.entries()) {
      assert.ok(Math.abs((list.json.data[index]?.embedding[at] ?? 9) - each) < 1e-4);
      assert.ok(Math.abs(bytes.readFloatLE(at * 4) - each) < 1e-4);
    }
  }
  assert.equal(
    list.json.usage.prompt_tokens,
    alone.reduce((sum, { json }) => sum + json.usage.prompt_tokens, 0),
  );
});

test('embeddings refuse what is too long or unknown by its place, and a caller that hangs up ends them', async () => {
  const refusal = async (body: object) => {
    const { status, json } = await postJson('/v1/embeddings', body);
    return [status, json.error.code, json.error.param];
  };
  assert.deepEqual(await refusal({ input: ['a', 'word '.repeat(600)] }), [400, 'context_length_exceeded', 'input[1]']);
  assert.deepEqual(await refusal({ input: 'word '.repeat(400_000) }), [400, 'context_length_exceeded', 'input']);
  assert.deepEqual(await refusal({ input: [[1], [959]] }), [400, 'invalid_request', 'input[1]']);
  assert.deepEqual(await refusal({ input: 'a', dimensions: 64 }), [400, 'invalid_request', 'dimensions']);
  const abort = new AbortController();
  const many = JSON.stringify({ input: Array.from({ length: 2000 }, (_, index) => `text number ${index}`) });
  const gone = server.call('/v1/embeddings', { method: 'POST', body: many, signal: abort.signal });
  await untilHealth(server, (answer) => answer.busy === 1);
  abort.abort();
  await assert.rejects(gone);
  assert.ok((await untilHealth(server, (answer) => answer.busy === 0)) < 500);
});

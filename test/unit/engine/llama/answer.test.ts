import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import fc from 'fast-check';
import { chatShape, textShape } from '../../../../src/engine/llama/answer-shape.ts';
import { createAnswerSink } from '../../../../src/engine/llama/answer-sink.ts';
import {
  type AnswerWriter,
  createJsonWriter,
  createStreamWriter,
  DRAIN_WAIT_MS_MAX,
} from '../../../../src/engine/llama/answer-writer.ts';
import { usageOf } from '../../../../src/engine/llama/generation.ts';
import { Refusal } from '../../../../src/engine/llama/refusal.ts';
import { createManualClock } from '../../../../src/lib/clock.ts';

const frame = { shape: chatShape, id: 'chatcmpl-1', created: 1, model: 'demo', fingerprint: 'fp_1' };
const end = { finish: 'length', promptTokens: 3, cachedTokens: 1, completionTokens: 2 } as const;

/** The part of a response that the writer uses, over a stream whose reader can be held up. */
function fakeResponse() {
  const text: string[] = [];
  let release: (() => void) | undefined;
  let held = false;
  const stream = new Writable({
    highWaterMark: 1,
    write(chunk: Buffer, _encoding, done) {
      text.push(String(chunk));
      if (held) release = done;
      else done();
    },
  });
  const response = Object.assign(stream, {
    headersSent: false,
    writeHead() {
      response.headersSent = true;
    },
  });
  return {
    response: response as unknown as ServerResponse, // Only what the writer calls is there.
    frames: () =>
      text
        .join('')
        .split('\n\n')
        .filter((part) => part !== '')
        .map((part) => part.replace(/^data: /, '')),
    hold: () => {
      held = true;
    },
    release: () => {
      held = false;
      release?.();
    },
  };
}

function setUp(includeUsage = true) {
  const fake = fakeResponse();
  const clock = createManualClock();
  const told: string[] = [];
  const writer = createStreamWriter({
    response: fake.response,
    frame,
    includeUsage,
    clock,
    onReady: () => told.push('ready'),
    onStuck: () => told.push('stuck'),
  });
  return { ...fake, clock, told, writer };
}

const spell = (tokens: readonly number[]) => String.fromCharCode(...tokens);
const sinkOf = (writer: AnswerWriter, stops: readonly string[] = []) =>
  createAnswerSink({
    writer,
    choice: 0,
    detokenize: spell,
    stops,
    opening: '',
    speller: { spell: (token) => spell([token]), bytes: (token) => Uint8Array.of(token) },
  });

const parse = (json: string | undefined) => JSON.parse(json ?? 'null') as { choices: unknown[]; usage?: unknown };

test('role first, text, finish, usage last, then [DONE]', () => {
  const { writer, frames } = setUp();
  const sink = sinkOf(writer);
  for (const char of 'hi') sink.take(char.charCodeAt(0));
  sink.finish(end);
  writer.end(end);
  const all = frames();
  assert.deepEqual(
    all.slice(0, -2).map((json) => parse(json).choices[0]),
    [
      { index: 0, delta: { role: 'assistant', content: '' }, logprobs: null, finish_reason: null },
      { index: 0, delta: { content: 'h' }, logprobs: null, finish_reason: null },
      { index: 0, delta: { content: 'i' }, logprobs: null, finish_reason: null },
      { index: 0, delta: {}, logprobs: null, finish_reason: 'length' },
    ],
  );
  assert.deepEqual(parse(all.at(-2)).choices, []);
  assert.deepEqual(parse(all.at(-2)).usage, {
    prompt_tokens: 3,
    completion_tokens: 2,
    total_tokens: 5,
    prompt_tokens_details: { cached_tokens: 1 },
  });
  assert.equal(all.at(-1), '[DONE]');
});

interface Scored {
  choices: { text?: string; delta?: { content?: string }; logprobs: { content: { token: string }[] } | null }[];
}

/** Takes the tokens with scores that name them, and gives what went out: the text and the tokens of each piece. */
function takeScored(tokens: readonly string[], stops: readonly string[] = []) {
  const { writer, frames } = setUp(false);
  const byId = [...tokens];
  const sink = createAnswerSink({
    writer,
    choice: 0,
    detokenize: (ids) => Buffer.concat(ids.map((id) => Buffer.from(byId[id] ?? '', 'latin1'))).toString('utf8'),
    stops,
    opening: '',
    speller: { spell: (id) => byId[id] ?? '', bytes: (id) => Buffer.from(byId[id] ?? '', 'latin1') },
  });
  for (const id of byId.keys()) {
    if (sink.take(id, { token: id, logprob: -id, alternatives: [] }) === 'stop') break;
  }
  sink.finish(end);
  return frames()
    .map((json) => (JSON.parse(json) as Scored).choices[0])
    .filter((choice) => choice?.logprobs !== null)
    .map((choice) => [choice?.delta?.content, choice?.logprobs?.content.map(({ token }) => token)]);
}

test('each piece of text goes with the scores of its tokens', () => {
  assert.deepEqual(takeScored(['a', 'b']), [
    ['a', ['a']],
    ['b', ['b']],
  ]);
});

test('the tokens of one character go out together with it', () => {
  const bytes = [...Buffer.from('é', 'utf8').toString('latin1')];
  assert.deepEqual(takeScored(['a', ...bytes, 'b']), [
    ['a', ['a']],
    ['é', ['\uFFFD', '\uFFFD']],
    ['b', ['b']],
  ]);
});

test('tokens of a stop text are not told, the one that it begins in is', () => {
  assert.deepEqual(takeScored(['x', 'yS', 'TO', 'P'], ['STOP']), [
    ['x', ['x']],
    ['y', ['yS']],
  ]);
});

test('tokens without a text are told at the end', () => {
  assert.deepEqual(takeScored(['a', '']), [
    ['a', ['a']],
    ['', ['']],
  ]);
});

test('property: without a stop every token is told once, in order', () => {
  const tokens = fc.array(
    fc.oneof(fc.constantFrom('a', 'ST', 'O', ''), fc.constantFrom('\xc3', '\xa9', '\xe2', '\x82')),
  );
  fc.assert(
    fc.property(tokens, (given) => {
      const told = takeScored(given, ['STOP']).flatMap(([, names]) => names as string[]);
      assert.deepEqual(
        told,
        given.map((token) => Buffer.from(token, 'latin1').toString('utf8')),
      );
    }),
  );
});

test('two choices: each has its opening, its index and its end', () => {
  const { writer, frames } = setUp();
  writer.begin(0);
  writer.begin(1);
  writer.text(1, 'b');
  writer.text(0, 'a');
  writer.finish(1, 'stop');
  writer.finish(0, 'length');
  writer.end(end);
  const choices = frames()
    .slice(0, -2)
    .map((json) => parse(json).choices[0] as { index: number; delta: object; finish_reason: string | null });
  assert.deepEqual(
    choices.map(({ index, finish_reason: finish }) => [index, finish]),
    [
      [0, null],
      [1, null],
      [1, null],
      [0, null],
      [1, 'stop'],
      [0, 'length'],
    ],
  );
  assert.equal(frames().at(-1), '[DONE]');
});

test('a JSON answer has its choices in order, as text completions have them', () => {
  const { response, frames } = fakeResponse();
  const writer = createJsonWriter({ response, frame: { ...frame, shape: textShape }, onTooLarge: () => {} });
  writer.text(1, 'b');
  writer.text(0, 'a', [{ text: 'a', bytes: undefined, logprob: -1, alternatives: [], offset: 0 }]);
  writer.finish(0, 'stop');
  writer.finish(1, 'length');
  writer.end(end);
  const body = JSON.parse(frames()[0] ?? '{}');
  assert.equal(body.object, 'text_completion');
  assert.deepEqual(body.choices, [
    {
      index: 0,
      text: 'a',
      logprobs: { tokens: ['a'], token_logprobs: [-1], top_logprobs: null, text_offset: [0] },
      finish_reason: 'stop',
    },
    { index: 1, text: 'b', logprobs: null, finish_reason: 'length' },
  ]);
});

test('a JSON answer that grows too large says so once and keeps nothing more', () => {
  const { response } = fakeResponse();
  let told = 0;
  const writer = createJsonWriter({ response, frame, onTooLarge: () => (told += 1) });
  const scored = { text: 'a', bytes: Uint8Array.of(97), logprob: -1, offset: 0 };
  const scores = [{ ...scored, alternatives: Array(20).fill(scored) }];
  let pieces = 0;
  while (told === 0 && pieces < 1e6) {
    writer.text(0, 'a', scores);
    pieces += 1;
  }
  writer.text(0, 'a', scores);
  assert.equal(told, 1);
  assert.ok(pieces > 2000 && pieces < 10_000, `${pieces} tokens`);
});

test('a prompt counts once, however many answers it gets', () => {
  const ends = [3, 4, 5, 6].map((completionTokens) => ({ ...end, completionTokens }));
  assert.deepEqual(usageOf(ends, 2), { promptTokens: 6, cachedTokens: 2, completionTokens: 18 });
});

test('without include_usage no chunk speaks of usage', () => {
  const { writer, frames } = setUp(false);
  writer.finish(0, 'stop');
  writer.end(end);
  assert.ok(frames().every((json) => !json.includes('usage')));
});

test('a stop text stops the answer and never goes out; what came before it does', () => {
  const { writer, frames } = setUp();
  const sink = sinkOf(writer, ['STOP']);
  const steps = [...'abSTOPcd'].map((char) => sink.take(char.charCodeAt(0)));
  assert.equal(steps.indexOf('stop'), 5);
  sink.finish({ ...end, finish: 'stop' });
  const content = frames()
    .filter((json) => json !== '[DONE]')
    .map((json) => /"content":"([^"]*)"/.exec(json)?.[1] ?? '')
    .join('');
  assert.equal(content, 'ab');
});

test('after the head a failure is one error event and no [DONE]', () => {
  const { writer, frames } = setUp();
  writer.begin(0);
  writer.text(0, 'a');
  writer.fail(new Refusal('draining', 'over'));
  assert.match(
    frames().at(-1) ?? '',
    /^\{"error":\{"message":"over","type":"server_error","param":null,"code":"draining"\}\}$/,
  );
  assert.ok(!frames().includes('[DONE]'));
});

test('a reader that is behind is waited for, and given up after the bound', async () => {
  const { writer, hold, release, clock, told, response } = setUp();
  hold();
  writer.begin(0);
  assert.equal(writer.ready(), false);
  release();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(told, ['ready']);
  assert.equal(writer.ready(), true);
  hold();
  writer.text(0, 'a');
  assert.equal(writer.ready(), false);
  clock.advance(DRAIN_WAIT_MS_MAX);
  assert.deepEqual(told, ['ready', 'stuck']);
  release();
  response.destroy();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(clock.pendingTimers(), 0);
});

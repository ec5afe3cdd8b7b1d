import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { createAnswerSink } from '../../../../src/engine/llama/answer-sink.ts';
import { createStreamWriter, DRAIN_WAIT_MS_MAX } from '../../../../src/engine/llama/answer-writer.ts';
import { Refusal } from '../../../../src/engine/llama/refusal.ts';
import { createManualClock } from '../../../../src/lib/clock.ts';

const frame = { id: 'chatcmpl-1', created: 1, model: 'demo', fingerprint: 'fp_1' };
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

const parse = (json: string | undefined) => JSON.parse(json ?? 'null') as { choices: unknown[]; usage?: unknown };

test('role first, text, finish, usage last, then [DONE]', () => {
  const { writer, frames } = setUp();
  const sink = createAnswerSink(writer, (tokens) => String.fromCharCode(...tokens), []);
  for (const char of 'hi') sink.take(char.charCodeAt(0));
  sink.finish(end);
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

test('without include_usage no chunk speaks of usage', () => {
  const { writer, frames } = setUp(false);
  writer.end(end);
  assert.ok(frames().every((json) => !json.includes('usage')));
});

test('a stop text stops the answer and never goes out; what came before it does', () => {
  const { writer, frames } = setUp();
  const sink = createAnswerSink(writer, (tokens) => String.fromCharCode(...tokens), ['STOP']);
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
  writer.begin();
  writer.text('a');
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
  writer.begin();
  assert.equal(writer.ready(), false);
  release();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(told, ['ready']);
  assert.equal(writer.ready(), true);
  hold();
  writer.text('a');
  assert.equal(writer.ready(), false);
  clock.advance(DRAIN_WAIT_MS_MAX);
  assert.deepEqual(told, ['ready', 'stuck']);
  release();
  response.destroy();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(clock.pendingTimers(), 0);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { normalise, renderEmbedding, renderEmbeddings } from '../../../../src/engine/llama/embedding-answer.ts';
import { EmbeddingLane } from '../../../../src/engine/llama/embedding-lane.ts';
import { createServerMetrics } from '../../../../src/engine/llama/metrics.ts';
import { Refusal } from '../../../../src/engine/llama/refusal.ts';
import { createManualClock } from '../../../../src/lib/clock.ts';
import { silentLog } from '../../../../src/lib/log.ts';
import { until } from '../../../support/until.ts';
import { createFakeModel } from './fake-model.ts';

const closing = new Refusal('draining', 'over');
const codeOf = (code: string) => (error: unknown) => error instanceof Refusal && error.code === code;

function setUp(requestsMax = 4) {
  const model = createFakeModel({ slots: 1, contextLength: 100 });
  const clock = createManualClock();
  const metrics = createServerMetrics();
  const lane = new EmbeddingLane({ open: () => model.openEmbedder(), requestsMax, clock, log: silentLog, metrics });
  return { model, clock, metrics, lane };
}

function request(...texts: readonly string[]) {
  const abort = new AbortController();
  const vectors: (readonly number[])[] = [];
  const inputs = texts.map((text) => [...text].map((char) => char.charCodeAt(0)));
  const job = { inputs, signal: abort.signal, onVector: (vector: readonly number[]) => void vectors.push(vector) };
  return { job, abort, vectors };
}

test('gives the vectors in the order of the inputs', async () => {
  const { lane, metrics, model } = setUp();
  const { job, vectors } = request('abc', 'b');
  await lane.run(job);
  assert.deepEqual(vectors, [
    [3, 97, 1],
    [1, 98, 1],
  ]);
  assert.equal(metrics.embeddings.value, 2);
  assert.equal(metrics.embeddingTokens.value, 4);
  await lane.close(closing);
  assert.deepEqual(model.broken, []);
});

test('requests take turns, one input each', async () => {
  const { lane, model } = setUp();
  const long = lane.run(request('a1', 'a2', 'a3').job);
  await lane.run(request('b1').job);
  assert.deepEqual(model.embedded, ['a1', 'b1']);
  await long;
  assert.deepEqual(model.embedded, ['a1', 'b1', 'a2', 'a3']);
});

test('a request that comes when the last one has just ended is served', async () => {
  const { lane, model } = setUp();
  await lane.run(request('a').job).then(() => lane.run(request('b').job));
  assert.equal(await lane.whenIdle(0), true);
  await lane.run(request('c').job);
  assert.deepEqual(model.embedded, ['a', 'b', 'c']);
});

test('a caller that hangs up ends its request after the running input, and no other', async () => {
  const { lane, model, metrics } = setUp();
  const left = request('a1', 'a2', 'a3');
  const run = lane.run({ ...left.job, onVector: () => left.abort.abort() });
  const other = lane.run(request('b1', 'b2').job);
  await assert.rejects(run, codeOf('client_gone'));
  await other;
  assert.deepEqual(model.embedded, ['a1', 'b1', 'b2']);
  assert.equal(metrics.aborted.value, 1);
  await assert.rejects(lane.run(left.job), codeOf('client_gone'));
});

test('is bounded, and refuses with queue_full', async () => {
  const { lane, metrics } = setUp(2);
  const runs = [lane.run(request('a').job), lane.run(request('b').job)];
  await assert.rejects(lane.run(request('c').job), codeOf('queue_full'));
  assert.equal(metrics.rejected.value, 1);
  await Promise.all(runs);
});

test('an input that fails ends its request alone', async () => {
  const { lane, model, metrics } = setUp();
  model.failNext = new Error('no memory');
  await assert.rejects(lane.run(request('a').job), codeOf('internal_error'));
  await lane.run(request('b').job);
  assert.equal(metrics.failed.value, 1);
});

test('a context that cannot be opened fails the request, and is tried again for the next', async () => {
  const { model, clock, metrics } = setUp();
  let tries = 0;
  const open = async () => {
    tries += 1;
    if (tries === 1) throw new Error('no memory');
    return await model.openEmbedder();
  };
  const lane = new EmbeddingLane({ open, requestsMax: 4, clock, log: silentLog, metrics });
  await assert.rejects(lane.run(request('a').job), codeOf('internal_error'));
  await lane.run(request('b').job);
  await lane.run(request('c').job);
  assert.equal(tries, 2);
});

test('closing ends everything with the reason after the running input, and takes nothing more', async () => {
  const { lane, model } = setUp();
  let finish: () => void = () => {};
  model.gate = new Promise((resolve) => {
    finish = resolve;
  });
  const runs = [lane.run(request('a1', 'a2').job), lane.run(request('b').job)];
  const ends = Promise.all(runs.map((run) => assert.rejects(run, closing)));
  await until(() => model.embedding === 1, 'an input is embedded');
  const closed = lane.close(closing);
  finish();
  await closed;
  await ends;
  await assert.rejects(lane.run(request('c').job), closing);
  assert.deepEqual(model.embedded, ['a1']);
  assert.deepEqual(model.broken, []);
});

test('idleness is told, in time or not at all', async () => {
  const { lane, model, clock } = setUp();
  let finish: () => void = () => {};
  model.gate = new Promise((resolve) => {
    finish = resolve;
  });
  const run = lane.run(request('a').job);
  const late = lane.whenIdle(1000);
  clock.advance(1000);
  assert.equal(await late, false);
  const idle = lane.whenIdle(1000);
  finish();
  assert.equal(await idle, true);
  await run;
  assert.equal(clock.pendingTimers(), 0);
});

test('vectors have length 1, or none when they have no direction', () => {
  assert.deepEqual(normalise([3, 4]), [0.6, 0.8]);
  assert.equal(normalise([0, 0]), undefined);
  assert.equal(normalise([1, Number.NaN]), undefined);
});

test('property: numbers and base64 tell the same vector', () => {
  const vector = fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 1, maxLength: 50 });
  fc.assert(
    fc.property(vector, fc.nat(2047), (given, index) => {
      const read = (encoding: 'float' | 'base64') => JSON.parse(renderEmbedding(index, given, encoding).toString());
      const bytes = Buffer.from(read('base64').embedding, 'base64');
      const numbers: number[] = read('float').embedding;
      assert.equal(bytes.length, given.length * 4);
      assert.equal(read('float').index, index);
      for (const [at, each] of numbers.entries()) assert.ok(Math.abs(bytes.readFloatLE(at * 4) - each) < 1e-7);
    }),
  );
});

test('the whole answer is a list', () => {
  const vectors = [renderEmbedding(0, [1], 'float'), renderEmbedding(1, [-0.5], 'float')];
  const parts = renderEmbeddings(vectors, { model: 'a"b', promptTokens: 3 });
  assert.deepEqual(JSON.parse(Buffer.concat(parts).toString()), {
    object: 'list',
    data: [
      { object: 'embedding', index: 0, embedding: [1] },
      { object: 'embedding', index: 1, embedding: [-0.5] },
    ],
    model: 'a"b',
    usage: { prompt_tokens: 3, total_tokens: 3 },
  });
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { TokenScores } from '../../../../src/engine/llama/loaded-model.ts';
import { createServerMetrics } from '../../../../src/engine/llama/metrics.ts';
import { Busy, Refusal } from '../../../../src/engine/llama/refusal.ts';
import { greedySampling } from '../../../../src/engine/llama/sampling.ts';
import { type Job, Scheduler } from '../../../../src/engine/llama/scheduler.ts';
import { createManualClock } from '../../../../src/lib/clock.ts';
import { silentLog } from '../../../../src/lib/log.ts';
import { until } from '../../../support/until.ts';
import { createFakeModel, type FakeOptions } from './fake-model.ts';

const CONTEXT = 200;

function setUp(given: Partial<FakeOptions & { queueMax: number; chunk: number }> = {}) {
  const model = createFakeModel({ slots: 2, contextLength: CONTEXT, ...given });
  const clock = createManualClock();
  const metrics = createServerMetrics();
  const scheduler = new Scheduler({
    model,
    queueMax: given.queueMax ?? 4,
    chunk: given.chunk ?? 16,
    prefillsMax: 2,
    clock,
    metrics,
    log: silentLog,
  });
  return { model, clock, metrics, scheduler };
}

function request(prompt: string, given: Partial<Job> = {}) {
  const abort = new AbortController();
  const taken: string[] = [];
  const job: Job = {
    prompt: [...prompt].map((char) => char.charCodeAt(0)),
    tokensMax: 50,
    sampling: greedySampling,
    signal: abort.signal,
    sink: {
      take(token) {
        taken.push(String.fromCharCode(token));
        return 'more';
      },
      ready: () => true,
    },
    ...given,
  };
  return { job, abort, text: () => taken.join('') };
}

const closing = new Refusal('draining', 'over');
const codeOf = (code: string) => (error: unknown) => error instanceof Refusal && error.code === code;

test('an answer runs to its end and is counted', async () => {
  const { scheduler, model, metrics } = setUp({ answerTo: (prompt) => `re:${prompt}` });
  const { job, text } = request('hello');
  const end = await scheduler.run(job);
  assert.equal(text(), 're:hello');
  assert.deepEqual(end, { finish: 'stop', promptTokens: 5, cachedTokens: 0, completionTokens: 9 });
  assert.equal(metrics.generatedTokens.value, 9);
  await scheduler.close(closing);
  assert.deepEqual(model.broken, []);
});

test('tokensMax ends an answer with length', async () => {
  const { scheduler } = setUp();
  const { job, text } = request('hello', { tokensMax: 3 });
  assert.equal((await scheduler.run(job)).finish, 'length');
  assert.equal(text(), 'xxx');
  await scheduler.close(closing);
});

test('a prompt that a slot holds is not computed again, but for its last token', async () => {
  const { scheduler, model } = setUp({ answerTo: () => 'ok' });
  await scheduler.run(request('the same prompt').job);
  model.computed.length = 0;
  const end = await scheduler.run(request('the same prompt').job);
  assert.equal(end.cachedTokens, 14);
  assert.equal(model.computed[0]?.tokens, 1);
  await scheduler.close(closing);
});

test('a long prompt is read in chunks', async () => {
  const { scheduler, model } = setUp({ answerTo: () => 'ok', chunk: 16 });
  await scheduler.run(request('p'.repeat(40)).job);
  assert.deepEqual(
    model.computed.map((row) => row.tokens),
    [16, 16, 8, 1, 1],
  );
  await scheduler.close(closing);
});

test('the queue is bounded, first come first served, and refuses with queue_full', async () => {
  const { scheduler, metrics } = setUp({ slots: 1, queueMax: 2, answerTo: () => 'ok' });
  const order: string[] = [];
  const runs = ['a', 'b', 'c'].map((name) => scheduler.run(request(name).job).then(() => order.push(name)));
  await assert.rejects(scheduler.run(request('d').job), codeOf('queue_full'));
  await Promise.all(runs);
  assert.deepEqual(order, ['a', 'b', 'c']);
  assert.equal(metrics.rejected.value, 1);
  await scheduler.close(closing);
});

test('an abort frees the slot after the running step, also while the prompt is read', async () => {
  const { scheduler, model, metrics } = setUp({ slots: 1, chunk: 2 });
  const { job, abort } = request('p'.repeat(100));
  const run = scheduler.run(job);
  await until(() => model.computed.length > 3, 'some chunks are read');
  const stepsBefore = metrics.batches.value;
  abort.abort();
  await assert.rejects(run, codeOf('client_gone'));
  assert.ok(metrics.batches.value - stepsBefore <= 1);
  assert.equal(scheduler.busy, 0);
  await scheduler.close(closing);
});

test('an abort while waiting leaves the queue and takes no slot', async () => {
  const { scheduler } = setUp({ slots: 1 });
  const first = request('first', { tokensMax: 100 });
  const running = scheduler.run(first.job);
  const second = request('second');
  const waiting = scheduler.run(second.job);
  second.abort.abort();
  await assert.rejects(waiting, codeOf('client_gone'));
  assert.equal(scheduler.queued, 0);
  first.abort.abort();
  await assert.rejects(running, codeOf('client_gone'));
  await scheduler.close(closing);
});

test('a reader that is behind pauses its own slot alone', async () => {
  const { scheduler } = setUp({ answerTo: () => 'okay' });
  let ready = false;
  const slow = request('slow', { sink: { take: () => 'more', ready: () => ready } });
  const slowRun = scheduler.run(slow.job);
  await scheduler.run(request('fast').job);
  assert.equal(scheduler.busy, 1);
  ready = true;
  scheduler.resume();
  assert.equal((await slowRun).finish, 'stop');
  await scheduler.close(closing);
});

test('a paused reader that hangs up frees its slot', async () => {
  const { scheduler } = setUp({ slots: 1 });
  const slow = request('slow', { sink: { take: () => 'more', ready: () => false } });
  const run = scheduler.run(slow.job);
  await until(() => scheduler.busy === 1, 'it has a slot');
  slow.abort.abort();
  await assert.rejects(run, codeOf('client_gone'));
  await scheduler.close(closing);
});

test('a request that comes while the loop looks at a paused slot is not left waiting', async () => {
  const { scheduler } = setUp({ answerTo: () => 'ok' });
  let late: Promise<unknown> | undefined;
  let taken = 0;
  const slow = request('slow', {
    sink: {
      take() {
        taken += 1;
        return 'more';
      },
      ready() {
        if (taken > 0) late ??= scheduler.run(request('late').job);
        return taken === 0;
      },
    },
  });
  const slowRun = scheduler.run(slow.job);
  await until(() => late !== undefined, 'the second request is there');
  await late;
  slow.abort.abort();
  await assert.rejects(slowRun, codeOf('client_gone'));
  await scheduler.close(closing);
});

test('says for how long the step that runs has computed', async () => {
  const { scheduler, model, clock } = setUp({ answerTo: () => 'ok' });
  assert.equal(scheduler.stepMs, 0);
  let finish: () => void = () => {};
  model.gate = new Promise((resolve) => {
    finish = resolve;
  });
  const run = scheduler.run(request('hello').job);
  await until(() => model.computing === 1, 'a step computes');
  clock.advance(7000);
  assert.equal(scheduler.stepMs, 7000);
  model.gate = undefined;
  finish();
  await run;
  assert.equal(scheduler.stepMs, 0);
  await scheduler.close(closing);
});

test('a computation that fails ends its request and empties its slot; the next request is served', async () => {
  const { scheduler, model, metrics } = setUp({ slots: 1, answerTo: () => 'ok' });
  model.failNext = new Error('no memory');
  await assert.rejects(scheduler.run(request('hello').job), codeOf('internal_error'));
  await until(() => scheduler.heldTokens === 0, 'the slot is cleared');
  assert.equal((await scheduler.run(request('hello').job)).finish, 'stop');
  assert.equal(metrics.failed.value, 1);
  await scheduler.close(closing);
});

test('an exclusive task has the slots to itself; what comes meanwhile waits', async () => {
  const { scheduler, model } = setUp({ answerTo: () => 'ok' });
  const before = scheduler.run(request('before').job);
  let during = false;
  const task = scheduler.exclusively(1000, async () => {
    during = true;
    assert.equal(scheduler.busy, 0);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(scheduler.busy, 0);
    during = false;
    return 7;
  });
  const after = scheduler.run(
    request('after', { sink: { take: () => (during ? 'stop' : 'more'), ready: () => true } }).job,
  );
  assert.equal(await task, 7);
  await before;
  assert.equal((await after).completionTokens, 3);
  await scheduler.close(closing);
  assert.deepEqual(model.broken, []);
});

test('an exclusive task gives up when requests do not end, and serving goes on', async () => {
  const { scheduler, clock } = setUp({ slots: 1 });
  const endless = request('endless', { tokensMax: 100 });
  const run = scheduler.run(endless.job);
  const task = scheduler.exclusively(1000, async () => 1);
  clock.advance(1000);
  await assert.rejects(task, Busy);
  endless.abort.abort();
  await assert.rejects(run, codeOf('client_gone'));
  await scheduler.close(closing);
});

test('closing ends what runs and what waits with the given reason, and takes nothing more', async () => {
  const { scheduler, model } = setUp({ slots: 1 });
  const runs = ['a', 'b'].map((name) => scheduler.run(request(name, { tokensMax: 150 }).job));
  const ends = Promise.all(runs.map((run) => assert.rejects(run, closing)));
  await scheduler.close(closing);
  await ends;
  await assert.rejects(scheduler.run(request('late').job), closing);
  await model.dispose();
  assert.deepEqual(model.broken, []);
});

test('whenIdle tells of idleness, or that it took too long', async () => {
  const { scheduler, clock } = setUp({ slots: 1, answerTo: () => 'ok' });
  assert.equal(await scheduler.whenIdle(0), true);
  const run = scheduler.run(request('a').job);
  const idle = scheduler.whenIdle(1000);
  assert.equal(await idle, true);
  await run;
  const slow = request('b', { sink: { take: () => 'more', ready: () => false } });
  const slowRun = scheduler.run(slow.job);
  const late = scheduler.whenIdle(1000);
  clock.advance(1000);
  assert.equal(await late, false);
  slow.abort.abort();
  await assert.rejects(slowRun, codeOf('client_gone'));
  assert.equal(clock.pendingTimers(), 0);
  await scheduler.close(closing);
});

/** Jobs of one request that share a signal. */
function requestOf(prompts: readonly string[], given: Partial<Job> = {}) {
  const requests = prompts.map((prompt) => request(prompt, given));
  const abort = new AbortController();
  const jobs = requests.map(({ job }) => ({ ...job, signal: abort.signal }));
  return { jobs, abort, texts: () => requests.map(({ text }) => text()) };
}

test('several answers of one request run side by side, and each is told as it ends', async () => {
  const { scheduler, model } = setUp({ slots: 4, answerTo: (prompt) => prompt.repeat(prompt.length) });
  const { jobs, texts } = requestOf(['ab', 'c', 'abc']);
  const order: number[] = [];
  const ends = await scheduler.runAll(jobs, (index) => order.push(index));
  assert.deepEqual(texts(), ['abab', 'c', 'abcabcabc']);
  assert.deepEqual(order, [1, 0, 2]);
  assert.deepEqual(
    ends.map(({ promptTokens }) => promptTokens),
    [2, 1, 3],
  );
  await scheduler.close(closing);
  assert.deepEqual(model.broken, []);
});

test('a request counts once against the queue, however many answers it asks for', async () => {
  const { scheduler } = setUp({ slots: 1, queueMax: 1, answerTo: () => 'ok' });
  const many = scheduler.runAll(requestOf(['a', 'b', 'c', 'd']).jobs, () => {});
  const one = scheduler.run(request('e').job);
  await assert.rejects(scheduler.run(request('f').job), codeOf('queue_full'));
  assert.equal((await many).length, 4);
  await one;
  await scheduler.close(closing);
});

test('a request with many answers lets others have a slot first', async () => {
  const { scheduler } = setUp({ slots: 2, queueMax: 8, answerTo: () => 'ok' });
  const order: string[] = [];
  const many = scheduler.runAll(requestOf(['a', 'b', 'c', 'd', 'e', 'f']).jobs, (index) => order.push(`many ${index}`));
  const one = scheduler.run(request('one').job).then(() => order.push('one'));
  await Promise.all([many, one]);
  assert.ok(order.indexOf('one') <= 3, order.join());
  await scheduler.close(closing);
});

test('an abort ends all answers of a request, waiting ones too', async () => {
  const { scheduler } = setUp({ slots: 2 });
  const { jobs, abort } = requestOf(['a', 'b', 'c'], { tokensMax: 150 });
  const run = scheduler.runAll(jobs, () => {});
  await until(() => scheduler.busy === 2, 'two run');
  abort.abort();
  await assert.rejects(run, codeOf('client_gone'));
  await until(() => scheduler.busy + scheduler.queued === 0, 'nothing is left');
  await scheduler.close(closing);
});

test('scores come with the tokens of those that asked, beside others that did not', async () => {
  const { scheduler } = setUp({ slots: 2, answerTo: () => 'ok' });
  const scored: unknown[] = [];
  const plain: unknown[] = [];
  const sinkOf = (seen: unknown[]) => ({
    take(_token: number, scores?: TokenScores) {
      seen.push(scores);
      return 'more' as const;
    },
    ready: () => true,
  });
  await Promise.all([
    scheduler.run(request('a', { alternatives: 2, sink: sinkOf(scored) }).job),
    scheduler.run(request('b', { sink: sinkOf(plain) }).job),
  ]);
  assert.deepEqual(scored[0], {
    token: 'o'.charCodeAt(0),
    logprob: -0.25,
    alternatives: [
      { token: 'o'.charCodeAt(0), logprob: -0.25 },
      { token: 'o'.charCodeAt(0) + 1, logprob: -1.25 },
    ],
  });
  assert.equal(scored.length, 2);
  assert.deepEqual(plain, [undefined, undefined]);
  await scheduler.close(closing);
});

const plan = fc.array(
  fc.record({
    prompt: fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 60 }),
    tokensMax: fc.integer({ min: 1, max: 20 }),
    abortAfter: fc.option(fc.nat(10), { nil: undefined }),
    fails: fc.boolean(),
  }),
  { maxLength: 12 },
);

test('property: whatever runs, fails and hangs up, no slot is lost and no rule of the model is broken', async () => {
  await fc.assert(
    fc.asyncProperty(
      plan,
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 2, max: 40 }),
      async (rows, slots, chunk) => {
        const { scheduler, model } = setUp({ slots, chunk, queueMax: 100, answerTo: (prompt) => prompt.slice(-8) });
        const ends = rows.map(async (row) => {
          let taken = 0;
          const one = request(row.prompt, {
            tokensMax: row.tokensMax,
            sink: {
              take() {
                taken += 1;
                if (taken === row.abortAfter) one.abort.abort();
                if (row.fails && taken === 2) throw new Error('sink');
                return 'more';
              },
              ready: () => true,
            },
          });
          const end = await scheduler.run(one.job).catch((error: unknown) => error);
          if (!(end instanceof Refusal)) {
            assert.ok(typeof end === 'object' && end !== null && 'completionTokens' in end);
            assert.ok(Number(end.completionTokens) <= row.tokensMax);
          }
        });
        await Promise.all(ends);
        assert.equal(await scheduler.whenIdle(1000), true);
        assert.equal(scheduler.busy + scheduler.queued, 0);
        await scheduler.close(closing);
        assert.deepEqual(model.broken, []);
      },
    ),
    { numRuns: 60 },
  );
});

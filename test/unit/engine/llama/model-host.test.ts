import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LoadedModel } from '../../../../src/engine/llama/loaded-model.ts';
import { createServerMetrics } from '../../../../src/engine/llama/metrics.ts';
import { ModelHost } from '../../../../src/engine/llama/model-host.ts';
import { Busy, Refusal } from '../../../../src/engine/llama/refusal.ts';
import { greedySampling } from '../../../../src/engine/llama/sampling.ts';
import { createManualClock } from '../../../../src/lib/clock.ts';
import { silentLog } from '../../../../src/lib/log.ts';
import { until } from '../../../support/until.ts';
import { createFakeModel } from './fake-model.ts';

function setUp(load?: () => Promise<LoadedModel>) {
  const clock = createManualClock();
  const states: string[] = [];
  let loads = 0;
  const models: ReturnType<typeof createFakeModel>[] = [];
  const host = new ModelHost({
    load: async () => {
      loads += 1;
      if (load !== undefined) return await load();
      const model = createFakeModel({ slots: 1, contextLength: 100 });
      models.push(model);
      return model;
    },
    clock,
    log: silentLog,
    metrics: createServerMetrics(),
    queueMax: 2,
    prefillChunk: 16,
    startedMs: 12.4,
    onChange: (changed) => states.push(changed.state),
  });
  return { host, clock, states, models, loads: () => loads };
}

function endlessRun(host: ModelHost) {
  const abort = new AbortController();
  const sink = { take: () => 'more' as const, ready: () => false };
  const { scheduler } = host.serving();
  const run = scheduler.run({ prompt: [65], tokensMax: 50, sampling: greedySampling, sink, signal: abort.signal });
  return { abort, run, scheduler };
}

test('load, sleep, wake: the states in order, each order carried out once', async () => {
  const { host, states, models, loads } = setUp();
  await host.start();
  assert.equal(host.phases?.startedMs, 12);
  await Promise.all([host.sleep(), host.sleep()]);
  await host.sleep();
  assert.equal(models[0]?.disposed, true);
  assert.equal(host.loaded, undefined);
  await Promise.all([host.wake(), host.wake()]);
  await host.wake();
  assert.equal(loads(), 2);
  assert.deepEqual(states, ['loading', 'ready', 'sleeping', 'asleep', 'waking', 'ready']);
  await host.shutdown(new Refusal('draining', 'over'));
  assert.deepEqual(
    models.map((model) => [model.disposed, model.broken]),
    [
      [true, []],
      [true, []],
    ],
  );
});

test('a request while asleep is told model_warming', async () => {
  const { host } = setUp();
  await host.start();
  await host.sleep();
  assert.throws(
    () => host.serving(),
    (error) => error instanceof Refusal && error.code === 'model_warming',
  );
});

test('a busy model stays awake after the bounded wait', async () => {
  const { host, clock } = setUp();
  await host.start();
  const { abort, run, scheduler } = endlessRun(host);
  await until(() => scheduler.busy === 1, 'it runs');
  const sleep = host.sleep();
  assert.throws(() => host.serving(), Refusal);
  clock.advance(5000);
  await assert.rejects(sleep, Busy);
  assert.equal(host.state, 'ready');
  abort.abort();
  await assert.rejects(run, Refusal);
  await host.shutdown(new Refusal('draining', 'over'));
});

test('a wake while it goes to sleep waits for the sleep and then loads', async () => {
  const { host, loads } = setUp();
  await host.start();
  const sleep = host.sleep();
  await host.wake();
  await sleep;
  assert.equal(host.state, 'ready');
  assert.equal(loads(), 2);
  await host.shutdown(new Refusal('draining', 'over'));
});

test('a load that fails is a state with its reason, and a wake tries again', async () => {
  let fails = true;
  const { host, states } = setUp(async () => {
    if (fails) throw new Refusal('model_failed', 'The model file is empty.');
    return createFakeModel({ slots: 1, contextLength: 100 });
  });
  await host.start();
  assert.equal(host.state, 'failed');
  assert.equal(host.reason, 'The model file is empty.');
  await assert.rejects(host.sleep(), (error) => error instanceof Refusal && error.code === 'model_failed');
  await assert.rejects(host.wake(), /empty/);
  fails = false;
  await host.wake();
  assert.equal(host.reason, undefined);
  assert.deepEqual(states, ['loading', 'failed', 'waking', 'failed', 'waking', 'ready']);
  await host.shutdown(new Refusal('draining', 'over'));
});

test('a model whose first token fails is disposed of', async () => {
  const broken = createFakeModel({ slots: 1, contextLength: 100 });
  broken.failNext = new Error('NaN');
  const { host } = setUp(async () => broken);
  await host.start();
  assert.equal(host.state, 'failed');
  assert.match(host.reason ?? '', /NaN/);
  assert.equal(broken.disposed, true);
});

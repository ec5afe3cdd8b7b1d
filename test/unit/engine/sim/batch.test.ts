// Continuous batching in simulated time: steps, places, the bound on tokens, aborts, readers that are behind. The clock is moved by hand.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { createServerMetrics } from '../../../../src/engine/llama/metrics.ts';
import { Refusal } from '../../../../src/engine/llama/refusal.ts';
import { Batch, type BatchJob, type BatchOptions } from '../../../../src/engine/sim/batch.ts';
import { createManualClock } from '../../../../src/lib/clock.ts';

/** 10 ms a step, 1 ms a sequence, 0.01 ms a prompt token. */
const stepMs: BatchOptions['stepMs'] = ({ sequences, promptTokens }) => 10 + sequences + promptTokens / 100;

function createWorld(given: Partial<BatchOptions> = {}) {
  const clock = createManualClock();
  const metrics = createServerMetrics();
  const batch = new Batch({ places: 2, queueMax: 2, kvTokens: 10_000, stepMs, clock, metrics, ...given });
  return { clock, metrics, batch };
}

type World = ReturnType<typeof createWorld>;

interface Asked {
  readonly job: BatchJob;
  readonly abort: AbortController;
  readonly at: number[];
  isBehind: boolean;
  end?: string;
}

function ask(world: World, given: { prompt?: number; tokens?: number; every?: number } = {}): Asked {
  const abort = new AbortController();
  const answer = { tokens: Array.from({ length: given.tokens ?? 3 }, (_, at) => at), finish: 'stop' } as const;
  const asked: Asked = {
    abort,
    at: [],
    isBehind: false,
    job: {
      promptTokens: given.prompt ?? 100,
      answer,
      signal: abort.signal,
      everySteps: given.every ?? 1,
      sink: {
        take: () => {
          asked.at.push(world.clock.nowMs());
          return 'more';
        },
        ready: () => !asked.isBehind,
      },
    },
  };
  void world.batch.run(asked.job).then(
    (end) => {
      asked.end = `${end.finish} ${end.promptTokens} ${end.completionTokens}`;
    },
    (error: unknown) => {
      asked.end = error instanceof Refusal ? error.code : String(error);
    },
  );
  return asked;
}

type Event =
  | { readonly type: 'ask'; readonly prompt: number; readonly tokens: number }
  | { readonly type: 'hangUp'; readonly index: number }
  | { readonly type: 'wait'; readonly ms: number };

describe('a batch', () => {
  test('reads the prompt in one step, then gives one token a step', async () => {
    const world = createWorld();
    const one = ask(world);
    world.clock.advance(1000);
    await setImmediate();
    assert.deepEqual(one.at, [12, 23, 34]);
    assert.equal(one.end, 'stop 100 3');
    assert.equal(world.clock.pendingTimers(), 0);
    assert.equal(world.metrics.generatedTokens.value, 3);
  });

  test('a long prompt is read in chunks of 2048', () => {
    const world = createWorld();
    const one = ask(world, { prompt: 4096, tokens: 1 });
    world.clock.advance(31.47);
    assert.deepEqual(one.at, []);
    world.clock.advance(31.5);
    assert.equal(one.at.length, 1);
  });

  test('two share a step, and each step takes longer', () => {
    const world = createWorld();
    const one = ask(world);
    world.clock.advance(12);
    const two = ask(world);
    world.clock.advance(1000);
    // One's second token was under way when two came; from then on both are in every step.
    assert.deepEqual(one.at, [12, 23, 36]);
    assert.deepEqual(two.at, [36, 47, 58]);
  });

  test('a third waits for a place, a fifth is refused', async () => {
    const world = createWorld();
    const asked = Array.from({ length: 5 }, () => ask(world));
    await setImmediate();
    assert.equal(asked[4]?.end, 'queue_full');
    world.clock.advance(12);
    assert.deepEqual([world.batch.busy, world.batch.queued], [2, 2]);
    world.clock.advance(1000);
    await setImmediate();
    assert.deepEqual(
      asked.map(({ end }) => end),
      [...Array(4).fill('stop 100 3'), 'queue_full'],
    );
    assert.ok((asked[2]?.at[0] ?? 0) > (asked[0]?.at[2] ?? 0));
  });

  test('the tokens of all that run stay within the memory for them', () => {
    const world = createWorld({ kvTokens: 150, places: 8 });
    const one = ask(world);
    const two = ask(world);
    world.clock.advance(1);
    assert.equal(world.batch.heldTokens, 103);
    assert.deepEqual([world.batch.busy, world.batch.queued], [1, 1]);
    world.clock.advance(1000);
    assert.ok((two.at[0] ?? 0) > (one.at[2] ?? 0));
  });

  test('who hangs up frees the place at the next step, and the queue moves up', async () => {
    const world = createWorld({ places: 1 });
    const one = ask(world, { tokens: 100 });
    const two = ask(world);
    world.clock.advance(30);
    one.abort.abort();
    world.clock.advance(12);
    await setImmediate();
    assert.equal(one.end, 'client_gone');
    assert.equal(world.batch.busy, 1);
    world.clock.advance(1000);
    await setImmediate();
    assert.equal(two.end, 'stop 100 3');
  });

  test('a reader that is behind sits out, and the clock rests when all are', async () => {
    const world = createWorld();
    const one = ask(world, { tokens: 5 });
    world.clock.advance(12);
    one.isBehind = true;
    world.clock.advance(1000);
    assert.ok(one.at.length <= 2);
    assert.equal(world.clock.pendingTimers(), 0);
    one.isBehind = false;
    world.batch.resume();
    world.clock.advance(1000);
    await setImmediate();
    assert.equal(one.end, 'stop 100 5');
  });

  test('a slow one gets every tenth token', () => {
    const world = createWorld();
    const one = ask(world, { every: 10, tokens: 3 });
    world.clock.advance(10_000);
    assert.ok((one.at[1] ?? 0) - (one.at[0] ?? 0) >= 110);
    assert.equal(one.at.length, 3);
  });

  test('steps shorter than a timer are caught up, as many as the time holds', () => {
    const world = createWorld({ stepMs: () => 0.1 });
    const one = ask(world, { tokens: 100 });
    let turns = 0;
    // A timer that fires a millisecond late each time, as timers do.
    while (one.at.length < 100 && turns < 1000) {
      world.clock.advance(1);
      turns += 1;
    }
    assert.ok(turns <= 12, `${turns} turns`);
  });

  test('idleness is told, in time or not at all', async () => {
    const world = createWorld();
    ask(world, { tokens: 10 });
    const early = world.batch.whenIdle(50);
    const late = world.batch.whenIdle(10_000);
    world.clock.advance(60);
    assert.equal(await early, false);
    world.clock.advance(1000);
    assert.equal(await late, true);
    assert.equal(await world.batch.whenIdle(0), true);
    assert.equal(world.clock.pendingTimers(), 0);
  });

  test('closing ends everything with the reason and takes nothing more', async () => {
    const world = createWorld();
    const asked = [ask(world), ask(world), ask(world)];
    world.clock.advance(20);
    world.batch.close(new Refusal('draining', 'bye'));
    const after = ask(world);
    await setImmediate();
    assert.deepEqual(
      [...asked, after].map(({ end }) => end),
      Array(4).fill('draining'),
    );
    assert.equal(world.clock.pendingTimers(), 0);
  });

  test('whatever comes and goes, places and memory hold and everybody gets an end', async () => {
    const event = fc.oneof(
      fc.record({
        type: fc.constant('ask' as const),
        prompt: fc.integer({ min: 1, max: 400 }),
        tokens: fc.integer({ min: 1, max: 9 }),
      }),
      fc.record({ type: fc.constant('hangUp' as const), index: fc.nat(9) }),
      fc.record({ type: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 60 }) }),
    );
    const happen = (world: World, asked: Asked[], each: Event) => {
      if (each.type === 'ask') asked.push(ask(world, each));
      else if (each.type === 'hangUp') asked[each.index]?.abort.abort();
      else world.clock.advance(each.ms);
      assert.ok(world.batch.busy <= 3 && world.batch.heldTokens <= 700);
      assert.ok(world.batch.busy + world.batch.queued <= 6);
    };
    await fc.assert(
      fc.asyncProperty(fc.array(event, { maxLength: 40 }), async (events) => {
        const world = createWorld({ kvTokens: 700, places: 3, queueMax: 3 });
        const asked: Asked[] = [];
        for (const each of events) happen(world, asked, each);
        world.clock.advance(100_000);
        await setImmediate();
        for (const { end, job } of asked)
          assert.match(end ?? 'none', job.signal.aborted ? /^(client|stop|queue)/ : /^(stop|queue)/);
        assert.deepEqual([world.batch.busy, world.batch.queued, world.clock.pendingTimers()], [0, 0, 0]);
      }),
      { numRuns: 60 },
    );
  });
});

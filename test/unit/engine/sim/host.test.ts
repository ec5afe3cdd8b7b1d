// The life of the simulated model in simulated time: every state, what is refused in which, and each fault of starts, wakes and sleeps.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { simulatedMemory } from '../../../../src/api/simulated-weights.ts';
import type { Fault } from '../../../../src/api/simulation.ts';
import { createServerMetrics } from '../../../../src/engine/llama/metrics.ts';
import { Busy, Refusal } from '../../../../src/engine/llama/refusal.ts';
import { createAccelerator } from '../../../../src/engine/sim/accelerator.ts';
import { createFaults } from '../../../../src/engine/sim/faults.ts';
import { SimHost } from '../../../../src/engine/sim/host.ts';
import { createTimes } from '../../../../src/engine/sim/times.ts';
import { createManualClock } from '../../../../src/lib/clock.ts';
import { silentLog } from '../../../../src/lib/log.ts';

const size = { profile: 'Size7B', contextLength: 1024, concurrency: 2 } as const;
const TURNS_MAX = 1000;
const { awakeBytes } = simulatedMemory(size);

function createWorld(faults: Fault[] = [], incarnation = 1) {
  const clock = createManualClock();
  const accelerator = createAccelerator(size);
  const chance = { seed: 1, incarnation };
  const states: string[] = [];
  const host = new SimHost({
    times: createTimes({ profile: 'Size7B', speedPercent: 100, ...chance }),
    faults: createFaults({ faults, ...chance }),
    accelerator,
    incarnation,
    places: 2,
    queueMax: 2,
    clock,
    log: silentLog,
    metrics: createServerMetrics(),
    onChange: (changed) => states.push(changed.state),
  });
  /** Fires timers until the promise settles; gives the error of one that rejects. */
  const passed = async <T>(promise: Promise<T>): Promise<T | Error> => {
    let isDone = false;
    const settled = promise
      .catch((error: unknown) => (error instanceof Error ? error : new Error(String(error))))
      .finally(() => {
        isDone = true;
      });
    for (let turn = 0; turn < TURNS_MAX && !isDone; turn += 1) {
      await setImmediate();
      if (!isDone) clock.fireNext();
    }
    assert.ok(isDone, 'it ends');
    return settled;
  };
  const start = () => passed(host.start(awakeBytes).then(() => 'done'));
  return { clock, accelerator, host, states, passed, start };
}

function codeOf(call: () => unknown): string {
  try {
    call();
    return 'served';
  } catch (error) {
    return error instanceof Refusal ? error.code : String(error);
  }
}

describe('the life of a simulated model', () => {
  test('loads for its time, serves, sleeps, wakes', async () => {
    const { host, states, passed, start, clock, accelerator } = createWorld();
    assert.equal(
      codeOf(() => host.serving()),
      'model_warming',
    );
    await start();
    assert.ok(clock.nowMs() > 25_000 && clock.nowMs() < 80_000, String(clock.nowMs()));
    assert.equal(
      codeOf(() => host.serving()),
      'served',
    );
    assert.equal(accelerator.bytes, awakeBytes);
    await passed(host.sleep(1));
    assert.equal(
      codeOf(() => host.serving()),
      'model_warming',
    );
    assert.ok(accelerator.bytes < awakeBytes / 10);
    const woken = await passed(host.wake(awakeBytes * 2));
    assert.ok('tookMs' in woken && woken.tookMs > 500 && woken.tookMs < 1600, JSON.stringify(woken));
    assert.deepEqual(states, ['loading', 'ready', 'sleeping', 'asleep', 'waking', 'ready']);
    assert.equal(clock.pendingTimers(), 0);
  });

  test('level 2 wakes slower than level 1', async () => {
    const { host, passed, start } = createWorld();
    await start();
    const took = async (level: 1 | 2) => {
      await passed(host.sleep(level));
      const woken = await passed(host.wake(awakeBytes * 2));
      return 'tookMs' in woken ? woken.tookMs : 0;
    };
    assert.ok((await took(2)) > (await took(1)));
  });

  test('a repeated order joins the one under way', async () => {
    const { host, states, passed, start } = createWorld();
    await start();
    await passed(Promise.all([host.sleep(1), host.sleep(1)]));
    await passed(host.sleep(1));
    await passed(Promise.all([host.wake(awakeBytes * 2), host.wake(awakeBytes * 2)]));
    assert.deepEqual(states, ['loading', 'ready', 'sleeping', 'asleep', 'waking', 'ready']);
  });

  test('does not sleep while it loads or while a request stays', async () => {
    const { host, passed, start } = createWorld();
    const starting = start();
    assert.ok((await host.sleep(1).catch((error: unknown) => error)) instanceof Busy);
    await starting;
    const abort = new AbortController();
    const running = host.serving().run({
      promptTokens: 1,
      answer: { tokens: [1, 2], finish: 'stop' },
      sink: { take: () => 'more', ready: () => false },
      signal: abort.signal,
      everySteps: 1,
    });
    assert.ok((await passed(host.sleep(1))) instanceof Busy);
    assert.equal(host.state, 'ready');
    abort.abort();
    await assert.rejects(running, /hung up/);
    await passed(host.sleep(1));
    assert.equal(host.state, 'asleep');
  });

  test('too little memory fails the start, and a wake after a leak', async () => {
    const small = createWorld();
    await small.passed(small.host.start(awakeBytes - 1));
    assert.equal(small.host.state, 'failed');
    assert.match(small.host.reason ?? '', /^Out of accelerator memory/);
    assert.equal(small.accelerator.bytes, 0);
    const leaking = createWorld([{ kind: 'Leak', at: [1] }]);
    await leaking.start();
    await leaking.passed(leaking.host.sleep(1));
    assert.match(String(await leaking.passed(leaking.host.wake(awakeBytes + 3e9))), /Out of accelerator memory/);
  });

  test('what failed stays failed', async () => {
    const { host, passed, start } = createWorld([{ kind: 'FailedStart', at: [1] }]);
    await start();
    assert.equal(host.state, 'failed');
    assert.equal(
      codeOf(() => host.serving()),
      'model_failed',
    );
    assert.match(String(await passed(host.wake(awakeBytes))), /FailedStart/);
    assert.match(String(await passed(host.sleep(1))), /FailedStart/);
  });

  test('a start is counted by the incarnation', async () => {
    const second = createWorld([{ kind: 'FailedStart', at: [1] }], 2);
    await second.start();
    assert.equal(second.host.state, 'ready');
  });

  const wakes: [Fault['kind'], RegExp | undefined, string, boolean][] = [
    ['FailedWake', /FailedWake/, 'model_failed', false],
    ['OutOfMemory', /Out of accelerator memory/, 'model_failed', false],
    ['PartialWake', undefined, 'internal_error', false],
    ['CorruptWake', undefined, 'served', true],
  ];
  for (const [kind, sentence, code, isDamaged] of wakes) {
    test(`${kind} strikes at its wake`, async () => {
      const { host, passed, start } = createWorld([{ kind, at: [2] }]);
      await start();
      const cycle = async () => {
        await passed(host.sleep(1));
        return passed(host.wake(awakeBytes * 2));
      };
      await cycle();
      assert.equal(
        codeOf(() => host.serving()),
        'served',
      );
      assert.equal(host.damage, undefined);
      const second = await cycle();
      if (sentence !== undefined) assert.match(String(second), sentence);
      assert.equal(
        codeOf(() => host.serving()),
        code,
      );
      assert.equal(host.damage !== undefined, isDamaged);
    });
  }

  test('FailedSleep leaves it awake', async () => {
    const { host, passed, start } = createWorld([{ kind: 'FailedSleep', at: [1] }]);
    await start();
    assert.match(String(await passed(host.sleep(1))), /FailedSleep/);
    assert.equal(
      codeOf(() => host.serving()),
      'served',
    );
    await passed(host.sleep(1));
    assert.equal(host.state, 'asleep');
  });

  test('shutdown ends a load that is under way', async () => {
    const { host, clock } = createWorld();
    const starting = host.start(awakeBytes);
    host.shutdown(new Refusal('draining', 'bye'));
    await starting;
    assert.equal(clock.pendingTimers(), 0);
  });
});

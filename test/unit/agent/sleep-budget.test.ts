// Engines that keep memory after each sleep: one that leaks is ended at its second sleep and starts anew, a healthy one sleeps
// two hundred times, and one that does not say what it holds is renewed by count.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { agentLimits } from '../../../src/agent/limits.ts';
import { judgeSleep, noSleeps } from '../../../src/agent/sleep-budget.ts';
import { Slot } from '../../../src/agent/slot.ts';
import type { TargetInstance } from '../../../src/api/link.ts';
import { createManualClock } from '../../../src/lib/clock.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { createRng } from '../../../src/lib/rng.ts';
import type { EngineExit, EngineProcess } from '../../../src/ports/engine.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { adaptersLike, goodSample } from '../../support/fake-engine.ts';
import { wanted } from '../../support/fake-hub.ts';

const MIB = 1024 ** 2;
const budget = { sleepsMax: 200, sleepGrowthBytesMax: 512 * MIB };

/** Sleeps until it is told to end, and says after how many. */
function sleepsUntilEnded(heldAt: (sleep: number) => number | undefined): { count: number; type: string } {
  let record = noSleeps;
  for (let sleep = 1; sleep <= 1000; sleep += 1) {
    const judged = judgeSleep(record, heldAt(sleep), budget);
    record = judged.record;
    if (judged.verdict.type !== 'keep') return { count: sleep, type: judged.verdict.type };
  }
  return { count: Number.POSITIVE_INFINITY, type: 'keep' };
}

describe('the budget of sleeps', () => {
  test('catches a leak of 3.4 GiB at the second sleep, and a slow one when it has added up', () => {
    assert.deepEqual(
      sleepsUntilEnded((sleep) => 1e9 + sleep * 3.4 * 1024 * MIB),
      { count: 2, type: 'leak' },
    );
    assert.deepEqual(
      sleepsUntilEnded((sleep) => 1e9 + sleep * 100 * MIB),
      { count: 7, type: 'leak' },
    );
  });

  test('allows exactly as much as it says', () => {
    const { record } = judgeSleep(noSleeps, 100 * MIB, budget);
    assert.equal(judgeSleep(record, 612 * MIB, budget).verdict.type, 'keep');
    assert.equal(judgeSleep(record, 612 * MIB + 1, budget).verdict.type, 'leak');
  });

  test('renews a healthy engine after 200 sleeps, and one that does not say what it holds', () => {
    assert.deepEqual(
      sleepsUntilEnded((sleep) => 1e9 + sleep * 2e6),
      { count: 200, type: 'renew' },
    );
    assert.deepEqual(
      sleepsUntilEnded(() => undefined),
      { count: 200, type: 'renew' },
    );
  });

  test('measures from the first figure that there was', () => {
    assert.deepEqual(
      sleepsUntilEnded((sleep) => (sleep < 3 ? undefined : 1e9 + sleep * 1024 * MIB)),
      { count: 4, type: 'leak' },
    );
  });
});

/** An engine that does at once what it is told, and holds more after each sleep. */
function createLeaky(leakBytes: number) {
  const alive = new Set<EngineProcess>();
  const adapter = {
    engine: 'Llama' as const,
    survivesSleep: () => true,
    async start(): Promise<EngineProcess> {
      let leave: (exit: EngineExit) => void = () => {};
      let sleeps = 0;
      const exited = new Promise<EngineExit>((resolve) => {
        leave = resolve;
      });
      const process: EngineProcess = {
        pid: 1,
        baseUrl: 'http://127.0.0.1:1',
        headers: {},
        exited,
        whenLoaded: async () => {},
        probe: async () => goodSample,
        async sleep() {
          sleeps += 1;
        },
        wake: async () => {},
        check: async () => {},
        identity: async () => ({ build: 'builtin:0123456789ab' }),
        memory: async () => ({ residentBytes: 1, acceleratorBytes: 1e9 + sleeps * leakBytes }),
        load: async () => ({ running: 0, waiting: 0 }),
        stop() {
          alive.delete(process);
          leave({ code: 0, signal: null, lastWords: '' });
          return exited;
        },
      };
      alive.add(process);
      return process;
    },
  };
  return { adapter, alive };
}

test('a slot ends an engine that leaks, says why, and starts it anew when it is wanted', async () => {
  const { adapter, alive } = createLeaky(3.4 * 1024 * MIB);
  const clock = createManualClock();
  const counts = new Map<string, number>();
  const slot = new Slot({
    podUid: 'pod',
    adapters: adaptersLike(adapter),
    incarnations: {
      latest: (revision) => counts.get(revision) ?? 0,
      take: (revision) => counts.set(revision, (counts.get(revision) ?? 0) + 1).get(revision) ?? 0,
      keep: async () => {},
    },
    clock,
    rng: createRng(1),
    log: silentLog,
    metrics: createMetrics(),
    limits: agentLimits,
    onChange: () => {},
  });
  const be = async (rung: TargetInstance['rung']) => {
    slot.obey({ type: 'target', epoch: 1, seq: 1, instances: [wanted('a', rung)], keys: [] });
    for (let turn = 0; turn < 20; turn += 1) await setImmediate();
    return slot.report()[0];
  };
  assert.equal((await be('Awake'))?.rung, 'Awake');
  assert.equal((await be('Asleep'))?.rung, 'Asleep');
  assert.equal((await be('Awake'))?.rung, 'Awake');
  const leaked = await be('Asleep');
  assert.equal(leaked?.rung, 'Failed');
  assert.equal(leaked?.failure?.reason, 'EngineLeaked');
  assert.match(
    leaked?.failure?.message ?? '',
    /^After 2 sleeps it held 3482 MiB more of each accelerator .* and 512 are allowed/,
  );
  assert.equal(alive.size, 0);
  clock.advance(agentLimits.retryMsBase);
  assert.equal((await be('Awake'))?.rung, 'Awake');
  assert.equal(counts.get('a'), 2);
  assert.equal((await be('Asleep'))?.rung, 'Asleep');
});

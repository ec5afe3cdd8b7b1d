// The slot under random orders of events: targets, outcomes, crashes, requests, time. Whatever happens, at most one instance is
// resident, nothing is admitted before its probe, no neighbour moves during a start, and in the end the target is true.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { agentLimits } from '../../../src/agent/limits.ts';
import { Slot } from '../../../src/agent/slot.ts';
import { agentReportSchema, type Rung, residentRungs, type Target } from '../../../src/api/link.ts';
import type { ProbeSample } from '../../../src/api/model-revision.ts';
import { createManualClock } from '../../../src/lib/clock.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { createRng } from '../../../src/lib/rng.ts';
import type { EngineExit, EngineProcess } from '../../../src/ports/engine.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { adaptersLike, goodSample } from '../../support/fake-engine.ts';
import { wanted } from '../../support/fake-hub.ts';

const wrongSample: ProbeSample = { ...goodSample, tokenIds: [9, 2, 3, 4, 5, 6, 7, 8] };

/** Engines whose every call waits until the test says how it ends. */
function createPuppets() {
  const calls: { settle: (end: 'works' | 'fails' | 'wrong') => void }[] = [];
  const alive = new Set<EngineProcess>();
  const crashes = new Map<EngineProcess, () => void>();
  const call = <T>(value: T, wrong: T, signal?: AbortSignal) =>
    new Promise<T>((resolve, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
      calls.push({
        settle(end) {
          if (end === 'fails') reject(new Error('it failed'));
          else resolve(end === 'works' ? value : wrong);
        },
      });
    });
  const adapter = {
    engine: 'Llama' as const,
    survivesSleep: () => true,
    async start(_instance: string, _launch: unknown, signal: AbortSignal): Promise<EngineProcess> {
      await call(undefined, undefined, signal);
      let leave: (exit: EngineExit) => void = () => {};
      const exited = new Promise<EngineExit>((resolve) => {
        leave = resolve;
      });
      const end = (code: number) => {
        alive.delete(process);
        leave({ code, signal: null, lastWords: '' });
        return exited;
      };
      const process: EngineProcess = {
        pid: 1,
        baseUrl: 'http://127.0.0.1:1',
        headers: {},
        exited,
        whenLoaded: (given) => call(undefined, undefined, given),
        probe: (given) => call(goodSample, wrongSample, given),
        sleep: (_level, given) => call(undefined, undefined, given),
        wake: (given) => call(undefined, undefined, given),
        check: async () => {},
        identity: async () => ({ build: 'builtin:0123456789ab' }),
        memory: async () => ({ residentBytes: 1 }),
        load: async () => ({ running: 0, waiting: 0 }),
        stop: () => end(0),
      };
      alive.add(process);
      crashes.set(process, () => void end(1));
      return process;
    },
  };
  return {
    adapter,
    alive,
    settle: (end: 'works' | 'fails' | 'wrong') => calls.shift()?.settle(end),
    crash: (index: number) => crashes.get([...alive][index % Math.max(1, alive.size)] as EngineProcess)?.(),
  };
}

function createWorld() {
  const clock = createManualClock();
  const puppets = createPuppets();
  const counts = new Map<string, number>();
  const slot = new Slot({
    podUid: 'pod',
    adapters: adaptersLike(puppets.adapter),
    incarnations: {
      latest: (revision) => counts.get(revision) ?? 0,
      take(revision) {
        counts.set(revision, (counts.get(revision) ?? 0) + 1);
        return counts.get(revision) ?? 0;
      },
      keep: async () => {},
    },
    clock,
    rng: createRng(1),
    log: silentLog,
    metrics: createMetrics(),
    limits: agentLimits,
    onChange: () => {},
  });
  return { clock, puppets, slot };
}

type World = ReturnType<typeof createWorld>;

/** Turns the loop until every reaction to an event has run. */
async function settleReactions(): Promise<void> {
  for (let turn = 0; turn < 4; turn += 1) await setImmediate();
}

const revisions = ['a', 'b', 'c'] as const;
const rung = fc.constantFrom('Awake', 'Asleep', 'Staged', 'Unnamed');
const targetEvent = fc
  .tuple(rung, rung, rung)
  .filter((rungs) => rungs.filter((each) => each === 'Awake').length <= 1)
  .map((rungs) => ({ type: 'target' as const, rungs }));
const event = fc.oneof(
  { weight: 2, arbitrary: targetEvent },
  { weight: 5, arbitrary: fc.constant({ type: 'works' as const }) },
  { weight: 1, arbitrary: fc.constantFrom({ type: 'fails' as const }, { type: 'wrong' as const }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('crash' as const), index: fc.nat(2) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('request' as const), index: fc.nat(2) }) },
  { weight: 2, arbitrary: fc.constant({ type: 'release' as const }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('time' as const), ms: fc.nat(5000) }) },
);
type Event = typeof event extends fc.Arbitrary<infer T> ? T : never;

function targetOf(rungs: readonly string[]): Target['instances'] {
  return rungs.flatMap((each, index) => {
    const revision = revisions[index] ?? '';
    return each === 'Awake' || each === 'Asleep' || each === 'Staged' ? [wanted(revision, each)] : [];
  });
}

function checkInvariants(world: World, before: ReadonlyMap<string, Rung>, happened: Event): void {
  const reports = world.slot.report();
  const resident = reports.filter((report) => residentRungs.has(report.rung));
  assert.ok(resident.length <= 1, `two resident: ${JSON.stringify(reports)}`);
  for (const report of reports) {
    const admission = world.slot.admit(report.id);
    if (admission.type === 'admitted') {
      admission.flight.ticket.release();
      assert.ok(report.rung === 'Awake' && report.probed, `admitted on ${report.rung}`);
    }
    if (report.rung === 'Awake') assert.equal(report.probed, true);
  }
  const starting = reports.find((report) => report.rung === 'Starting' && before.get(report.revision) === 'Starting');
  if (starting === undefined || happened.type === 'crash') return;
  for (const report of reports) {
    const was = before.get(report.revision);
    const settled = was === 'Failed' && report.rung === 'Staged';
    if (was !== undefined && report.rung !== 'Starting' && !settled) assert.equal(report.rung, was);
  }
}

function happen(world: World, now: Event, flights: (() => void)[]): void {
  const { slot, puppets, clock } = world;
  if (now.type === 'target') {
    slot.obey({ type: 'target', epoch: 1, seq: 1, instances: targetOf(now.rungs), keys: [] });
  } else if (now.type === 'crash') puppets.crash(now.index);
  else if (now.type === 'time') clock.advance(now.ms);
  else if (now.type === 'release') flights.shift()?.();
  else if (now.type === 'request') {
    const admission = slot.admit(slot.report()[now.index]?.id ?? '');
    if (admission.type === 'admitted') flights.push(admission.flight.ticket.release);
  } else puppets.settle(now.type);
}

async function converge(world: World, rungs: readonly string[]): Promise<void> {
  const wantsAwake = rungs.includes('Awake');
  const isTrue = () => {
    const found = new Map(world.slot.report().map((report) => [report.revision as string, report.rung]));
    return rungs.every((each, index) => {
      const is = found.get(revisions[index] ?? '');
      if (each === 'Unnamed') return is === undefined;
      // New sleepers wait while somebody is wanted awake.
      if (each === 'Asleep' && wantsAwake) return is === 'Asleep' || is === 'Staged' || is === 'Failed';
      return is === each;
    });
  };
  for (let turn = 0; turn < 200 && !isTrue(); turn += 1) {
    world.puppets.settle('works');
    world.clock.advance(1000);
    await settleReactions();
  }
  assert.ok(isTrue(), `wanted ${rungs.join()}, got ${JSON.stringify(world.slot.report())}`);
}

describe('a slot under random events', { timeout: 60_000 }, () => {
  test('keeps its invariants and makes the last target true', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(event, { minLength: 5, maxLength: 40 }), targetEvent, async (events, last) => {
        const world = createWorld();
        const flights: (() => void)[] = [];
        for (const now of [...events, last]) {
          const before = new Map(world.slot.report().map((report) => [report.revision, report.rung]));
          happen(world, now, flights);
          await settleReactions();
          checkInvariants(world, before, now);
        }
        for (const release of flights) release();
        await converge(world, last.rungs);
        const up = world.slot.report().filter((report) => report.rung === 'Awake' || report.rung === 'Asleep').length;
        assert.equal(world.puppets.alive.size, up, 'no engine runs that is not reported');
      }),
      { numRuns: 500 },
    );
  });

  test('empties from any state', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(event, { minLength: 3, maxLength: 25 }), async (events) => {
        const world = createWorld();
        const flights: (() => void)[] = [];
        for (const now of events) {
          happen(world, now, flights);
          await settleReactions();
        }
        world.slot.lastCalls();
        let isEmpty = false;
        void world.slot.empty(500).then(() => {
          isEmpty = true;
        });
        for (let turn = 0; turn < 60 && !isEmpty; turn += 1) {
          world.puppets.settle('works');
          world.clock.advance(1000);
          await settleReactions();
        }
        assert.ok(isEmpty, JSON.stringify(world.slot.report()));
        assert.equal(world.puppets.alive.size, 0);
        for (const release of flights) release();
      }),
      { numRuns: 300 },
    );
  });
});

describe('the report of a slot', () => {
  test('is never longer than the hub takes, and names who holds the accelerator', async () => {
    const world = createWorld();
    const failed = Array.from({ length: 128 }, (_, at) => wanted(`failed-${at}`, 'Staged'));
    world.slot.obey({ type: 'target', epoch: 1, seq: 1, instances: failed, keys: [] });
    world.slot.obey({ type: 'target', epoch: 1, seq: 2, instances: [...failed, wanted('a', 'Awake')], keys: [] });
    await settleReactions();
    const instances = world.slot.report();
    const message = { type: 'report', fence: { epoch: 1, seq: 2 }, keyVersions: [], terminating: false, instances };
    assert.equal(agentReportSchema.safeParse(message).success, true);
    assert.equal(instances.find(({ revision }) => revision === 'a')?.rung, 'Starting');
  });
});

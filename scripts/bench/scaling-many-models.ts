// T10: a hundred models of 7B on 16 accelerators, popularity by rank, requests in clusters, against sleepers that are woken on
// demand and stopped least recently used first. Two hours, three seeds, the product's default of sleepers for each slot.
// T8: whether a climb gets the sleeper that stands free, in the same runs with wakes that fail.
import { generateLoad } from '../../src/sim/load/generate.ts';
import { lruSleepersPolicy } from '../../src/sim/policy/lru-sleepers.ts';
import type { PolicyFactory } from '../../src/sim/policy/policy.ts';
import { stokerPolicy } from '../../src/sim/policy/stoker.ts';
import type { Trace } from '../../src/sim/request.ts';
import { type Faults, noFaults, type Scenario } from '../../src/sim/scenario.ts';
import { createScenario } from '../../src/sim/setup.ts';
import type { RunResult } from '../../src/sim/summary.ts';
import { beside, judged, type Row, run } from './scaling-rows.ts';

const seeds = [1, 2, 3];
const SLEEPERS = 8;
/** What 8 % of an 80 GB accelerator allow at 1.1 GB each would be 5; here is what 4 give. */
const SLEEPERS_FEW = 4;
/** Copies decide, not their order: two more a slot are printed beside, and so is a planner that knows who is needed next. */
const SLEEPERS_MORE = 10;
const FIRST_TOKEN_MS_MAX = 10_000;
const P99_MS_MAX = 8000;
const WITHIN = 0.97;

export async function runManyModels(): Promise<Row[]> {
  const ours = await runAll(stokerPolicy(), SLEEPERS);
  const isMet = ours.every(({ within, firstTokenMs }) => within >= WITHIN && firstTokenMs.p99 <= P99_MS_MAX);
  return [
    await judgeCopies(),
    judged('T10 stoker', listed(ours), { target: `≥ ${WITHIN * 100} % within 10 s, p99 ≤ 8 s`, isMet }),
    beside('   LRU sleepers, 60 s', listed(await runAll(lruSleepersPolicy(60_000), SLEEPERS))),
    beside('   LRU sleepers, 300 s', listed(await runAll(lruSleepersPolicy(300_000), SLEEPERS))),
    beside(`   stoker, ${SLEEPERS_MORE} sleepers a slot`, listed(await runAll(stokerPolicy(), SLEEPERS_MORE))),
    beside('   stoker told who is needed next', listed(await runAll(foretold, SLEEPERS))),
    beside(`   stoker, ${SLEEPERS_FEW} sleepers a slot`, listed(await runAll(stokerPolicy(), SLEEPERS_FEW))),
    beside(`   LRU sleepers, ${SLEEPERS_FEW} a slot`, listed(await runAll(lruSleepersPolicy(60_000), SLEEPERS_FEW))),
  ];
}

interface Foretold {
  tell(trace: Trace): PolicyFactory;
}

/** A bound: the same planner, with the truth in the place of its guess whether a model is needed before it could be started. */
const foretold: Foretold = {
  tell: (trace) => (models) => {
    const times = Map.groupBy(trace.requests, ({ model }) => model);
    const policy = stokerPolicy()(models);
    return {
      ...policy,
      decide: (reading) =>
        new Map(
          [...policy.decide(reading)].map(([model, order]) => {
            const { nowMs } = reading;
            const endMs = nowMs + (order.climb?.startMs ?? 0);
            const isNeeded = times.get(model)?.some(({ atMs }) => atMs > nowMs && atMs <= endMs) ?? false;
            return [model, { ...order, chance: isNeeded ? 1 : 0 }];
          }),
        ),
    };
  },
};

async function runAll(choose: PolicyFactory | Foretold, sleepersPerSlotMax: number): Promise<RunResult[]> {
  const results: RunResult[] = [];
  for (const seed of seeds) {
    const scenario = scenarioOf(seed, sleepersPerSlotMax);
    results.push(await run(scenario, 'tell' in choose ? choose.tell(scenario.trace) : choose));
  }
  return results;
}

function scenarioOf(seed: number, sleepersPerSlotMax: number, faults: Faults = noFaults): Scenario {
  const trace = generateLoad('zipf', { seed, models: 100, ratePerSecond: 2, spanMs: 7_200_000 });
  return createScenario(trace, {
    profile: 'Size7B',
    firstTokenMsMax: FIRST_TOKEN_MS_MAX,
    minAwake: 0,
    maxAwake: 4,
    slots: 16,
    slotsPerNode: 8,
    sleepersPerSlotMax,
    isCold: false,
    isOccupied: false,
    seed,
    faults,
  });
}

const FAILED_WAKES = 0.005;
const WOKEN = 0.98;

async function judgeCopies(): Promise<Row> {
  let free = 0;
  let woken = 0;
  for (const seed of seeds) {
    const scenario = scenarioOf(seed, SLEEPERS, { ...noFaults, failedWakes: FAILED_WAKES });
    const { copies } = await run(scenario, stokerPolicy());
    free += copies.free;
    woken += copies.woken;
  }
  const share = `${((100 * woken) / free).toFixed(2)} % of ${free} climbs`;
  return judged('T8 woken where a sleeper stood free', `${share}, ${FAILED_WAKES * 100} % of the wakes fail`, {
    target: `≥ ${WOKEN * 100} %`,
    isMet: woken >= WOKEN * free,
  });
}

function listed(results: readonly RunResult[]): string {
  return results
    .map(({ within, firstTokenMs, awakeHours }) => {
      const p99 = (firstTokenMs.p99 / 1000).toFixed(1);
      return `${(within * 100).toFixed(2)} %, p99 ${p99} s, ${awakeHours.toFixed(1)} h`;
    })
    .join(' · ');
}

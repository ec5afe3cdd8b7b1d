// T6: no cascade on cold starts. T11: silent routers lower nothing. T12: the same inputs give the same decisions, byte for byte.
// And the speed of the simulator itself, so that people use it.
import { readFileSync } from 'node:fs';
import { createLivePlanner } from '../../src/controller/live-scaling.ts';
import { replayPlanner } from '../../src/core/plan/pool/planner-log.ts';
import { scaleDefaults } from '../../src/core/plan/scale/settings.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { generateLoad } from '../../src/sim/load/generate.ts';
import { createPolicyPlanner, stokerPolicy } from '../../src/sim/policy/stoker.ts';
import { replayDecisions } from '../../src/sim/replay.ts';
import { type Faults, noFaults, type Scenario } from '../../src/sim/scenario.ts';
import { createScenario, type SetupOptions } from '../../src/sim/setup.ts';
import { parseTrace } from '../../src/sim/trace/parse-trace.ts';
import { recordLiveRun } from '../../test/support/live-log.ts';
import { beside, judged, type Row, run } from './scaling-rows.ts';

const fleet: SetupOptions = {
  profile: 'Size70B',
  firstTokenMsMax: 5000,
  minAwake: 0,
  slots: 40,
  slotsPerNode: 1,
  sleepersPerSlotMax: 8,
  isCold: false,
  isOccupied: false,
  sigma: 0,
  seed: 1,
};

export async function runBehaviour(): Promise<Row[]> {
  return [
    ...(await judgeCascade(120_000)),
    ...(await judgeCascade(300_000)),
    await judgeSilence(),
    await judgeReplay(),
    await judgeSpeed(),
  ];
}

const OVERSHOOT_MAX = 1.15;

/** Ten times the rate at once, and nothing to wake: what is ordered against what the busiest two minutes need. */
async function judgeCascade(startMs: number): Promise<Row[]> {
  const trace = generateLoad('step', { seed: 1, ratePerSecond: 20, spanMs: 5_400_000 });
  const scenario = createScenario(trace, { ...fleet, isCold: true, sleepersPerSlotMax: 0, startMs });
  const needed = Math.ceil(busiestWork(scenario) / scaleDefaults.steadyUse);
  const result = await run(scenario, stokerPolicy());
  const overshoot = result.peakOrdered / needed;
  const isMet = overshoot <= OVERSHOOT_MAX && result.starts <= Math.ceil(needed * OVERSHOOT_MAX);
  return [
    judged(
      `T6 step x10, start ${startMs / 1000} s, no pool`,
      `${result.peakOrdered} ordered, ${result.starts} started, ${needed} needed: ${overshoot.toFixed(2)} ×`,
      { target: `≤ ${OVERSHOOT_MAX} ×, none ordered twice`, isMet },
    ),
    beside('   served in time meanwhile', `${(result.within * 100).toFixed(2)} %`),
  ];
}

const WINDOW_MS = 120_000;
const BATCH = 64;

/** Replicas that the requests of the busiest window keep busy, from the figures of the engine. */
function busiestWork({ trace, models }: Scenario): number {
  const engine = models[0]?.profile.engine;
  if (engine === undefined) return 0;
  const { stepMs, perSequenceMs, perPromptTokenMs } = engine;
  const works = trace.requests.map(
    ({ promptTokens, outputTokens }) =>
      promptTokens * perPromptTokenMs + outputTokens * (stepMs / BATCH + perSequenceMs),
  );
  let busiest = 0;
  let sum = 0;
  let first = 0;
  for (const [index, { atMs }] of trace.requests.entries()) {
    sum += works[index] ?? 0;
    for (; (trace.requests[first]?.atMs ?? atMs) <= atMs - WINDOW_MS; first += 1) sum -= works[first] ?? 0;
    busiest = Math.max(busiest, sum / WINDOW_MS);
  }
  return busiest;
}

const silence = { fromMs: 1_200_000, toMs: 1_800_000 };
const RECOVERY_MS_MAX = 5000;

/** Ten minutes without a word from routers, in the middle of a load that goes on. */
async function judgeSilence(): Promise<Row> {
  const faults: Faults = { ...noFaults, silences: [silence] };
  const scenario = createScenario(readCode(), { ...fleet, faults });
  let lowered = 0;
  let before = 0;
  let recoveredMs: number | undefined;
  await run(
    scenario,
    stokerPolicy({
      onDecision({ models }, orders) {
        const [[name, { nowMs, ordered }] = ['', { nowMs: 0, ordered: 0 }]] = models;
        const { desired = 0, figures } = orders.get(name) ?? {};
        if (figures === undefined) return;
        const { order, hindrance } = figures;
        const isSilent = nowMs >= silence.fromMs && nowMs < silence.toMs;
        if (isSilent && (desired < ordered || ordered < before)) lowered += 1;
        before = ordered;
        const isFollowing = hindrance !== 'Stale' && hindrance !== 'Floor' && desired >= order.want;
        if (nowMs >= silence.toMs && isFollowing) recoveredMs ??= nowMs - silence.toMs;
      },
    }),
  );
  const seconds = recoveredMs === undefined ? 'never' : `${(recoveredMs / 1000).toFixed(1)} s`;
  return judged('T11 routers silent for 10 minutes', `${lowered} lowered, recovered after ${seconds}`, {
    target: '0 lowered, ≤ 5 s',
    isMet: lowered === 0 && recoveredMs !== undefined && recoveredMs <= RECOVERY_MS_MAX,
  });
}

/** What each decided, decided again by the planner of the other that is told and asked the same: as JSON, byte for byte. */
async function judgeReplay(): Promise<Row> {
  const scenario: Scenario = createScenario(readCode(), fleet);
  const simulated = await replayDecisions(scenario, run, createLivePlanner);
  const live = replayPlanner(await recordLiveRun(), createPolicyPlanner());
  const told = `${simulated.decisions} of the simulator and ${live.decisions} of the controller`;
  const differing = simulated.differing + live.differing;
  return judged('T12 decisions replayed', `${told}, ${differing} differ`, {
    target: 'none differs',
    isMet: simulated.decisions > 0 && live.decisions > 0 && differing === 0,
  });
}

const SPEED_MS_MAX = 10_000;

async function judgeSpeed(): Promise<Row> {
  const scenario = createScenario(readCode(), fleet);
  const beganMs = systemClock.nowMs();
  await run(scenario, stokerPolicy());
  const tookMs = systemClock.nowMs() - beganMs;
  return judged('An hour of the Azure code trace', `simulated in ${(tookMs / 1000).toFixed(2)} s`, {
    target: '≤ 10 s',
    isMet: tookMs <= SPEED_MS_MAX,
  });
}

function readCode() {
  const file = 'azure-2023-code.csv';
  return parseTrace(file, readFileSync(new URL(`../../traces/${file}`, import.meta.url), 'utf8'));
}

// T1, T2 and T3: one setting on the four public traces, beside what others do and the fixed fleet that hindsight would buy. Climbs
// have no spread here, as in the study that the targets are from; the spread is printed beside.

import { readFileSync } from 'node:fs';
import { DECISION_LAG_MS } from '../../src/core/plan/scale/settings.ts';
import { findStaticFleet, withSlots } from '../../src/sim/hindsight.ts';
import { parsePolicies } from '../../src/sim/policy/catalogue.ts';
import type { PolicyFactory } from '../../src/sim/policy/policy.ts';
import { staticFleet } from '../../src/sim/policy/static.ts';
import { stokerPolicy } from '../../src/sim/policy/stoker.ts';
import { modelProfiles } from '../../src/sim/profile.ts';
import type { Trace } from '../../src/sim/request.ts';
import { createScenario } from '../../src/sim/setup.ts';
import type { RunResult } from '../../src/sim/summary.ts';
import { multiplyTrace, parseTrace } from '../../src/sim/trace/parse-trace.ts';
import { beside, figures, judged, type Row, run } from './scaling-rows.ts';

const traceOf = (file: string) =>
  parseTrace(file, readFileSync(new URL(`../../traces/${file}`, import.meta.url), 'utf8'));

interface Case {
  readonly name: string;
  readonly trace: Trace;
  readonly firstTokenMsMax: number;
}

interface Changes {
  readonly wakeMs?: number;
  readonly sigma?: number;
  readonly isOccupied?: boolean;
  readonly slotsPerNode?: number;
}

const GOAL = 0.99;
const others = 'kpa-7,hpa-7,keda-5,wva,dynamo,lru-sleepers';

export async function runTraces(): Promise<Row[]> {
  const code = { name: 'Azure code', trace: traceOf('azure-2023-code.csv'), firstTokenMsMax: 5000 };
  const cases: Case[] = [
    code,
    { name: 'Azure chat x4', trace: multiplyTrace(traceOf('azure-2023-conv.csv'), 4), firstTokenMsMax: 2000 },
    { name: 'Mooncake chat', trace: traceOf('mooncake-conversation.jsonl'), firstTokenMsMax: 10_000 },
    { name: 'Mooncake synthetic', trace: traceOf('mooncake-synthetic.jsonl'), firstTokenMsMax: 10_000 },
  ];
  const fast = { ...code, firstTokenMsMax: 2000 };
  return [
    ...(await compare(cases)),
    ...(await judge('T1', code, { wakeMs: 3000 }, { within: 0.995, hours: 3.6 })),
    await judgeUnbound(code),
    ...(await judgeAll(cases)),
    ...(await judge('T3', fast, { wakeMs: 1000 }, { within: 0.995, hours: 4.8 })),
    ...(await judge('T3', fast, { wakeMs: 3000 }, { within: 0.99, hours: 6.7 })),
  ];
}

function simulate(one: Case, policy: PolicyFactory, changes: Changes = {}): Promise<RunResult> {
  return run(scenarioOf(one, changes), policy);
}

function scenarioOf({ trace, firstTokenMsMax }: Case, changes: Changes) {
  return createScenario(trace, {
    profile: 'Size70B',
    firstTokenMsMax,
    minAwake: 0,
    slots: 40,
    slotsPerNode: changes.slotsPerNode ?? 1,
    sleepersPerSlotMax: 8,
    isCold: false,
    isOccupied: changes.isOccupied ?? false,
    sigma: changes.sigma ?? 0,
    seed: 1,
    ...(changes.wakeMs === undefined ? {} : { wakeMs: changes.wakeMs }),
  });
}

/** Each policy with one target on all four, and the sum of its hours. */
async function compare(cases: readonly Case[]): Promise<Row[]> {
  const rows: Row[] = [];
  for (const { name, factory } of parsePolicies(others)) {
    if (factory === undefined) continue;
    const results: RunResult[] = [];
    for (const one of cases) results.push(await simulate(one, factory));
    rows.push(beside(name, listed(cases, results)));
  }
  const fixed: RunResult[] = [];
  for (const one of cases) fixed.push(await hindsight(one));
  return [...rows, beside('fixed fleet of hindsight', listed(cases, fixed))];
}

async function hindsight(one: Case): Promise<RunResult> {
  const scenario = scenarioOf(one, {});
  const counts = await findStaticFleet(scenario, GOAL, run);
  if (counts === undefined) throw new Error(`no fixed fleet serves ${one.name}`);
  return run(withSlots(scenario, counts), staticFleet('static', counts));
}

function listed(cases: readonly Case[], results: readonly RunResult[]): string {
  const sum = results.reduce((hours, { awakeHours }) => hours + awakeHours, 0);
  return `${cases.map((_, index) => (results[index] === undefined ? '' : figures(results[index]))).join(' · ')} · sum ${sum.toFixed(2)} h`;
}

/** The target itself, then the same with spread, on nodes of eight, and with another model in every slot. */
async function judge(
  id: string,
  one: Case,
  changes: Changes,
  target: { readonly within: number; readonly hours: number },
): Promise<Row[]> {
  const name = `${id} ${one.name}, ${one.firstTokenMsMax / 1000} s, wake ${(changes.wakeMs ?? 3000) / 1000} s`;
  const result = await simulate(one, stokerPolicy(), changes);
  const spread = await simulate(one, stokerPolicy(), { ...changes, sigma: 0.25 });
  const shared = await simulate(one, stokerPolicy(), { ...changes, slotsPerNode: 8 });
  const occupied = await simulate(one, stokerPolicy(), { ...changes, isOccupied: true });
  const isMet = result.within >= target.within && result.awakeHours <= target.hours;
  return [
    judged(name, figures(result), { target: `≥ ${target.within * 100} %, ≤ ${target.hours} h`, isMet }),
    beside('   the same, climbs spread by 0.25', figures(spread)),
    beside('   the same, eight slots a node', figures(shared)),
    beside(`   the same, every slot occupied (${occupiedMs(changes) / 1000} s to awake)`, figures(occupied)),
  ];
}

/** What stands between a request and an engine when another model has to go to sleep first: more than most objectives. */
function occupiedMs({ wakeMs }: Changes): number {
  const { climb } = modelProfiles.Size70B;
  return DECISION_LAG_MS + climb.sleepMs + (wakeMs ?? climb.wakeMs);
}

/** Above that bound, and the time to read, occupied slots cost nothing: the loss is the climb's and not the scaler's. */
async function judgeUnbound(one: Case): Promise<Row> {
  const occupied = await simulate({ ...one, firstTokenMsMax: 12_000 }, stokerPolicy(), { isOccupied: true });
  return beside('   occupied, but due within 12 s', figures(occupied));
}

const T2_HOURS = 24;

async function judgeAll(cases: readonly Case[]): Promise<Row[]> {
  const results: RunResult[] = [];
  const occupied: RunResult[] = [];
  for (const one of cases) results.push(await simulate(one, stokerPolicy()));
  for (const one of cases) occupied.push(await simulate(one, stokerPolicy(), { isOccupied: true }));
  const sum = results.reduce((hours, { awakeHours }) => hours + awakeHours, 0);
  const isMet = sum <= T2_HOURS && results.every(({ within }) => within >= GOAL);
  return [
    judged('T2 one setting, four traces', listed(cases, results), {
      target: `each ≥ ${GOAL * 100} %, ≤ ${T2_HOURS} h`,
      isMet,
    }),
    beside(`   the same, every slot occupied (${occupiedMs({}) / 1000} s to awake)`, listed(cases, occupied)),
  ];
}

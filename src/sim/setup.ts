// From what somebody asks for to a scenario that can run: contradictions are refused with the arithmetic, and an objective that
// physics does not allow is told with the bound that makes it so. Pure.
import { WAKES_AT_FULL_RATE } from '../core/plan/placement.ts';
import { headroomRanks } from '../core/plan/scale/settings.ts';
import { drawFaults, type FaultRates } from './faults.ts';
import { type ModelProfile, modelProfiles, type ProfileName } from './profile.ts';
import type { Trace } from './request.ts';
import { checkSleepersPerSlot } from './run-bounds.ts';
import { type Faults, type FleetShape, noFaults, type Scenario, type SimModel } from './scenario.ts';
import { SetupError } from './setup-error.ts';
import { countInstances } from './sleeper-memory.ts';

export interface SetupOptions {
  readonly profile: ProfileName;
  readonly firstTokenMsMax: number;
  /** As Model.spec.scaling.headroom. Missing: standard. */
  readonly headroom?: 'economy' | 'standard' | 'strict';
  /** As Model.spec.scaling.sleepAfterSeconds. Missing: what the scaler does when nobody states a time. */
  readonly sleepAfterMs?: number;
  readonly minAwake: number;
  readonly maxAwake?: number;
  readonly slots: number;
  readonly slotsPerNode: number;
  readonly sleepersPerSlotMax: number;
  /** As Pool.spec.sleeperBytes. Missing: only their number is bounded. */
  readonly sleeperBytes?: number;
  /** Nothing is asleep when time begins. */
  readonly isCold: boolean;
  readonly isOccupied: boolean;
  /** As Model.spec.serving.concurrency. Missing: what the engine of the profile can. */
  readonly concurrency?: number;
  readonly wakeMs?: number;
  readonly startMs?: number;
  /** Spread of climbs; 0 makes all alike. */
  readonly sigma?: number;
  /** Exactly these. */
  readonly faults?: Faults;
  /** By chance, so many. */
  readonly faultRates?: FaultRates;
  readonly seed: number;
}

const rankOfHeadroom = {
  economy: headroomRanks.Economy,
  standard: headroomRanks.Standard,
  strict: headroomRanks.Strict,
};

export function createScenario(trace: Trace, options: SetupOptions): Scenario {
  checkLimits(options);
  checkSleepersPerSlot(options.sleepersPerSlotMax);
  const profile = chooseProfile(options);
  checkSleeperBytes(options, profile);
  const { firstTokenMsMax, minAwake, slots, slotsPerNode, sleepersPerSlotMax, isOccupied, seed } = options;
  const names = [...new Set(trace.requests.map(({ model }) => model))].sort();
  const maxAwake = options.maxAwake ?? slots;
  const headroom = options.headroom === undefined ? {} : { headroomRank: rankOfHeadroom[options.headroom] };
  const sleepAfter = options.sleepAfterMs === undefined ? {} : { sleepAfterMs: options.sleepAfterMs };
  const models = names.map((name): SimModel => {
    return { name, profile, firstTokenMsMax, minAwake, maxAwake, ...headroom, ...sleepAfter };
  });
  if (minAwake * names.length > slots) {
    const sum = `${minAwake} × ${names.length} models = ${minAwake * names.length}`;
    throw new SetupError(`The least awake needs ${sum} slots, and there are ${slots}.`);
  }
  const fleet: FleetShape = {
    slots,
    slotsPerNode,
    wakesAtFullRate: WAKES_AT_FULL_RATE,
    sleepersPerSlotMax,
    ...(options.sleeperBytes === undefined ? {} : { sleeperBytes: options.sleeperBytes }),
    begin: options.isCold ? 'Nothing' : 'Asleep',
    isOccupied,
  };
  return { trace, models, fleet, faults: options.faults ?? chooseFaults(trace, fleet, options), seed };
}

function chooseFaults(trace: Trace, fleet: FleetShape, { faultRates, seed }: SetupOptions): Faults {
  if (faultRates === undefined) return noFaults;
  const nodes = Math.ceil(fleet.slots / fleet.slotsPerNode);
  return drawFaults(faultRates, { spanMs: trace.requests.at(-1)?.atMs ?? 0, nodes, seed });
}

/** More than any fleet has; each takes memory. */
const SLOTS_MAX = 10_000;

function checkLimits({ minAwake, maxAwake, slots, isCold, isOccupied, sleepersPerSlotMax }: SetupOptions): void {
  if (maxAwake !== undefined && minAwake > maxAwake)
    throw new SetupError(`The least awake (${minAwake}) is above the most awake (${maxAwake}).`);
  if (slots > SLOTS_MAX) throw new SetupError(`${slots} slots are above the most that a run may have (${SLOTS_MAX}).`);
  if (minAwake > slots) throw new SetupError(`The least awake (${minAwake}) is above the number of slots (${slots}).`);
  if (isOccupied && (isCold || sleepersPerSlotMax < 1))
    throw new SetupError('Occupied slots are about making room for sleepers, and there are no sleepers.');
}

function checkSleeperBytes(
  { sleeperBytes, sleepersPerSlotMax, isOccupied }: SetupOptions,
  profile: ModelProfile,
): void {
  if (sleeperBytes === undefined) return;
  if (sleepersPerSlotMax === 0)
    throw new SetupError('The memory of sleepers says nothing where none may sleep. Leave --sleeper-bytes out.');
  // Who is awake will sleep here, too.
  const least = isOccupied ? 2 : 1;
  if (countInstances(sleeperBytes, profile) >= least) return;
  const needed =
    least === 1 ? `one holds ${profile.asleepBytes}` : `one and the idle model hold ${2 * profile.asleepBytes}`;
  throw new SetupError(`${sleeperBytes} bytes are too few for a sleeper: ${needed}. Raise --sleeper-bytes.`);
}

function chooseProfile({ profile: name, concurrency, wakeMs, startMs, sigma }: SetupOptions): ModelProfile {
  const profile = modelProfiles[name];
  const climb = {
    ...profile.climb,
    ...(wakeMs === undefined ? {} : { wakeMs }),
    ...(startMs === undefined ? {} : { startMs }),
    ...(sigma === undefined ? {} : { sigma }),
  };
  const { sequencesMax } = profile.engine;
  return { ...profile, engine: { ...profile.engine, sequencesMax: concurrency ?? sequencesMax }, climb };
}

export interface Feasibility {
  /** Share of the requests that an idle engine could serve in time. */
  readonly within: number;
  /** The longest prompt that it could. */
  readonly promptTokensMax: number;
  readonly sentence: string | undefined;
}

/** What no scaler can change: a prompt that takes longer to read than its first token may take. */
export function judgeFeasibility(scenario: Scenario): Feasibility {
  const model = scenario.models[0];
  const { requests } = scenario.trace;
  if (model === undefined) return { within: 0, promptTokensMax: 0, sentence: undefined };
  const possible = requests.filter(({ promptTokens }) => readAloneMs(model, promptTokens) <= model.firstTokenMsMax);
  const longest = requests.reduce((most, { promptTokens }) => Math.max(most, promptTokens), 0);
  const promptTokensMax = possible.reduce((most, { promptTokens }) => Math.max(most, promptTokens), 0);
  const within = possible.length / requests.length;
  if (within === 1) return { within, promptTokensMax, sentence: undefined };
  const seconds = (ms: number) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);
  const missed = ((1 - within) * 100).toFixed(2);
  const sentence =
    `${missed} % of the requests cannot have their first token within ${seconds(model.firstTokenMsMax)}, whatever is awake: ` +
    `the longest prompt has ${longest} tokens, and an engine that does nothing else reads it in ${seconds(readAloneMs(model, longest))}.`;
  return { within, promptTokensMax, sentence };
}

function readAloneMs({ profile }: SimModel, promptTokens: number): number {
  const { stepMs, perPromptTokenMs, promptTokensPerStep } = profile.engine;
  return Math.max(1, Math.ceil(promptTokens / promptTokensPerStep)) * stepMs + promptTokens * perPromptTokenMs;
}

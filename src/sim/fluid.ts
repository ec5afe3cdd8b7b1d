// Weeks of one model as a fluid: requests are counts a second and all of one length, engines are rates, and a sleeper is always at
// hand. The scaler is the controller's own. For what takes too long request by request; says nothing about single requests.
import { writeMs } from '../core/plan/scale/cost.ts';
import { createScaler, type ScalerInput } from '../core/plan/scale/scaler.ts';
import { DECISION_LAG_MS, scaleDefaults, TOKEN_GAP_MS_MAX } from '../core/plan/scale/settings.ts';
import type { ModelProfile } from './profile.ts';

export interface FluidLoad {
  /** Requests of each second. */
  readonly arrivals: Uint16Array;
  readonly promptTokens: number;
  readonly outputTokens: number;
}

export interface FluidModel {
  readonly profile: ModelProfile;
  readonly firstTokenMsMax: number;
}

export interface FluidResult {
  /** Share of the requests whose first token came in time. */
  readonly within: number;
  readonly awakeHours: number;
  readonly peakAwake: number;
}

/** How many should be awake after this second. */
export type FluidPolicy = (state: FluidState, arrived: number) => number;

export interface FluidState {
  readonly nowMs: number;
  readonly ready: number;
  readonly ordered: number;
  /** When each climb began. */
  readonly climbs: readonly number[];
  readonly waiting: number;
  readonly inFlight: number;
  /** Since something was under way. */
  readonly idleMs: number;
}

const STEP_MS = 1000;
const HOUR_MS = 3_600_000;

export function runFluid(load: FluidLoad, model: FluidModel, policy: FluidPolicy): FluidResult {
  const fleet = createFluidFleet(load, model);
  let inTime = 0;
  let total = 0;
  let awakeMs = 0;
  let peakAwake = 0;
  for (const arrived of load.arrivals) {
    total += arrived;
    inTime += fleet.step(arrived, policy);
    awakeMs += fleet.awake() * STEP_MS;
    peakAwake = Math.max(peakAwake, fleet.awake());
  }
  return { within: inTime / Math.max(1, total), awakeHours: awakeMs / HOUR_MS, peakAwake };
}

/** The same number all the time. */
export function fixedFluid(count: number): FluidPolicy {
  return () => count;
}

export function stokerFluid(load: FluidLoad, { profile, firstTokenMsMax }: FluidModel): FluidPolicy {
  const { engine, climb } = profile;
  const { promptTokens, outputTokens } = load;
  const guess = { cost: engine, outputTokens, startMs: climb.startMs, wakeMs: climb.wakeMs };
  const scaler = createScaler({ guess, sinceMs: 0 });
  const { sequencesMax } = engine;
  return ({ nowMs, ready, ordered, climbs, waiting, inFlight, idleMs }, arrived) => {
    if (arrived > 0) scaler.arrived(nowMs, { requests: arrived, promptTokens: arrived * promptTokens });
    const input: ScalerInput = {
      nowMs,
      signalAgeMs: 0,
      min: 0,
      max: Number.MAX_SAFE_INTEGER,
      objective: { firstTokenMsMax, gapMsMax: TOKEN_GAP_MS_MAX, sequencesMax },
      waitingTokens: new Array<number>(Math.ceil(waiting)).fill(promptTokens),
      engineTokens: 0,
      inFlight: Math.round(inFlight),
      hasWakeLease: false,
      idleMs,
      ordered,
      ready,
      pending: climbs.map((beganMs) => ({ from: 'Asleep', ageMs: nowMs - beganMs })),
      makeRoomMs: 0,
      lagMs: DECISION_LAG_MS,
      forecastFloor: 0,
    };
    return scaler.decide(input).desired;
  };
}

interface FluidFleet {
  /** One second with so many requests. Returns those, of any second, whose first token came now and in time. */
  step(arrived: number, policy: FluidPolicy): number;
  /** Ready, or with answers that have to be written to their end. */
  awake(): number;
}

function createFluidFleet(load: FluidLoad, { profile, firstTokenMsMax }: FluidModel): FluidFleet {
  const { engine, climb } = profile;
  const readMs = load.promptTokens * engine.perPromptTokenMs + engine.stepMs;
  const queue = createFluidQueue(firstTokenMsMax - readMs);
  let nowMs = 0;
  let ready = 0;
  let inFlight = 0;
  let usedMs = 0;
  const climbs: number[] = [];
  const follow = (desired: number) => {
    for (; ready + climbs.length < desired; ) climbs.push(nowMs + DECISION_LAG_MS);
    for (; ready + climbs.length > desired && climbs.length > 0; ) climbs.pop();
    ready = Math.min(ready, desired);
  };
  const serve = () => {
    const room = Math.max(0, ready * engine.sequencesMax - inFlight);
    const admitted = Math.min(queue.size(), room, (ready * STEP_MS) / readMs);
    const readShare = Math.min(0.95, (admitted * readMs) / Math.max(1, ready * STEP_MS));
    const batch = inFlight / Math.max(1, ready);
    const writingMs = (load.outputTokens * (engine.stepMs + engine.perSequenceMs * batch)) / (1 - readShare);
    inFlight += admitted - Math.min(inFlight, (inFlight * STEP_MS) / Math.max(STEP_MS, writingMs));
    return queue.take(admitted, nowMs);
  };
  return {
    step(arrived, policy) {
      nowMs += STEP_MS;
      for (; climbs[0] !== undefined && climbs[0] + climb.wakeMs <= nowMs; climbs.shift()) ready += 1;
      queue.add(arrived, nowMs);
      const inTime = serve();
      if (queue.size() + inFlight > 0.5) usedMs = nowMs;
      const state = { nowMs, ready, ordered: ready + climbs.length, climbs, waiting: queue.size(), inFlight };
      follow(policy({ ...state, idleMs: nowMs - usedMs }, arrived));
      return inTime;
    },
    awake: () => Math.max(ready, Math.ceil(inFlight / engine.sequencesMax - 1e-9)),
  };
}

/** What waits, by the second that it came in. */
function createFluidQueue(waitMsMax: number) {
  const waiting: { count: number; readonly atMs: number }[] = [];
  let size = 0;
  return {
    size: () => size,
    add(count: number, atMs: number) {
      if (count === 0) return;
      waiting.push({ count, atMs });
      size += count;
    },
    /** The oldest first. Returns those that did not wait too long. */
    take(count: number, nowMs: number): number {
      let left = count;
      let inTime = 0;
      for (let first = waiting[0]; first !== undefined && left > 0; first = waiting[0]) {
        const taken = Math.min(left, first.count);
        first.count -= taken;
        left -= taken;
        if (nowMs - first.atMs <= waitMsMax) inTime += taken;
        if (first.count <= 1e-9) waiting.shift();
      }
      size = waiting.length === 0 ? 0 : size - (count - left);
      return inTime;
    },
  };
}

/** Replicas that the work of a number of requests a second keeps busy at the use that the scaler aims at. */
export function fluidReplicas(
  ratePerSecond: number,
  load: Pick<FluidLoad, 'promptTokens' | 'outputTokens'>,
  { engine }: ModelProfile,
): number {
  const workMs = load.promptTokens * engine.perPromptTokenMs + writeMs(engine, load.outputTokens, engine.sequencesMax);
  return (ratePerSecond * workMs) / 1000 / scaleDefaults.steadyUse;
}

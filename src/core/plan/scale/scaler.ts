// The scaler of one model: remembers what came, learns what it costs, and decides how many instances should be awake. Used by
// the controller and by the simulator alike. Time is in what it is given; the same inputs give the same decisions.
import { type ClimbFrom, type ClimbHistory, climbLeftMs, guessClimbs, learnClimbTime } from './climb-history.ts';
import { type Climbing, createColdStarts } from './cold-starts.ts';
import type { StepCost } from './cost.ts';
import { type Arrived, createDemandMeter, type DemandMeter } from './demand-meter.ts';
import { createHold, type Hold } from './hold.ts';
import { createKeepUp, type KeepUp } from './keep-up.ts';
import { type LearnedCost, learnStep, type StepSeen, startCost } from './learn-cost.ts';
import { computeNeed, type Need, type Objective } from './need.ts';
import { type OrderFigures, planOrder } from './order.ts';
import { guessOutput, learnOutput, type OutputLength } from './output-length.ts';
import { type ScaleSettings, scaleDefaults } from './settings.ts';

/** What is assumed before anything was seen. */
export interface ScalerGuess {
  readonly cost: StepCost;
  readonly outputTokens: number;
  readonly startMs: number;
  readonly wakeMs: number;
}

/** What took long to learn, as plain data for the store. */
export interface ScalerState {
  readonly cost: LearnedCost;
  readonly output: OutputLength;
  readonly climbs: ClimbHistory;
  readonly longPromptTokens: number;
}

export interface ScalerInput {
  readonly nowMs: number;
  /** Age of what routers said last: of the one that was silent for the longest time. */
  readonly signalAgeMs: number;
  /** Of the one that spoke last: what it says may still raise. Missing: the same age. */
  readonly newsAgeMs?: number;
  readonly min: number;
  readonly max: number;
  readonly objective: Objective;
  /** Prompt tokens of each request that waits. */
  readonly waitingTokens: readonly number[];
  readonly engineTokens: number;
  readonly inFlight: number;
  /** A caller was told to come back. */
  readonly hasWakeLease: boolean;
  /** How long the oldest request has waited. Missing: not known, and taken for short. */
  readonly oldestWaitMs?: number;
  /** Time since an instance had anything to do. */
  readonly idleMs: number;
  /** Rank of the prompt work that what is awake has to meet. Missing: as the settings say. */
  readonly headroomRank?: number;
  /** Something stays awake this long after the last request. Missing: as the settings say. */
  readonly keepAliveMs?: number;
  readonly ordered: number;
  readonly ready: number;
  readonly pending: readonly Climbing[];
  /** What a wake costs above the climb itself, such as the sleep of another model. */
  readonly makeRoomMs: number;
  /** Time between a request and the decision about it. */
  readonly lagMs: number;
  /** Replicas that a forecast asks for; 0 when none has earned a say. */
  readonly forecastFloor: number;
}

export type Hindrance = 'None' | 'Stale' | 'Floor' | 'New' | 'Holding' | 'OneByOne';

export interface ScalerFigures {
  readonly desired: number;
  /** Of these, so many may be started from nothing. */
  readonly coldMax: number;
  /** Starts from nothing in the last minute. */
  readonly coldStarts: number;
  /** Of these, so many are for work that waits or runs; the others take nobody's slot. */
  readonly pressing: number;
  readonly need: Need;
  readonly order: OrderFigures;
  /** The base with its hold. */
  readonly base: number;
  /** The largest number wanted in the down window. */
  readonly held: number;
  /** Why it is more than is needed now. */
  readonly hindrance: Hindrance;
  readonly outputTokens: number;
  readonly cost: StepCost;
  /** A wake as slow as most, without what has to make room for it. */
  readonly wakeMs: number;
}

export interface Scaler {
  arrived(atMs: number, what: Arrived): void;
  /** The answer of one request is over. */
  answered(outputTokens: number): void;
  stepped(seen: StepSeen): void;
  climbed(from: ClimbFrom, tookMs: number): void;
  decide(input: ScalerInput): ScalerFigures;
  state(): ScalerState;
  /** Goes on from what was known before; what came lately stays. */
  restore(state: ScalerState): void;
}

export interface ScalerOptions {
  readonly guess: ScalerGuess;
  /** From when on nothing can have come unseen. */
  readonly sinceMs: number;
  readonly state?: ScalerState;
  readonly settings?: ScaleSettings;
}

export function createScaler(options: ScalerOptions): Scaler {
  return new WorkScaler(options);
}

class WorkScaler implements Scaler {
  readonly #settings: ScaleSettings;
  readonly #sinceMs: number;
  readonly #meter: DemandMeter;
  readonly #baseHold: Hold;
  readonly #wantHold: Hold;
  readonly #keepUp: KeepUp;
  readonly #coldStarts = createColdStarts();
  #state: ScalerState;
  #loweredMs = Number.NEGATIVE_INFINITY;
  /** So many were ready at once, and have been wanted ever since. */
  #reached = 0;

  constructor({ guess, sinceMs, state, settings = scaleDefaults }: ScalerOptions) {
    this.#settings = settings;
    this.#sinceMs = sinceMs;
    this.#meter = createDemandMeter(sinceMs);
    this.#baseHold = createHold(settings.baseHoldMs);
    this.#wantHold = createHold(settings.downMs);
    this.#keepUp = createKeepUp(settings.slowMs);
    this.#state = state ?? firstState(guess);
  }

  state = () => this.#state;

  restore(state: ScalerState): void {
    this.#state = state;
  }

  arrived(atMs: number, what: Arrived): void {
    this.#meter.add(atMs, what);
    if (what.requests <= 0) return;
    const longPromptTokens = followRank(this.#state.longPromptTokens, what.promptTokens / what.requests);
    this.#state = { ...this.#state, longPromptTokens };
  }

  answered(outputTokens: number): void {
    this.#state = { ...this.#state, output: learnOutput(this.#state.output, outputTokens) };
  }

  stepped(seen: StepSeen): void {
    this.#state = { ...this.#state, cost: learnStep(this.#state.cost, seen) };
  }

  climbed(from: ClimbFrom, tookMs: number): void {
    this.#state = { ...this.#state, climbs: learnClimbTime(this.#state.climbs, from, tookMs) };
  }

  decide(input: ScalerInput): ScalerFigures {
    const settings = this.#settings;
    const wakeMs = this.#state.climbs.Asleep.slowMs;
    const readyMs = wakeMs + input.makeRoomMs;
    const need = this.#need(input, readyMs);
    const base = this.#baseHold.add(input.nowMs, need.base);
    const { climbs } = this.#state;
    const wanted = isWanted(input, settings);
    const isQuiet = !wanted && hasStatedQuiet(input);
    const order = planOrder(
      {
        // A forecast is not about what was needed lately.
        need: isQuiet ? { ...need, base: input.forecastFloor, excess: 0 } : need,
        base: isQuiet ? input.forecastFloor : base,
        supply: {
          ordered: input.ordered,
          ready: input.ready,
          pendingMs: input.pending.map(({ from, ageMs }) => climbLeftMs(climbs, from, ageMs)),
        },
        wakeBoundMs: readyMs,
        min: input.min,
        max: input.max,
        isWanted: wanted,
      },
      settings,
    );
    const held = isQuiet ? order.want : this.#holdWant(input, order.want);
    const { desired, hindrance } = this.#lower({ ...input, isQuiet }, order, held);
    const coldStarts = this.#coldStarts.look(input.nowMs, input.pending);
    this.#reached = Math.min(desired, Math.max(this.#reached, input.ready));
    const limits = { coldStarts, steady: Math.min(desired, order.steady), reached: this.#reached };
    const coldMax = limitStarts(input, limits, settings);
    const { output, cost } = this.#state;
    const isPressing = input.waitingTokens.length + input.inFlight > 0 || input.hasWakeLease;
    const pressing = Math.min(desired, isPressing ? order.want : input.min);
    return {
      desired,
      coldMax,
      coldStarts,
      pressing,
      need,
      order,
      base,
      held,
      hindrance,
      outputTokens: output.meanTokens,
      cost: cost.cost,
      wakeMs,
    };
  }

  #need(input: ScalerInput, wakeMs: number): Need {
    const { fastMs, slowMs } = this.#settings;
    const headroomRank = input.headroomRank ?? this.#settings.headroomRank;
    const { nowMs, lagMs } = input;
    const { cost, output, longPromptTokens } = this.#state;
    return computeNeed(
      {
        ...input,
        cost: cost.cost,
        outputTokens: output.meanTokens,
        slow: this.#meter.over(nowMs, slowMs),
        fast: this.#meter.over(nowMs, fastMs),
        latest: this.#meter.over(nowMs, LATEST_MS),
        latestMs: LATEST_MS,
        // A new model is judged over what is known of it, but never over less than the fast window.
        slowMs: Math.max(fastMs, Math.min(slowMs, this.#meter.knownMs(nowMs))),
        fastMs,
        wakeMs,
        headroomTokens: this.#meter.promptTokensAtRank(nowMs, wakeMs + lagMs, headroomRank),
        keepUp: this.#lookAtQueue(input),
        longPromptTokens,
      },
      this.#settings,
    );
  }

  #lookAtQueue({ nowMs, signalAgeMs, oldestWaitMs = 0, waitingTokens, inFlight, ready, pending }: ScalerInput): number {
    const isSettled = pending.length === 0 && signalAgeMs <= this.#settings.holdAfterMs;
    const startMs = this.#state.climbs.Staged.slowMs;
    const waiting = waitingTokens.length;
    return this.#keepUp.look({ nowMs, oldestWaitMs, waiting, inFlight, ready, isSettled, startMs });
  }

  /** What is wanted on old news is no reason to keep it once there is fresh news. Who asked for a shorter time gets it. */
  #holdWant({ nowMs, signalAgeMs, keepAliveMs }: ScalerInput, want: number): number {
    const { holdAfterMs, downMs } = this.#settings;
    if (signalAgeMs > holdAfterMs) return want;
    return this.#wantHold.add(nowMs, want, Math.min(downMs, keepAliveMs ?? downMs));
  }

  /** Fewer are wanted only after the hold, one at a time, and never by silence. */
  #lower(
    input: ScalerInput & { readonly isQuiet: boolean },
    order: OrderFigures,
    held: number,
  ): { desired: number; hindrance: Hindrance } {
    const { holdAfterMs, floorAfterMs, slowMs, downEveryMs } = this.#settings;
    const { nowMs, signalAgeMs, ordered } = input;
    const isHeard = (input.newsAgeMs ?? signalAgeMs) <= holdAfterMs;
    const kept = Math.min(input.max, signalAgeMs > holdAfterMs && isHeard ? Math.max(ordered, order.raised) : ordered);
    if (signalAgeMs > floorAfterMs) {
      const floor = Math.min(input.max, Math.max(input.min, Math.ceil(input.forecastFloor)));
      return { desired: Math.max(kept, floor), hindrance: 'Floor' };
    }
    if (signalAgeMs > holdAfterMs) return { desired: kept, hindrance: 'Stale' };
    if (order.raised > ordered || order.want >= ordered) return { desired: order.raised, hindrance: 'None' };
    if (ordered > input.max) return { desired: input.max, hindrance: 'None' };
    // Histories may raise, but they end no wait: another router may have more to tell, and a cost that was lost is a guess again.
    const isNew = nowMs - this.#sinceMs < slowMs;
    // How long an instance was idle is its agent's knowledge, which no restart of ours takes away.
    if (isNew && !input.isQuiet) return { desired: kept, hindrance: 'New' };
    const target = Math.max(order.want, Math.min(held, ordered));
    if (target >= ordered) return { desired: kept, hindrance: 'Holding' };
    if (nowMs - this.#loweredMs < downEveryMs) return { desired: kept, hindrance: 'OneByOne' };
    this.#loweredMs = nowMs;
    return { desired: ordered - 1, hindrance: 'OneByOne' };
  }
}

/**
 * What there is, and as many more as a minute allows. The first one, those that never sleep and what takes the place of one that
 * was lost are no overshoot, and do not wait for the next minute.
 */
function limitStarts(
  { min, ordered }: ScalerInput,
  { coldStarts, steady, reached }: { readonly coldStarts: number; readonly steady: number; readonly reached: number },
  { coldPerMinute, coldShare }: ScaleSettings,
): number {
  const perMinute = Math.max(coldPerMinute, Math.floor(coldShare * steady));
  const allowed = Math.max(0, perMinute - coldStarts);
  return Math.min(steady, Math.max(min, 1, reached, ordered + allowed));
}

function isWanted(
  { waitingTokens, inFlight, hasWakeLease, idleMs, ready, keepAliveMs }: ScalerInput,
  settings: ScaleSettings,
) {
  const keptMs = keepAliveMs ?? settings.keepAliveMs;
  return waitingTokens.length + inFlight > 0 || hasWakeLease || (ready > 0 && idleMs < keptMs);
}

/**
 * Nothing came for the time that somebody stated: then what was needed lately keeps nothing awake. What climbs is let come up,
 * because its caller may have been sent away for just that long.
 */
function hasStatedQuiet({ keepAliveMs, ready, pending }: ScalerInput): boolean {
  return keepAliveMs !== undefined && (ready > 0 || pending.length === 0);
}

function firstState({ cost, outputTokens, startMs, wakeMs }: ScalerGuess): ScalerState {
  return {
    cost: startCost(cost),
    output: guessOutput(outputTokens),
    climbs: guessClimbs({ Staged: startMs, Asleep: wakeMs }),
    longPromptTokens: 0,
  };
}

/** Long enough to mean something, short enough to see a burst. */
const LATEST_MS = 2000;
const LONG_RANK = 0.95;
const LONG_STEP = 0.05;

/** Follows the value that 95 of 100 do not exceed, by steps of a share of itself. */
function followRank(rank: number, value: number): number {
  if (rank === 0) return value;
  return value > rank ? rank * (1 + LONG_STEP * LONG_RANK) : rank * (1 - LONG_STEP * (1 - LONG_RANK));
}

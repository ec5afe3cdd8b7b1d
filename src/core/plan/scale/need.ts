// The formula of scaling (scaling.md §2.3): how many replicas the work of now and of lately needs. What is sustained may be met
// by cold starts; what is not is met by wakes only, because a start would come when the burst is over. Pure.
import { readMs, type StepCost, sequencesAtPace, writeMs } from './cost.ts';
import type { Arrived } from './demand-meter.ts';
import type { ScaleSettings } from './settings.ts';

export interface NeedInput {
  readonly cost: StepCost;
  /** Tokens of an answer, on average. */
  readonly outputTokens: number;
  readonly objective: Objective;
  readonly slow: Arrived;
  readonly fast: Arrived;
  /** The last moments: what comes on top of a backlog while it is served. */
  readonly latest: Arrived;
  /** How far back the slow window reaches: less than its length for a model that is new. */
  readonly slowMs: number;
  readonly fastMs: number;
  readonly latestMs: number;
  /** Prompt tokens of each request that waits. */
  readonly waitingTokens: readonly number[];
  /** How long the oldest of them has waited. */
  readonly oldestWaitMs?: number;
  /** Requests that instances have, and instances that are awake. */
  readonly inFlight: number;
  readonly ready: number;
  /** Prompt tokens that engines hold behind the prompt they are reading. */
  readonly engineTokens: number;
  /** Prompt tokens that came in a window as long as a wake and its lag, at the rank that headroom is for. */
  readonly headroomTokens: number;
  /** A wake as slow as most, and the time between a request and the decision about it. */
  readonly wakeMs: number;
  readonly lagMs: number;
  /** Replicas that a forecast asks for; 0 when none has earned a say. */
  readonly forecastFloor: number;
  /** Replicas that what comes keeps busy, as a long queue shows; 0 without one. */
  readonly keepUp: number;
  /** The prompt that 95 of 100 requests do not exceed. */
  readonly longPromptTokens: number;
}

export interface Objective {
  readonly firstTokenMsMax: number;
  readonly gapMsMax: number;
  readonly sequencesMax: number;
}

export interface Need {
  /** Replicas that the slow and the fast window kept busy. */
  readonly slow: number;
  readonly fast: number;
  readonly latest: number;
  readonly waitShare: number;
  /** Work that waits, in milliseconds of one replica, and the replicas that serve it in time. */
  readonly backlogMs: number;
  readonly backlog: number;
  readonly headroom: number;
  readonly keepUp: number;
  readonly base: number;
  readonly excess: number;
}

export function computeNeed(input: NeedInput, settings: ScaleSettings): Need {
  const { cost, objective, wakeMs, lagMs } = input;
  const slow = use(input, input.slow, input.slowMs);
  const fast = use(input, input.fast, input.fastMs);
  const reactMs = wakeMs + lagMs;
  const isShort = objective.firstTokenMsMax < reactMs + readMs(cost, input.longPromptTokens);
  const waitShare = isShort ? settings.waitShareShort : settings.waitShare;
  const waitMs = waitShare * objective.firstTokenMsMax;
  const backlogMs = sumBacklog(input, waitMs) + waitForPlaces(input);
  // Whoever has waited too long shows that what is awake is too little, whatever the figures say.
  const overdue = (input.oldestWaitMs ?? 0) > waitMs ? input.ready + 1 : 0;
  const headroom = readMs(cost, input.headroomTokens) / (waitMs + reactMs);
  return {
    slow,
    fast,
    latest: use(input, input.latest, input.latestMs),
    waitShare,
    backlogMs,
    backlog: backlogMs / waitMs,
    headroom,
    keepUp: input.keepUp,
    base: Math.max(Math.max(slow, input.keepUp) / settings.steadyUse, headroom, input.forecastFloor),
    excess: Math.max(fast / settings.fastUse, slow + backlogMs / waitMs, overdue),
  };
}

/** Replicas that this much, spread over that time, keeps busy. */
function use({ cost, outputTokens, objective }: NeedInput, arrived: Arrived, spanMs: number): number {
  const each = writeMs(cost, outputTokens, sequencesAtPace(cost, objective));
  return (readMs(cost, arrived.promptTokens) + arrived.requests * each) / Math.max(1, spanMs);
}

/** When every place is taken, those who wait need answers of others to end: as much work as their own, about. */
function waitForPlaces({ cost, outputTokens, objective, inFlight, ready, waitingTokens }: NeedInput): number {
  const waiting = waitingTokens.length;
  if (waiting === 0 || ready === 0 || inFlight < ready * objective.sequencesMax) return 0;
  return waiting * writeMs(cost, outputTokens, sequencesAtPace(cost, objective));
}

/** One long prompt is read by one replica, however many there are: it counts for no more than the time it may wait. */
function sumBacklog({ cost, waitingTokens, engineTokens }: NeedInput, waitMs: number): number {
  let sum = readMs(cost, engineTokens);
  for (const tokens of waitingTokens) sum += Math.min(readMs(cost, tokens), waitMs);
  return sum;
}

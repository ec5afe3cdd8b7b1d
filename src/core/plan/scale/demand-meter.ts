// What came for one model lately, second by second: requests and prompt tokens over ten minutes. What they cost is computed
// when it is asked, so that a better known cost counts for what came before. Fixed memory; time is given and never read.

export interface Arrived {
  readonly requests: number;
  readonly promptTokens: number;
}

export interface DemandMeter {
  /** A time within the span may be past: reports come late. Earlier ones are not counted. */
  add(atMs: number, arrived: Arrived): void;
  /** What came in the `spanMs` before now. */
  over(nowMs: number, spanMs: number): Arrived;
  /** The prompt tokens that came in any window of this length, at this rank of all windows seen. */
  promptTokensAtRank(nowMs: number, windowMs: number, rank: number): number;
  /** Time since the first second that it knows of; at most the whole span. */
  knownMs(nowMs: number): number;
}

export const METER_SPAN_MS = 600_000;
const STEP_MS = 1000;
const STEPS = METER_SPAN_MS / STEP_MS;

/** `sinceMs` is the time from which on silence means that nothing came. */
export function createDemandMeter(sinceMs: number): DemandMeter {
  const requests = new Float64Array(STEPS);
  const promptTokens = new Float64Array(STEPS);
  let newest = Math.floor(sinceMs / STEP_MS);
  let first = newest;
  let cached: { newest: number; steps: number; rank: number; tokens: number } | undefined;
  const moveTo = (nowMs: number) => {
    const step = Math.floor(nowMs / STEP_MS);
    for (let passed = Math.max(newest + 1, step - STEPS + 1); passed <= step; passed += 1) {
      requests[indexOf(passed)] = 0;
      promptTokens[indexOf(passed)] = 0;
    }
    newest = Math.max(newest, step);
  };
  return {
    add(atMs, arrived) {
      const step = Math.floor(atMs / STEP_MS);
      moveTo(Math.max(atMs, newest * STEP_MS));
      if (step <= newest - STEPS) return;
      first = Math.min(first, step);
      const index = indexOf(step);
      requests[index] = (requests[index] ?? 0) + arrived.requests;
      promptTokens[index] = (promptTokens[index] ?? 0) + arrived.promptTokens;
    },
    over(nowMs, spanMs) {
      moveTo(nowMs);
      const steps = Math.min(STEPS, Math.ceil(spanMs / STEP_MS));
      const sum = { requests: 0, promptTokens: 0 };
      for (let step = newest - steps + 1; step <= newest; step += 1) {
        sum.requests += requests[indexOf(step)] ?? 0;
        sum.promptTokens += promptTokens[indexOf(step)] ?? 0;
      }
      return sum;
    },
    promptTokensAtRank(nowMs, windowMs, rank) {
      moveTo(nowMs);
      const steps = Math.max(1, Math.ceil(windowMs / STEP_MS));
      if (cached?.newest === newest && cached.steps === steps && cached.rank === rank) return cached.tokens;
      const tokens = rankOfWindows(promptTokens, { newest, steps, count: Math.min(STEPS, newest - first + 1) }, rank);
      cached = { newest, steps, rank, tokens };
      return tokens;
    },
    knownMs: (nowMs) => Math.min(METER_SPAN_MS, Math.max(0, nowMs - first * STEP_MS)),
  };
}

function indexOf(step: number): number {
  return ((step % STEPS) + STEPS) % STEPS;
}

/** At a high rank only the largest few windows matter, so they alone are kept in order. */
function rankOfWindows(
  values: Float64Array,
  { newest, steps, count }: { newest: number; steps: number; count: number },
  rank: number,
): number {
  const largest = new Float64Array(Math.max(1, count - Math.floor(rank * count)));
  const first = newest - count + 1;
  let sum = 0;
  // Both ends of the window go round the ring without a division for each step.
  let into = indexOf(first);
  let outOf = indexOf(first);
  for (let at = 0; at < count; at += 1) {
    sum += values[into] ?? 0;
    into = into + 1 === STEPS ? 0 : into + 1;
    if (at >= steps) {
      sum -= values[outOf] ?? 0;
      outOf = outOf + 1 === STEPS ? 0 : outOf + 1;
    }
    if (sum > (largest[0] ?? 0)) insert(largest, sum);
  }
  return largest[0] ?? 0;
}

/** Takes the place of the smallest of a list that goes up. */
function insert(sorted: Float64Array, value: number): void {
  let at = 1;
  for (; at < sorted.length && (sorted[at] ?? 0) < value; at += 1) sorted[at - 1] = sorted[at] ?? 0;
  sorted[at - 1] = value;
}

// How often something happens, over the last while: a count and the time it was counted in, both fading. Plain data in, plain
// data out.

export interface UseRate {
  readonly count: number;
  readonly spanMs: number;
  readonly atMs: number;
}

/** What happened this long ago counts for a third. */
const MEMORY_MS = 1_800_000;

export function startUses(atMs: number): UseRate {
  return { count: 0, spanMs: 0, atMs };
}

export function learnUse(rate: UseRate, atMs: number): UseRate {
  const now = fadeTo(rate, atMs);
  return { ...now, count: now.count + 1 };
}

/** A rate from less than a quarter of an hour is taken for the rate of a quarter of an hour. */
const SPAN_MS_MIN = 900_000;
/** What was never seen may be about to happen for the first time. */
const PRIOR_COUNT = 1;

export function usesPerMs(rate: UseRate, nowMs: number): number {
  const { count, spanMs } = fadeTo(rate, nowMs);
  return (count + PRIOR_COUNT) / Math.max(SPAN_MS_MIN, spanMs);
}

function fadeTo({ count, spanMs, atMs }: UseRate, nowMs: number): UseRate {
  const passedMs = Math.max(0, nowMs - atMs);
  const fade = Math.exp(-passedMs / MEMORY_MS);
  return { count: count * fade, spanMs: spanMs * fade + passedMs, atMs: Math.max(atMs, nowMs) };
}

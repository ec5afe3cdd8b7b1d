// How long a model is idle between two uses, as a histogram with bins that double: from it follows how likely it is needed soon,
// given how long it has been idle. Plain data in, plain data out; old gaps fade.
import { GAP_BINS } from '../../../api/learned-state.ts';

export interface IdleGaps {
  /** Gaps in each bin; the last one holds all that are longer. */
  readonly counts: readonly number[];
}

/** The first bin ends at 1 s, each next one at twice as much: 18 bins reach 36 hours. */
const BINS = GAP_BINS;
const FIRST_MS = 1000;
/** A gap counts half after about 200 more. */
const FADE = 0.9965;
/** What is assumed of every bin before anything was seen: gaps of all lengths, few of each. */
const PRIOR = 0.1;

export function emptyGaps(): IdleGaps {
  return { counts: new Array<number>(BINS).fill(0) };
}

export function learnGap({ counts }: IdleGaps, gapMs: number): IdleGaps {
  const bin = binOf(gapMs);
  return { counts: counts.map((count, index) => count * FADE + (index === bin ? 1 : 0)) };
}

/** The chance of a use within `withinMs`, of a model that has been idle for `idleMs`. */
export function chanceOfUse(gaps: IdleGaps, idleMs: number, withinMs: number): number {
  const left = shareLonger(gaps, idleMs);
  return left <= 0 ? 1 : Math.min(1, Math.max(0, 1 - shareLonger(gaps, idleMs + withinMs) / left));
}

function shareLonger({ counts }: IdleGaps, ms: number): number {
  const bin = binOf(ms);
  const total = counts.reduce((sum, count) => sum + count + PRIOR, 0);
  const longer = counts.slice(bin + 1).reduce((sum, count) => sum + count + PRIOR, 0);
  const within = (counts[bin] ?? 0) + PRIOR;
  // Even over the logarithm of time inside a bin; the last one has no end.
  const share = bin === BINS - 1 ? endOf(bin - 1) / Math.max(ms, 1) : 1 - partOf(ms, bin);
  return (longer + within * share) / total;
}

function partOf(ms: number, bin: number): number {
  if (bin === 0) return Math.min(1, ms / FIRST_MS);
  return Math.min(1, Math.log2(ms / endOf(bin - 1)));
}

function binOf(ms: number): number {
  return ms < FIRST_MS ? 0 : Math.min(BINS - 1, 1 + Math.floor(Math.log2(ms / FIRST_MS)));
}

function endOf(bin: number): number {
  return FIRST_MS * 2 ** bin;
}

// Learns a, b and g of an engine's steps from steps that were seen: recursive least squares with forgetting. A step that is far
// off is left out (a stall is no property of the engine), unless it keeps happening: then the engine has changed.
import type { StepCost } from './cost.ts';

export interface StepSeen {
  readonly sequences: number;
  readonly promptTokens: number;
  readonly stepMs: number;
}

/** Plain data, for the store. */
export interface LearnedCost {
  readonly cost: StepCost;
  /** Upper triangle of the uncertainty, row by row, in the scaled units of this module. */
  readonly spread: readonly number[];
  /** Smoothed size of what is left unexplained. */
  readonly errorMs: number;
  readonly samples: number;
  /** Up with each step that is far off, down by one with each that fits. At `OUTLIERS_MAX` they are believed. */
  readonly outliers: number;
}

/** About 2,000 steps are remembered. */
const FORGET = 0.9995;
/** A step further off than this many usual errors is left out; before there are any, than this many times what was guessed. */
const OUTLIER_ERRORS = 6;
const SETTLED_SAMPLES = 50;
/**
 * One step far off weighs as much as so many that fit. What is off more often than that is the truth sooner or later: prompts that
 * cost more than before are, though the steps between them fit.
 */
const OUTLIER_WEIGHT = 20;
/** Twenty-five in a row. */
const OUTLIERS_MAX = 25 * OUTLIER_WEIGHT;
const ERROR_SHARE = 0.02;
const LEAST_SHARE = 0.1;
/** Sequences and prompt tokens are scaled to about 1. */
const SEQUENCES_UNIT = 32;
const PROMPT_UNIT = 1000;
/** Variance of the first guess: about its own size for a and g. */
const SPREAD_FIRST = [100, 0, 0, 100, 0, 400];
/** Uncertainty never shrinks to nothing and never runs away while nothing new is seen. */
const SPREAD_MAX = 1000;

export function startCost(cost: StepCost): LearnedCost {
  return { cost, spread: SPREAD_FIRST, errorMs: cost.stepMs * 0.2, samples: 0, outliers: 0 };
}

export function learnStep(learned: LearnedCost, seen: StepSeen): LearnedCost {
  if (!(seen.stepMs > 0) || !Number.isFinite(seen.stepMs)) return learned;
  const features = [1, seen.sequences / SEQUENCES_UNIT, seen.promptTokens / PROMPT_UNIT] as const;
  const weights = toWeights(learned.cost);
  const expectedMs = dot(weights, features);
  const error = seen.stepMs - expectedMs;
  const usualMs = learned.samples > SETTLED_SAMPLES ? Math.max(learned.errorMs, seen.stepMs * 0.01) : expectedMs;
  const isFar = Math.abs(error) > OUTLIER_ERRORS * usualMs;
  if (isFar && learned.outliers < OUTLIERS_MAX) {
    return { ...learned, outliers: learned.outliers + OUTLIER_WEIGHT };
  }
  const { gain, spread } = updateSpread(learned.spread, features);
  const moved: Triple = [weights[0] + gain[0] * error, weights[1] + gain[1] * error, weights[2] + gain[2] * error];
  return {
    cost: fromWeights(keepPositive(moved, spread, weights)),
    spread,
    errorMs: learned.errorMs + ERROR_SHARE * (Math.abs(error) - learned.errorMs),
    samples: learned.samples + 1,
    outliers: isFar ? learned.outliers : Math.max(0, learned.outliers - 1),
  };
}

type Triple = readonly [number, number, number];

function toWeights({ stepMs, perSequenceMs, perPromptTokenMs }: StepCost): Triple {
  return [stepMs, perSequenceMs * SEQUENCES_UNIT, perPromptTokenMs * PROMPT_UNIT];
}

function fromWeights([step, sequences, prompt]: Triple): StepCost {
  return {
    stepMs: step,
    perSequenceMs: sequences / SEQUENCES_UNIT,
    perPromptTokenMs: prompt / PROMPT_UNIT,
  };
}

/**
 * Costs are positive: no part of a step takes less than a tenth of what was known before. What is added to one part is taken from
 * the others as the spread says, so that steps like those seen still come out right. Without that the next error would be the
 * larger, and the figures would run away.
 */
function keepPositive(moved: Triple, spread: readonly number[], before: Triple): Triple {
  const [aa = 1, ab = 0, ac = 0, bb = 1, bc = 0, cc = 1] = spread;
  const rows: readonly Triple[] = [
    [aa, ab, ac],
    [ab, bb, bc],
    [ac, bc, cc],
  ];
  const least: Triple = [before[0] * LEAST_SHARE, before[1] * LEAST_SHARE, before[2] * LEAST_SHARE];
  let kept = moved;
  for (let round = 0; round < 3; round += 1) {
    for (const [index, row] of rows.entries()) {
      const lacking = (least[index] ?? 0) - (kept[index] ?? 0);
      const own = row[index] ?? 0;
      if (!(lacking > 0 && own > 0)) continue;
      const shift = lacking / own;
      kept = [kept[0] + row[0] * shift, kept[1] + row[1] * shift, kept[2] + row[2] * shift];
    }
  }
  return [Math.max(least[0], kept[0]), Math.max(least[1], kept[1]), Math.max(least[2], kept[2])];
}

function dot(a: Triple, b: Triple): number {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

function updateSpread(packed: readonly number[], x: Triple): { gain: Triple; spread: number[] } {
  const [aa = 1, ab = 0, ac = 0, bb = 1, bc = 0, cc = 1] = packed;
  const px: Triple = [
    aa * x[0] + ab * x[1] + ac * x[2],
    ab * x[0] + bb * x[1] + bc * x[2],
    ac * x[0] + bc * x[1] + cc * x[2],
  ];
  const scale = 1 / (FORGET + dot(px, x));
  const gain: Triple = [px[0] * scale, px[1] * scale, px[2] * scale];
  const next = (value: number, i: 0 | 1 | 2, j: 0 | 1 | 2) => (value - gain[i] * px[j]) / FORGET;
  const spread = [next(aa, 0, 0), next(ab, 0, 1), next(ac, 0, 2), next(bb, 1, 1), next(bc, 1, 2), next(cc, 2, 2)];
  const largest = Math.max(spread[0] ?? 0, spread[3] ?? 0, spread[5] ?? 0);
  // Shrunk as a whole, so that it stays a spread.
  return { gain, spread: largest > SPREAD_MAX ? spread.map((value) => (value * SPREAD_MAX) / largest) : spread };
}

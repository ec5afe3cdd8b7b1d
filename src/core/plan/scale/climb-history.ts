// How long climbs take, from where they began: a smoothed time for estimates and a high one for what must not be late.
// Starts from a guess and learns from every climb that came up. Plain data in, plain data out.

import { leftMs } from '../climb.ts';

export type ClimbFrom = 'Staged' | 'Asleep';

export interface ClimbFigures {
  readonly usualMs: number;
  /** About 95 of 100 climbs take no longer. */
  readonly slowMs: number;
  readonly seen: number;
}

export type ClimbHistory = Readonly<Record<ClimbFrom, ClimbFigures>>;

const NEWEST_SHARE = 0.2;
/** A quantile that is followed by steps: up by 95 parts when a climb took longer, down by 5 when not. */
const SLOW_RANK = 0.95;
const SLOW_STEP_SHARE = 0.1;
/** Of the usual time: what a slow climb is guessed to take, and the most that one bad climb may leave behind. */
const SLOW_SHARE_FIRST = 1.2;
const SLOW_SHARE_MAX = 3;

export function guessClimbs(guess: Readonly<Record<ClimbFrom, number>>): ClimbHistory {
  const figures = (usualMs: number) => ({ usualMs, slowMs: usualMs * SLOW_SHARE_FIRST, seen: 0 });
  return { Staged: figures(guess.Staged), Asleep: figures(guess.Asleep) };
}

export function learnClimbTime(history: ClimbHistory, from: ClimbFrom, tookMs: number): ClimbHistory {
  const { usualMs, slowMs, seen } = history[from];
  // What was guessed was about another engine.
  if (seen === 0) return { ...history, [from]: { usualMs: tookMs, slowMs: tookMs * SLOW_SHARE_FIRST, seen: 1 } };
  const stepMs = SLOW_STEP_SHARE * Math.max(1, usualMs);
  const moved = tookMs > slowMs ? slowMs + stepMs * SLOW_RANK : slowMs - stepMs * (1 - SLOW_RANK);
  const next = usualMs + NEWEST_SHARE * (tookMs - usualMs);
  const slow = Math.min(SLOW_SHARE_MAX * next, Math.max(next, moved));
  return { ...history, [from]: { usualMs: next, slowMs: slow, seen: seen + 1 } };
}

/** Time until a climb that began `ageMs` ago is over. */
export function climbLeftMs(history: ClimbHistory, from: ClimbFrom, ageMs: number): number {
  return leftMs(history[from].usualMs, ageMs);
}

// Whether a failed attempt may be tried again: the router as a whole spends at most a tenth of its requests on
// retries, with a few always allowed, so that a broken pool is not finished off by its callers. And how long to wait.
import type { Rng } from '../../lib/rng.ts';

export interface RetryBudgetBounds {
  /** What each request adds. 0.1 is one retry for ten requests. */
  readonly perRequest: number;
  /** Retries that are saved up at most. */
  readonly savedMax: number;
  /** Retries that are always there again after `refillMs`, however few requests came. */
  readonly reserve: number;
  readonly refillMs: number;
}

export const retryBudgetBounds: RetryBudgetBounds = { perRequest: 0.1, savedMax: 20, reserve: 3, refillMs: 10_000 };

export interface RetryBudget {
  /** A request came. */
  deposit(): void;
  /** Takes one retry; false when none is left. */
  spend(nowMs: number): boolean;
}

export function createRetryBudget(bounds: RetryBudgetBounds = retryBudgetBounds, startMs = 0): RetryBudget {
  let saved = bounds.reserve;
  let countedMs = startMs;
  const refill = (nowMs: number) => {
    const grown = (bounds.reserve * Math.max(0, nowMs - countedMs)) / bounds.refillMs;
    countedMs = nowMs;
    if (saved < bounds.reserve) saved = Math.min(bounds.reserve, saved + grown);
  };
  return {
    deposit() {
      saved = Math.min(bounds.savedMax, saved + bounds.perRequest);
    },
    spend(nowMs) {
      refill(nowMs);
      if (saved < 1) return false;
      saved -= 1;
      return true;
    },
  };
}

export interface BackoffBounds {
  readonly baseMs: number;
  readonly delayMsMax: number;
}

/** Full jitter: anything from 0 to the doubled base, so that callers who failed together do not come back together. */
export function pickBackoffMs(rng: Rng, failures: number, bounds: BackoffBounds): number {
  return rng.next() * doublingMs(failures, bounds);
}

/** The base, doubled for every failure after the first, up to the bound. */
export function doublingMs(failures: number, bounds: BackoffBounds): number {
  return Math.min(bounds.delayMsMax, bounds.baseMs * 2 ** Math.min(Math.max(0, failures - 1), 30));
}

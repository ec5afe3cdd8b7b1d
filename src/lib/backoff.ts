// How long to wait before the next try: full jitter under a doubling cap, so that many waiters never come back together.
// Source: "Exponential backoff and jitter", AWS Architecture Blog, 2015. Keeps no timers and sleeps nowhere.
import type { Rng } from './rng.ts';

interface BackoffBounds {
  /** The upper end of the first wait, in milliseconds. */
  readonly baseMs: number;
  /** The upper end of every wait, in milliseconds. */
  readonly capMs: number;
}

/** Doublings beyond this change nothing any more and would only lose precision. */
const DOUBLINGS_MAX = 30;

/** The longest that the wait of this attempt may be: `baseMs` doubled `attempt` times, at most `capMs`. Attempts count from 0. */
export function backoffCeilingMs(options: BackoffBounds & { readonly attempt: number }): number {
  const doublings = Math.min(Math.max(0, options.attempt), DOUBLINGS_MAX);
  return Math.min(options.capMs, options.baseMs * 2 ** doublings);
}

/** A wait drawn evenly from 0 to the ceiling, in milliseconds. */
export function backoffDelayMs(options: BackoffBounds & { readonly attempt: number; readonly rng: Rng }): number {
  return options.rng.next() * backoffCeilingMs(options);
}

export interface Backoff {
  /** The wait before the next try; each call counts as one more failure. */
  nextMs(): number;
  /** After a success: the next failure waits as the first one did. */
  reset(): void;
  /** Failures in a row. */
  failures(): number;
}

export function createBackoff(options: BackoffBounds & { readonly rng: Rng }): Backoff {
  let attempt = 0;
  return {
    nextMs() {
      const waitMs = backoffDelayMs({ ...options, attempt });
      attempt += 1;
      return waitMs;
    },
    reset() {
      attempt = 0;
    },
    failures: () => attempt,
  };
}

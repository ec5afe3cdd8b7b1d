// Tries again what may pass: full jitter under a doubling cap, or what the other side asked for when that is longer. Bounded
// in tries without progress; what moved on begins to count anew. Never hides the last error.
import { backoffDelayMs } from '../lib/backoff.ts';
import { type Clock, delay } from '../lib/clock.ts';
import type { Rng } from '../lib/rng.ts';
import { StageError } from './stage-error.ts';

const TRIES_MAX = 8;
const BACKOFF = { baseMs: 500, capMs: 30_000 };

export interface Patience {
  readonly clock: Clock;
  readonly rng: Rng;
}

/** `attempt` gets a function that it calls whenever it got further. */
export async function retry<T>(
  { clock, rng }: Patience,
  signal: AbortSignal,
  attempt: (onProgress: () => void) => Promise<T>,
): Promise<T> {
  let failures = 0;
  for (;;) {
    try {
      return await attempt(() => {
        failures = 0;
      });
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof StageError) || !error.isPassing || ++failures >= TRIES_MAX) throw error;
      const waitMs = backoffDelayMs({ ...BACKOFF, attempt: failures - 1, rng });
      await delay(clock, Math.max(waitMs, error.retryAfterMs ?? 0), signal);
    }
  }
}

/** Runs `work` over the items, a few at a time. The first failure stops the others and is what it rejects with. */
export async function forEachBounded<T>(
  items: Iterable<T>,
  { parallelMax, signal }: { readonly parallelMax: number; readonly signal: AbortSignal },
  work: (item: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const failing = new AbortController();
  const either = AbortSignal.any([signal, failing.signal]);
  const iterator = items[Symbol.iterator]();
  let failure: { readonly error: unknown } | undefined;
  const run = async () => {
    for (let next = iterator.next(); next.done !== true && !either.aborted; next = iterator.next()) {
      try {
        await work(next.value, either);
      } catch (error) {
        failure ??= { error };
        failing.abort(error);
      }
    }
  };
  await Promise.all(Array.from({ length: parallelMax }, run));
  signal.throwIfAborted();
  if (failure !== undefined) throw failure.error;
}

// How long a pool waits before it makes another slot after slots of it came to nothing: so that a node that refuses every Pod
// at its door does not get a thousand of them. Pure; kept by its caller for each pool.

export interface Setbacks {
  /** Slots in a row that ended before one worked. */
  readonly count: number;
  readonly lastAtMs: number;
}

export const noSetbacks: Setbacks = { count: 0, lastAtMs: 0 };

/** The first is replaced at once: one Pod may always be lost. */
const FREE = 1;
const WAIT_MS_MIN = 10_000;
const WAIT_MS_MAX = 300_000;
const DOUBLINGS_MAX = 10;

export function addSetback({ count }: Setbacks, nowMs: number): Setbacks {
  return { count: count + 1, lastAtMs: nowMs };
}

/** How long until a slot may be made; 0 means now. */
export function waitAfterSetbacks({ count, lastAtMs }: Setbacks, nowMs: number): number {
  if (count <= FREE) return 0;
  const waitMs = Math.min(WAIT_MS_MAX, WAIT_MS_MIN * 2 ** Math.min(count - FREE - 1, DOUBLINGS_MAX));
  return Math.max(0, lastAtMs + waitMs - nowMs);
}

// Knative's pod autoscaler as read in pkg/autoscaler/scaling/autoscaler.go: in-flight requests over a stable and a panic window.
// Our reading of its rules, not its code.
import { perModelPolicy } from './per-model.ts';
import type { PolicyFactory } from './policy.ts';
import { createRecent } from './recent.ts';

const TICK_MS = 2000;
const STABLE_MS = 60_000;
const PANIC_MS = 6000;
const PANIC_RATIO = 2;
const UP_RATIO_MAX = 1000;
const DOWN_RATIO_MAX = 2;

/** `target` is in-flight requests for one replica, with the use of 0.7 already in it. */
export function kpaPolicy(target: number): PolicyFactory {
  return perModelPolicy({ name: `kpa-${target}`, isUrgent: true }, () => {
    const stable = createRecent(STABLE_MS);
    const panic = createRecent(PANIC_MS);
    const settle = createPanic();
    return {
      everyMs: TICK_MS,
      sample({ queued, inFlight }, nowMs) {
        stable.add(nowMs, queued + inFlight);
        panic.add(nowMs, queued + inFlight);
      },
      // Its activator wakes the first one without waiting for a tick.
      fromZero: ({ queued }) => (queued > 0 ? 1 : 0),
      decide({ ready }, nowMs) {
        const base = Math.max(1, ready);
        const bounded = (asked: number) =>
          Math.min(base * UP_RATIO_MAX, Math.max(Math.floor(base / DOWN_RATIO_MAX), Math.ceil(asked)));
        const asked = { panic: bounded(panic.mean() / target), stable: bounded(stable.mean() / target) };
        return settle(nowMs, base, asked);
      },
    };
  });
}

/** In a panic nothing shrinks, and it is over when there was no reason for one in a whole stable window. */
function createPanic(): (nowMs: number, base: number, asked: { panic: number; stable: number }) => number {
  let sinceMs: number | undefined;
  let most = 0;
  return (nowMs, base, asked) => {
    if (asked.panic / base >= PANIC_RATIO) {
      if (sinceMs === undefined) most = 0;
      sinceMs = nowMs;
    } else if (sinceMs !== undefined && nowMs - sinceMs > STABLE_MS) sinceMs = undefined;
    if (sinceMs === undefined) return asked.stable;
    most = Math.max(most, asked.panic, base);
    return most;
  };
}

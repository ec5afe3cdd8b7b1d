// When reports are sent: soon after a change, several changes together, and at a steady pace. A report that cannot be sent is
// not kept: the next one carries the whole state.
import { type Clock, every, type Timer } from '../lib/clock.ts';

export interface Reporter {
  /** Something changed. */
  touch(): void;
  /** Sends at once. */
  now(): void;
  stop(): void;
}

export function createReporter(options: {
  readonly send: () => void;
  /** Changes within this time go into one report. */
  readonly withinMs: number;
  readonly everyMs: number;
  readonly clock: Clock;
}): Reporter {
  const { clock, withinMs } = options;
  let sentAtMs = Number.NEGATIVE_INFINITY;
  let timer: Timer | undefined;
  const now = () => {
    timer?.cancel();
    timer = undefined;
    sentAtMs = clock.nowMs();
    options.send();
  };
  const pace = every(clock, options.everyMs, now);
  return {
    // The first change after a quiet time goes out in the next turn, so that a climb is known at once.
    touch() {
      timer ??= clock.after(Math.max(0, sentAtMs + withinMs - clock.nowMs()), now);
    },
    now,
    stop() {
      timer?.cancel();
      timer = undefined;
      pace.cancel();
    },
  };
}

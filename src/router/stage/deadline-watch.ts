// Keeps one request to its deadline: time to the head, to the first content, between pieces, and in total, all counted from
// the moment it was accepted. Ends the call when one of them is over. Sets at most two timers, whatever comes.
import type { Deadline } from '../../core/route/deadline.ts';
import type { Clock, Timer } from '../../lib/clock.ts';
import type { Call } from '../call.ts';
import { Ending } from '../ending.ts';

export interface DeadlineWatch {
  headSent(): void;
  /** The first content of a stream, or the start of a JSON answer's attempt. */
  contentSent(): void;
  /** The engine was heard, once content came. */
  heard(): void;
  remainingMs(): number;
  cancel(): void;
}

export function watchDeadline(call: Call, deadline: Deadline, clock: Clock): DeadlineWatch {
  const startMs = call.acceptedMs;
  const late = (what: string, ms: number) =>
    call.end(new Ending('deadline_exceeded', `${what} within ${renderSeconds(ms)}.`));
  const at = (ms: number, fire: () => void) => clock.after(Math.max(0, startMs + ms - clock.nowMs()), fire);
  const total = at(deadline.totalMs, () => late('The answer was not complete', deadline.totalMs));
  const first = at(deadline.firstContentMs, () => late('The answer did not begin', deadline.firstContentMs));
  const head = at(Math.min(deadline.headMs, deadline.totalMs), () => late('The answer did not begin', deadline.headMs));
  let gap: Timer | undefined;
  let heardMs = 0;
  const watchGap = () => {
    // One timer that looks again, instead of a new one for each piece.
    const leftMs = heardMs + deadline.gapMs - clock.nowMs();
    if (leftMs <= 0) return late('The engine said nothing more', deadline.gapMs);
    gap = clock.after(leftMs, watchGap);
  };
  return {
    headSent: () => head.cancel(),
    contentSent: () => first.cancel(),
    heard() {
      heardMs = clock.nowMs();
      if (gap === undefined) watchGap();
    },
    remainingMs: () => Math.max(1, Math.ceil(startMs + deadline.totalMs - clock.nowMs())),
    cancel() {
      for (const timer of [total, first, head, gap]) timer?.cancel();
    },
  };
}

function renderSeconds(ms: number): string {
  return ms < 10_000 ? `${ms / 1000} s` : `${Math.round(ms / 1000)} s`;
}

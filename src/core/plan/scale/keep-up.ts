// How much comes, seen from a long queue alone: while those who wait longest have waited longer and longer, less is answered than
// comes. It needs no cost of a step, so it helps where that is wrong. Time is given and never read.

export interface QueueSeen {
  readonly nowMs: number;
  readonly oldestWaitMs: number;
  readonly waiting: number;
  readonly inFlight: number;
  readonly ready: number;
  /** Nothing is on its way, and the figures are of now. */
  readonly isSettled: boolean;
  /** What a start from nothing takes. */
  readonly startMs: number;
}

export interface KeepUp {
  /** Replicas that what comes keeps busy; 0 while nobody has waited for long. */
  look(seen: QueueSeen): number;
}

/** Who has waited for so many starts would have been served by one. */
const STARTS_WAITED = 1.5;
/** One look at the queue may be wrong: it asks for no more than so many times what is ready. */
const LOAD_MAX = 2;

interface Begun {
  readonly atMs: number;
  readonly waitMs: number;
  readonly ready: number;
}

/** `spanMs`: what is ready is watched for so long before anything is said of it. */
export function createKeepUp(spanMs: number): KeepUp {
  let begun: Begun | undefined;
  let calmSinceMs: number | undefined;
  let needed = 0;
  return {
    look(seen) {
      const { nowMs, oldestWaitMs, ready } = seen;
      const isCalm = seen.isSettled && !isCrowded(seen);
      calmSinceMs = isCalm ? (calmSinceMs ?? nowMs) : undefined;
      // Somebody always waits where many come.
      if (seen.waiting === 0 || nowMs - (calmSinceMs ?? nowMs) >= spanMs) needed = 0;
      if (!seen.isSettled || isCalm) begun = undefined;
      else if (begun?.ready !== ready) begun = { atMs: nowMs, waitMs: oldestWaitMs, ready };
      else if (nowMs - begun.atMs >= spanMs) {
        needed = ready * loadOf(begun, seen);
        begun = { atMs: nowMs, waitMs: oldestWaitMs, ready };
      }
      return needed;
    },
  };
}

/** More wait than are served, and for so long that a start would have come. One that nobody can take is no crowd. */
function isCrowded({ oldestWaitMs, waiting, inFlight, ready, startMs }: QueueSeen): boolean {
  return oldestWaitMs > STARTS_WAITED * startMs && inFlight > 0 && waiting > Math.max(inFlight, ready);
}

/** What comes, as a share of what is ready: of the time that passed, it got through as much of what came as the wait did not grow. */
function loadOf(begun: Begun, { nowMs, oldestWaitMs }: QueueSeen): number {
  const passedMs = nowMs - begun.atMs;
  const servedMs = passedMs - (oldestWaitMs - begun.waitMs);
  return passedMs / Math.max(passedMs / LOAD_MAX, servedMs);
}

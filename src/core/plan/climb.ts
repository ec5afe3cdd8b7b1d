// How long an instance needs to be awake: from what climbs took before, and from its size before the first one.
// Estimates only: a wrong one is told to people and corrected by the next climb, and never decides whether to wake.
import type { Climb, Rung } from '../../api/link.ts';

/** Smoothed times of one revision on one class of accelerator, in milliseconds. */
export interface ClimbTimes {
  readonly stagedMs?: number;
  readonly asleepMs?: number;
}

/** Weight of the newest climb. */
const NEWEST_SHARE = 0.4;
const START_MS_BASE = 800;
const WAKE_MS_BASE = 150;
/** First guesses: reading a file for the first time, and reading it from memory. */
const START_BYTES_PER_MS = 400_000;
const WAKE_BYTES_PER_MS = 2_000_000;
/** An estimate never says that it is over while it is not. */
const LEFT_MS_MIN = 200;

export function learnClimb(times: ClimbTimes, climb: Climb): ClimbTimes {
  const key = climb.from === 'Asleep' ? 'asleepMs' : 'stagedMs';
  const before = times[key];
  const next = before === undefined ? climb.totalMs : before + NEWEST_SHARE * (climb.totalMs - before);
  return { ...times, [key]: next };
}

export function guessClimb(weightsBytes: number): Required<ClimbTimes> {
  return {
    stagedMs: START_MS_BASE + weightsBytes / START_BYTES_PER_MS,
    asleepMs: WAKE_MS_BASE + weightsBytes / WAKE_BYTES_PER_MS,
  };
}

/** What is left of a climb that began `ageMs` ago. One that is late is taken to need a tenth more. */
export function leftMs(usualMs: number, ageMs: number): number {
  return Math.max(usualMs / 10, usualMs - ageMs);
}

/** Time until an instance on this rung serves, when nothing is in its way. */
export function estimateClimb(
  instance: { readonly rung: Rung; readonly rungAgeMs: number },
  times: ClimbTimes,
  weightsBytes: number,
): number {
  const guess = guessClimb(weightsBytes);
  const stagedMs = times.stagedMs ?? guess.stagedMs;
  const asleepMs = times.asleepMs ?? guess.asleepMs;
  switch (instance.rung) {
    case 'Awake':
      return 0;
    case 'Starting':
      return Math.max(LEFT_MS_MIN, stagedMs - instance.rungAgeMs);
    case 'Waking':
      return Math.max(LEFT_MS_MIN, asleepMs - instance.rungAgeMs);
    case 'Asleep':
    case 'Sleeping':
    case 'Draining':
      return asleepMs;
    case 'Absent':
    case 'Staged':
    case 'Stopping':
    case 'Failed':
      return stagedMs;
  }
}

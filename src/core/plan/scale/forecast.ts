// What the same hour of earlier weeks kept busy, as a floor for this hour: three weeks of hourly means, and a say only while the
// last week shows that it is the better guess (scaling.md §2.3). Plain data in the store; the time is given and never read.
import { WORK_HOUR_MAX, WORK_HOURS, type WorkWeeks } from '../../../api/learned-state.ts';

export interface WorkSeen {
  readonly wallMs: number;
  /** How long it has been like this. */
  readonly spanMs: number;
  /** Replicas that the work keeps busy. */
  readonly replicas: number;
}

export interface Forecast {
  note(seen: WorkSeen): void;
  /** Busy replicas that are to be expected within `aheadMs`; 0 while the forecast has not earned a say. */
  expect(wallMs: number, aheadMs: number): number;
  state(): WorkWeeks;
  restore(state: WorkWeeks): void;
}

const HOUR_MS = 3_600_000;
const DAY_HOURS = 24;
const WEEK_HOURS = 168;
/** An hour counts when half of it was watched. */
const WATCHED_MS_MIN = HOUR_MS / 2;
const UNKNOWN = -1;
/** Hours are kept in hundredths of a replica. */
const UNIT = 100;
/** Too little costs nine times what too much does: a late start is waited for, a replica too many is not. */
const RANK = 0.9;
/** Of the last week, so many hours must have been forecast, and by so much better than by what was a moment before. */
const HOURS_JUDGED_MIN = 120;
const BETTER_BY = 0.1;
/** A clock that goes back by more than this was wrong before. */
const BACK_HOURS_MAX = 24;

export function emptyWeeks(): WorkWeeks {
  return { hour: 0, watchedMs: 0, workMs: 0, past: [] };
}

export function createForecast(begin: WorkWeeks = emptyWeeks()): Forecast {
  let weeks = begin;
  let judged: { readonly past: WorkWeeks['past']; readonly hasEarned: boolean } | undefined;
  return {
    note(seen) {
      weeks = noteWork(weeks, seen);
    },
    expect(wallMs, aheadMs) {
      // Hours change seldom, and are judged once each.
      if (judged?.past !== weeks.past) judged = { past: weeks.past, hasEarned: hasEarnedSay(weeks) };
      const hour = Math.floor(wallMs / HOUR_MS);
      if (!judged.hasEarned || hour > weeks.hour + 1) return 0;
      const next = Math.floor((wallMs + Math.min(HOUR_MS, aheadMs)) / HOUR_MS);
      return Math.max(guessHour(weeks, hour) ?? 0, guessHour(weeks, next) ?? 0) / UNIT;
    },
    state: () => weeks,
    restore(state) {
      weeks = state;
    },
  };
}

export function noteWork(weeks: WorkWeeks, { wallMs, spanMs, replicas }: WorkSeen): WorkWeeks {
  const hour = Math.floor(wallMs / HOUR_MS);
  const isAnew = weeks.hour === 0 || hour < weeks.hour - BACK_HOURS_MAX;
  if (!isAnew && hour < weeks.hour) return weeks;
  const now = isAnew ? { ...emptyWeeks(), hour } : moveTo(weeks, hour);
  return { ...now, watchedMs: now.watchedMs + spanMs, workMs: now.workMs + spanMs * replicas };
}

function moveTo(weeks: WorkWeeks, hour: number): WorkWeeks {
  const passed = hour - weeks.hour;
  if (passed === 0) return weeks;
  const missed = new Array<number>(Math.min(passed - 1, WORK_HOURS)).fill(UNKNOWN);
  return { hour, watchedMs: 0, workMs: 0, past: [...weeks.past, meanOf(weeks), ...missed].slice(-WORK_HOURS) };
}

function meanOf({ watchedMs, workMs }: WorkWeeks): number {
  return watchedMs < WATCHED_MS_MIN ? UNKNOWN : Math.min(WORK_HOUR_MAX, Math.round((UNIT * workMs) / watchedMs));
}

function hourAt({ hour, past }: WorkWeeks, at: number): number {
  return past[past.length - (hour - at)] ?? UNKNOWN;
}

/** What is known of these hours, if anything is. */
function listHours(weeks: WorkWeeks, hours: readonly number[]): number[] {
  return hours.map((hour) => hourAt(weeks, hour)).filter((value) => value !== UNKNOWN);
}

function listSameHours(weeks: WorkWeeks, hour: number): number[] {
  return listHours(weeks, [hour - WEEK_HOURS, hour - 2 * WEEK_HOURS, hour - 3 * WEEK_HOURS]);
}

function guessHour(weeks: WorkWeeks, hour: number): number | undefined {
  const same = listSameHours(weeks, hour);
  return same.length === 0 ? undefined : rankOf(same, RANK);
}

/**
 * Whether the hours of the last week were guessed better by the same hours of the weeks before than by what was just before them:
 * by the last hour, and by the same rank of the last day, whichever does better. The second keeps chance from earning a say.
 */
export function hasEarnedSay(weeks: WorkWeeks): boolean {
  const loss = { weekly: 0, last: 0, day: 0 };
  let judged = 0;
  for (let hour = weeks.hour - WEEK_HOURS; hour < weeks.hour; hour += 1) {
    const actual = hourAt(weeks, hour);
    const last = hourAt(weeks, hour - 1);
    const same = listSameHours(weeks, hour);
    const day = Array.from({ length: DAY_HOURS }, (_, index) => hour - 1 - index);
    if (actual === UNKNOWN || last === UNKNOWN || same.length === 0) continue;
    judged += 1;
    loss.weekly += pinballLoss(actual, rankOf(same, RANK));
    loss.last += pinballLoss(actual, last);
    loss.day += pinballLoss(actual, rankOf(listHours(weeks, day), RANK));
  }
  const persistence = Math.min(loss.last, loss.day);
  return judged >= HOURS_JUDGED_MIN && loss.weekly < (1 - BETTER_BY) * persistence;
}

/** What a guess of this rank costs: most where it was too low. */
export function pinballLoss(actual: number, guess: number, rank: number = RANK): number {
  return actual >= guess ? rank * (actual - guess) : (1 - rank) * (guess - actual);
}

/** Between the two values nearest to the rank. */
function rankOf(values: readonly number[], rank: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = rank * (sorted.length - 1);
  const low = sorted[Math.floor(at)] ?? 0;
  const high = sorted[Math.ceil(at)] ?? low;
  return low + (high - low) * (at - Math.floor(at));
}

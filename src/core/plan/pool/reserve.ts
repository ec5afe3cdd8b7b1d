// How many slots of a pool should stand free: from how many more were wanted at once, in the time that a new slot takes, over
// the last days (scaling.md §2.4). Remembers counts and a few minutes of demand. Time is given and never read.

/** How many to keep: a target hit rate, or what a late wake and a slot cost. */
export type ReserveAim =
  | { readonly type: 'HitRate'; readonly share: number }
  | { readonly type: 'Cost'; readonly lateWake: number; readonly slotHour: number };

export interface ReservePolicy {
  readonly aim: ReserveAim;
  readonly min: number;
  readonly max: number;
}

/** What is kept over a restart, as plain data. */
export interface ReserveState {
  readonly days: readonly ReserveDay[];
}

export interface ReserveDay {
  /** Days since 1970. */
  readonly day: number;
  /** How long of it was watched. */
  readonly watchedMs: number;
  /** Instances that began to be wanted, by how many free slots it took to have one for it at once. */
  readonly rises: readonly number[];
}

export interface ReserveReading {
  readonly nowMs: number;
  readonly wallMs: number;
  /** Slots that instances are wanted awake in, with those that are lacking, and without what is fixed (pool-demand.ts). */
  readonly demand: number;
  /** From the decision to make a slot until it can be used. */
  readonly refillMs: number;
}

export interface ReserveFigures {
  /** Slots that should stand free. */
  readonly wanted: number;
  /** What the aim alone asks for. */
  readonly byAim: number;
  readonly rises: number;
  readonly watchedMs: number;
  readonly refillMs: number;
  /** For people. */
  readonly sentence: string;
}

export interface Reserve {
  note(reading: ReserveReading): void;
  decide(policy: ReservePolicy, hasSleepers: boolean): ReserveFigures;
  state(): ReserveState;
}

const DAY_MS = 86_400_000;
const DAYS_MAX = 14;
/** Another controller's clock may be past midnight already. */
const DAYS_AHEAD_MAX = 1;
/** A clock that said something else for a shorter time than this was wrong then, so what is kept of other days stays. */
const SURE_AFTER_MS = 3_600_000;
/** A rise that takes more free slots than this counts as one that takes as many. */
export const RESERVE_SLOTS_MAX = 256;
/** A silence longer than this was not watched. */
const GAP_MS_MAX = 60_000;
/** The window is read in so many steps at least. */
const STEPS = 64;

export function createReserve(before: ReserveState = { days: [] }): Reserve {
  const days = before.days.map(({ day, watchedMs, rises }) => {
    return { day, watchedMs: Math.min(DAY_MS, watchedMs), rises: [...rises] };
  });
  /** Demand of the last refill time, the oldest first. */
  const seen: { atMs: number; demand: number }[] = [];
  let last: ReserveReading | undefined;
  return {
    note(reading) {
      const today = dayOf(days, Math.floor(reading.wallMs / DAY_MS));
      if (last !== undefined) {
        today.watchedMs = Math.min(DAY_MS, today.watchedMs + passedMs(last, reading));
        for (const rank of rankRises(last, reading, seen)) today.rises[rank] = (today.rises[rank] ?? 0) + 1;
      }
      remember(seen, reading);
      last = reading;
    },
    decide: (policy, hasSleepers) => decide(days, { policy, hasSleepers, refillMs: last?.refillMs ?? 0 }),
    state: () => ({ days: days.map(({ day, watchedMs, rises }) => ({ day, watchedMs, rises: fill(rises) })) }),
  };
}

interface Day {
  readonly day: number;
  watchedMs: number;
  readonly rises: number[];
}

/**
 * Days that are too old go, and so do those that a clock which was ahead made: what was counted in them is lost, and what was
 * counted before them is kept. Both only when this day has been watched for a while: a clock that jumps and is set right, or
 * that is behind until it is set, costs no history.
 */
function dayOf(days: Day[], day: number): Day {
  const today = days.find((one) => one.day === day) ?? { day, watchedMs: 0, rises: [] };
  const isSure = today.watchedMs >= SURE_AFTER_MS;
  const others = days.filter((one) => {
    if (one === today) return false;
    return !isSure || (one.day > day - DAYS_MAX && one.day <= day + DAYS_AHEAD_MAX);
  });
  // The oldest go first.
  const kept = [...others.sort((a, b) => a.day - b.day).slice(1 - DAYS_MAX), today].sort((a, b) => a.day - b.day);
  days.splice(0, days.length, ...kept);
  return today;
}

function passedMs(last: ReserveReading, now: ReserveReading): number {
  const ms = now.nowMs - last.nowMs;
  return ms < 0 || ms > GAP_MS_MAX ? 0 : ms;
}

/**
 * Of each instance that begins to be wanted: free slots that would have had one for it. What was ordered a refill time ago is
 * there now, so it is how far demand is above that of then.
 */
function rankRises(last: ReserveReading, now: ReserveReading, seen: readonly { demand: number }[]): number[] {
  const then = seen[0]?.demand ?? last.demand;
  const ranks: number[] = [];
  const count = Math.min(RESERVE_SLOTS_MAX, now.demand - last.demand);
  for (let one = 1; one <= count; one += 1) {
    ranks.push(Math.min(RESERVE_SLOTS_MAX, Math.max(0, last.demand + one - then)));
  }
  return ranks;
}

/** Keeps the window, and the last reading before it. Readings that are close together count as one. */
function remember(seen: { atMs: number; demand: number }[], { nowMs, demand, refillMs }: ReserveReading): void {
  const newest = seen.at(-1);
  const isClose = newest !== undefined && seen.length > 1 && nowMs - newest.atMs < refillMs / STEPS;
  if (isClose) newest.demand = Math.min(newest.demand, demand);
  else seen.push({ atMs: nowMs, demand });
  while ((seen[1]?.atMs ?? Number.POSITIVE_INFINITY) <= nowMs - refillMs) seen.shift();
}

interface Facts {
  readonly policy: ReservePolicy;
  readonly hasSleepers: boolean;
  readonly refillMs: number;
}

function decide(days: readonly Day[], facts: Facts): ReserveFigures {
  const { policy, hasSleepers, refillMs } = facts;
  const counts = addDays(days);
  const rises = counts.reduce((sum, count) => sum + count, 0);
  const watchedMs = days.reduce((sum, day) => sum + day.watchedMs, 0);
  const byAim =
    policy.aim.type === 'HitRate' ? rankOf(counts, policy.aim.share) : byCost(counts, policy.aim, watchedMs);
  const least = Math.max(policy.min, hasSleepers ? 1 : 0);
  const wanted = Math.min(policy.max, Math.max(least, byAim));
  const figures = { wanted, byAim, rises, watchedMs, refillMs };
  return { ...figures, sentence: sayReserve(figures, facts) };
}

function addDays(days: readonly Day[]): number[] {
  const counts: number[] = [];
  for (const { rises } of days) {
    for (const [rank, count] of fill(rises).entries()) counts[rank] = (counts[rank] ?? 0) + count;
  }
  return fill(counts);
}

function fill(counts: readonly (number | undefined)[]): number[] {
  return Array.from(counts, (count) => count ?? 0);
}

/** The fewest free slots with which this share of the rises would have found one. */
function rankOf(counts: readonly number[], share: number): number {
  const total = counts.reduce((sum, count) => sum + count, 0);
  let below = 0;
  for (const [rank, count] of counts.entries()) {
    below += count;
    if (below >= share * total) return rank;
  }
  return 0;
}

/** Where slots and late wakes of an hour together cost least. */
function byCost(
  counts: readonly number[],
  { lateWake, slotHour }: { readonly lateWake: number; readonly slotHour: number },
  watchedMs: number,
): number {
  if (watchedMs <= 0) return 0;
  const hours = watchedMs / 3_600_000;
  let late = counts.slice(1).reduce((sum, count) => sum + count, 0);
  let best = { slots: 0, cost: (late / hours) * lateWake };
  for (let slots = 1; slots < counts.length; slots += 1) {
    late -= counts[slots] ?? 0;
    const cost = slots * slotHour + (late / hours) * lateWake;
    if (cost < best.cost) best = { slots, cost };
  }
  return best.slots;
}

function sayReserve(figures: Omit<ReserveFigures, 'sentence'>, facts: Pick<Facts, 'policy'>): string {
  const { wanted } = figures;
  const count = wanted === 0 ? 'No slot has' : wanted === 1 ? '1 slot has' : `${wanted} slots have`;
  return `${count} to stand free: ${sayCause(figures, facts.policy)}.`;
}

/** The bound that decided goes first. It names no running figures, so that it changes only when the reason does. */
function sayCause(figures: Omit<ReserveFigures, 'sentence'>, { aim, min, max }: ReservePolicy): string {
  const { wanted, byAim, rises, refillMs } = figures;
  if (wanted < Math.max(byAim, min))
    return `${Math.max(byAim, min)} would be right, and there may be no more than ${max}`;
  if (byAim < wanted) return min >= wanted ? `spare.min is ${min}` : 'a model sleeps that may be needed next';
  if (rises === 0) return 'no wake was seen yet, and nothing sleeps';
  if (aim.type === 'Cost') return 'another number would cost more, in slots or in late wakes';
  const share = `${Math.round(aim.share * 10_000) / 100} %`;
  const within = `at once or within the ${Math.max(1, Math.round(refillMs / 1000))} s that a new one takes`;
  return `${share} of the wakes of the last days needed ${wanted === 0 ? 'none' : 'no more'} ${within}`;
}

// From the need to an order: how many should be awake and how many of them may be started from nothing. What climbs already is
// counted by when it lands, so no deficit is ordered twice. Pure.
import type { Need } from './need.ts';
import type { ScaleSettings } from './settings.ts';

export interface Supply {
  /** Awake, or told to be. */
  readonly ordered: number;
  readonly ready: number;
  /** Time until each one that climbs, or waits to, is awake. */
  readonly pendingMs: readonly number[];
}

export interface OrderInput {
  readonly need: Need;
  /** The largest base of the hold. */
  readonly base: number;
  readonly supply: Supply;
  /** A pending one that lands within this counts for a burst. */
  readonly wakeBoundMs: number;
  readonly min: number;
  readonly max: number;
  /** There is somebody to serve. */
  readonly isWanted: boolean;
}

export interface OrderFigures {
  /** Replicas that the work needs, rounded. */
  readonly want: number;
  /** What was asked before the limit. */
  readonly asked: number;
  /** Those of it that are met by starts if there is no sleeper. */
  readonly steady: number;
  /** Climbs that come too late for the burst. */
  readonly late: number;
  /** Ordered awake after this, before anything is lowered. */
  readonly raised: number;
  /** A wake would land when the backlog is gone without it. */
  readonly isUseless: boolean;
}

export function planOrder(input: OrderInput, settings: ScaleSettings): OrderFigures {
  const { need, base, supply, min, max } = input;
  const least = Math.max(min, input.isWanted ? 1 : 0);
  const steady = clamp(roundUp(base, settings.tolerance), least, max);
  const asked = Math.max(least, roundUp(base, settings.tolerance), roundUp(need.excess, settings.tolerance));
  const burst = clamp(asked, least, max);
  const isUseless = burst > supply.ordered && isLate(input, Math.max(steady, supply.ready));
  const want = isUseless ? Math.max(steady, Math.min(burst, supply.ordered)) : burst;
  const late = supply.pendingMs.filter((ms) => ms > input.wakeBoundMs).length;
  // Late ones are in time for what is sustained; a burst above that has to do without them.
  const burstMore = want > steady ? want - (supply.ordered - late) : 0;
  const more = Math.max(steady - supply.ordered, burstMore, 0);
  return { want, asked, steady, late, raised: Math.min(max, supply.ordered + more), isUseless };
}

/** Whether what is ready serves all that waits before a wake lands. */
function isLate({ need, wakeBoundMs, supply }: OrderInput, kept: number): boolean {
  const spare = Math.min(kept, supply.ready) - Math.max(need.slow, need.latest);
  if (spare <= 0) return false;
  return need.backlogMs / spare < wakeBoundMs;
}

/** The next whole number, unless the need is within the tolerance above one. */
function roundUp(value: number, tolerance: number): number {
  return Math.max(0, Math.ceil(value - tolerance));
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}

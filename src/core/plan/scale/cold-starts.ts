// How many starts from nothing a model had in the last minute, read from what climbs: the limit of scaling.md §2.3 counts by it.
// An order is no start: one that a sleeper met never climbs from nothing. Fixed memory; time is given and never read.
import type { ClimbFrom } from './climb-history.ts';

export interface Climbing {
  readonly from: ClimbFrom;
  /** 0 while it waits for its slot. */
  readonly ageMs: number;
}

export interface ColdStarts {
  /** Looks at everything that climbs now. Returns the starts of the last minute. */
  look(nowMs: number, pending: readonly Climbing[]): number;
}

export const COLD_WINDOW_MS = 60_000;
/** More in a minute than any fleet may order of one model. */
const KEPT_MAX = 1000;

export function createColdStarts(): ColdStarts {
  let startedMs: number[] = [];
  let waiting = 0;
  let lookedMs = Number.NEGATIVE_INFINITY;
  return {
    look(nowMs, pending) {
      const ages = pending.filter(({ from }) => from === 'Staged').map(({ ageMs }) => ageMs);
      // Who waited at the last look was counted then, and is young now whether it waits still or has begun.
      const young = ages.filter((ageMs) => ageMs <= nowMs - lookedMs).sort((a, b) => b - a);
      const begun = young.slice(0, Math.max(0, young.length - waiting)).map((ageMs) => nowMs - ageMs);
      startedMs = [...startedMs, ...begun].filter((atMs) => atMs > nowMs - COLD_WINDOW_MS).slice(-KEPT_MAX);
      waiting = ages.filter((ageMs) => ageMs === 0).length;
      lookedMs = nowMs;
      return startedMs.length;
    },
  };
}

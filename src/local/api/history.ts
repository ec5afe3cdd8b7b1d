// The last changes, so that a watch can go on where it ended and a list can be read page by page from one moment.
// Bounded by number and age; whoever asks for older is told that it is gone.
import type { Clock } from '../../lib/clock.ts';
import { placeKey, type StoredObject } from './object-index.ts';
import type { Change } from './object-store.ts';

export const HISTORY_CHANGES_MAX = 5000;
export const HISTORY_MS_MAX = 300_000;

export interface History {
  add(changes: readonly Change[]): void;
  /** Changes of a kind after `version`, oldest first; undefined when some of them are gone. */
  since(kind: string, version: number): readonly Change[] | undefined;
  /** The objects of a kind as they were at `version`; undefined when that is gone. `current` is what there is now. */
  at(kind: string, version: number, current: readonly StoredObject[]): readonly StoredObject[] | undefined;
}

interface Remembered {
  readonly change: Change;
  readonly atMs: number;
}

/** Forgotten entries are cut off the front in one go, once they are this many. */
const SLACK = 1000;

/** `startVersion`: what was before it is not known. */
export function createHistory(clock: Clock, startVersion: number): History {
  let entries: Remembered[] = [];
  let start = 0;
  let floor = startVersion;

  function forgetOld(): void {
    const oldestMs = clock.nowMs() - HISTORY_MS_MAX;
    for (let entry = entries[start]; entry !== undefined; entry = entries[start]) {
      const isKept = entries.length - start <= HISTORY_CHANGES_MAX && entry.atMs >= oldestMs;
      if (isKept) break;
      floor = entry.change.after.version;
      start += 1;
    }
    if (start < SLACK) return;
    entries = entries.slice(start);
    start = 0;
  }

  /** Index of the first entry after `version`. */
  function find(version: number): number {
    let low = start;
    let high = entries.length;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if ((entries[middle]?.change.after.version ?? 0) > version) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  function since(kind: string, version: number): readonly Change[] | undefined {
    forgetOld();
    if (version < floor) return undefined;
    return entries
      .slice(find(version))
      .filter(({ change }) => change.after.kind === kind)
      .map(({ change }) => change);
  }

  return {
    add(changes) {
      const atMs = clock.nowMs();
      for (const change of changes) entries.push({ change, atMs });
      forgetOld();
    },
    since,
    at(kind, version, current) {
      const changes = since(kind, version);
      return changes === undefined ? undefined : undo(changes, current);
    },
  };
}

function undo(changes: readonly Change[], current: readonly StoredObject[]): readonly StoredObject[] {
  if (changes.length === 0) return current;
  const objects = new Map(current.map((entry) => [placeKey(entry), entry]));
  for (const { before, after } of changes.toReversed()) {
    if (before === undefined) objects.delete(placeKey(after));
    else objects.set(placeKey(before), before);
  }
  return [...objects].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry);
}

// The simulator's time: what happens, in order of time and then of when it was set. Nothing here waits: time jumps to the next
// event. Must never ask the system what time it is.
import { Heap } from './heap.ts';

export interface Scheduled {
  cancel(): void;
}

export interface EventQueue {
  readonly nowMs: number;
  /** Calls `fire` at a time that is not past. */
  at(timeMs: number, fire: () => void): Scheduled;
  /** Moves to the next event and fires it. False when nothing is left. */
  next(): boolean;
}

interface Entry extends Scheduled {
  readonly timeMs: number;
  readonly serial: number;
  fire: (() => void) | undefined;
}

export function createEventQueue(): EventQueue {
  const heap = new Heap<Entry>((a, b) => a.timeMs < b.timeMs || (a.timeMs === b.timeMs && a.serial < b.serial));
  let nowMs = 0;
  let serial = 0;
  return {
    get nowMs() {
      return nowMs;
    },
    at(timeMs, fire) {
      const entry: Entry = {
        timeMs: Math.max(timeMs, nowMs),
        serial: serial++,
        fire,
        cancel() {
          entry.fire = undefined;
        },
      };
      heap.push(entry);
      return entry;
    },
    next() {
      for (let entry = heap.pop(); entry !== undefined; entry = heap.pop()) {
        const { fire } = entry;
        if (fire === undefined) continue;
        nowMs = entry.timeMs;
        fire();
        return true;
      }
      return false;
    },
  };
}

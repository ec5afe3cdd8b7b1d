// The memory of one node as a channel: weights that move to accelerators at the same time share its rate, so two wakes at once
// are slower than one (scaling.md §1.2). Owns the transfers under way on this node and when each is over.
import type { EventQueue, Scheduled } from './event-queue.ts';

interface Transfer {
  /** At the rate of a transfer that is alone. */
  leftMs: number;
  readonly onDone: () => void;
}

export interface NodeChannel {
  /** `aloneMs` is what it takes when nothing else moves. */
  transfer(aloneMs: number, onDone: () => void): Scheduled;
  readonly active: number;
}

/** `together` transfers move at full rate at the same time; more share what these use. */
export function createNodeChannel(events: EventQueue, together: number): NodeChannel {
  const transfers = new Set<Transfer>();
  let since = 0;
  let timer: Scheduled | undefined;
  const rate = () => Math.min(1, together / Math.max(1, transfers.size));
  const settle = () => {
    const moved = (events.nowMs - since) * rate();
    for (const transfer of transfers) transfer.leftMs -= moved;
    since = events.nowMs;
  };
  const arm = () => {
    timer?.cancel();
    timer = undefined;
    if (transfers.size === 0) return;
    const next = Math.min(...[...transfers].map(({ leftMs }) => leftMs));
    timer = events.at(events.nowMs + Math.max(0, next) / rate(), finish);
  };
  const finish = () => {
    settle();
    // What is left is rounding: a millionth of a millisecond.
    const over = [...transfers].filter(({ leftMs }) => leftMs <= 1e-6);
    for (const transfer of over) transfers.delete(transfer);
    arm();
    for (const transfer of over) transfer.onDone();
  };
  return {
    transfer(aloneMs, onDone) {
      settle();
      const transfer = { leftMs: aloneMs, onDone };
      transfers.add(transfer);
      arm();
      return {
        cancel() {
          settle();
          transfers.delete(transfer);
          arm();
        },
      };
    },
    get active() {
      return transfers.size;
    },
  };
}

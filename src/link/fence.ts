// The fence of one spoke: which ordered messages are still to be obeyed. A message from an earlier epoch, or from
// earlier in the same one, is dropped (DESIGN §7). Knows nothing of sessions: it outlives them.

export interface FencePair {
  readonly epoch: number;
  readonly seq: number;
}

export interface Fence {
  /** The highest pair that was let through. */
  highest(): FencePair;
  /**
   * True when the message is to be obeyed, which also raises the highest pair. Lower pairs are dropped, and so is a
   * second message of the same type with the same pair: it says nothing new.
   */
  admit(message: FencePair & { readonly type: string }): boolean;
}

export function comparePairs(a: FencePair, b: FencePair): number {
  return a.epoch === b.epoch ? a.seq - b.seq : a.epoch - b.epoch;
}

export function createFence(start: FencePair = { epoch: 0, seq: 0 }): Fence {
  let highest: FencePair = { epoch: start.epoch, seq: start.seq };
  /** Types that already came with the highest pair. */
  let seenAtHighest = new Set<string>();
  return {
    highest: () => highest,
    admit({ type, epoch, seq }) {
      const order = comparePairs({ epoch, seq }, highest);
      if (order < 0 || (order === 0 && seenAtHighest.has(type))) return false;
      if (order > 0) {
        highest = { epoch, seq };
        seenAtHighest = new Set();
      }
      seenAtHighest.add(type);
      return true;
    },
  };
}

// The account of one slot's simulated accelerator memory: who holds how much, and what is left for one of them.
// Knows only what it is told; an instance that is gone must be taken out by whoever sees it go.

export interface SimLedger {
  /** What the instance may hold: the slot's memory without what the others hold. */
  freeFor(instance: string): number;
  hold(instance: string, bytes: number): void;
  drop(instance: string): void;
}

export function createSimLedger(capacityBytes: number): SimLedger {
  const held = new Map<string, number>();
  return {
    freeFor(instance) {
      let othersBytes = 0;
      for (const [holder, bytes] of held) if (holder !== instance) othersBytes += bytes;
      return Math.max(0, capacityBytes - othersBytes);
    },
    hold: (instance, bytes) => void held.set(instance, bytes),
    drop: (instance) => void held.delete(instance),
  };
}

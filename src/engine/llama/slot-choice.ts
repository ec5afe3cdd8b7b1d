// Which free slot a request takes: the one that already holds most of its prompt, else the one unused for longest.
// Pure: must never look at a clock or at a model.

export interface FreeSlot {
  readonly index: number;
  /** Tokens at the start of the prompt that the slot holds already. */
  readonly heldPrefix: number;
  /** When it was last given to a request, as a rising count; 0 for never. */
  readonly lastUsed: number;
}

export function pickSlot(free: readonly FreeSlot[]): FreeSlot | undefined {
  let best: FreeSlot | undefined;
  for (const slot of free) if (best === undefined || isBetter(slot, best)) best = slot;
  return best;
}

function isBetter(slot: FreeSlot, best: FreeSlot): boolean {
  if (slot.heldPrefix !== best.heldPrefix) return slot.heldPrefix > best.heldPrefix;
  if (slot.lastUsed !== best.lastUsed) return slot.lastUsed < best.lastUsed;
  return slot.index < best.index;
}

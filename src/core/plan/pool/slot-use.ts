// How busy each slot is, and with which model: the share of the time, old times fading. From it follows how likely a sleeping copy
// in that slot is to be had when it is needed. Time is given and never read.

export interface SlotUse {
  /** What holds each slot now. It is taken to have been so since the last time. */
  note(nowMs: number, holders: ReadonlyMap<string, string | undefined>): void;
  /** Share of the time that another model than this one holds the slot. */
  takenShare(slot: string, model: string): number;
}

/** A time this long ago counts for a third. */
const MEMORY_MS = 900_000;
/** What is assumed of a slot before it was watched. */
const PRIOR_SHARE = 0.3;
const PRIOR_MS = 60_000;

interface Held {
  totalMs: number;
  readonly byModel: Map<string, number>;
}

export function createSlotUse(): SlotUse {
  const slots = new Map<string, Held>();
  let before: number | undefined;
  return {
    note(nowMs, holders) {
      const spanMs = before === undefined ? 0 : Math.max(0, nowMs - before);
      before = nowMs;
      for (const slot of slots.keys()) if (!holders.has(slot)) slots.delete(slot);
      const fade = Math.exp(-spanMs / MEMORY_MS);
      for (const [slot, holder] of holders) {
        const held = slots.get(slot) ?? { totalMs: 0, byModel: new Map() };
        slots.set(slot, held);
        addTime(held, holder, { spanMs, fade });
      }
    },
    takenShare(slot, model) {
      const held = slots.get(slot);
      if (held === undefined) return PRIOR_SHARE;
      let takenMs = PRIOR_SHARE * PRIOR_MS;
      for (const [holder, ms] of held.byModel) if (holder !== model) takenMs += ms;
      return Math.min(1, takenMs / (held.totalMs + PRIOR_MS));
    },
  };
}

function addTime(held: Held, holder: string | undefined, { spanMs, fade }: { spanMs: number; fade: number }): void {
  held.totalMs = held.totalMs * fade + spanMs;
  for (const [model, ms] of held.byModel) {
    const left = ms * fade;
    // Less than a moment is not worth an entry.
    if (left < 1) held.byModel.delete(model);
    else held.byModel.set(model, left);
  }
  if (holder !== undefined) held.byModel.set(holder, (held.byModel.get(holder) ?? 0) + spanMs);
}

// What one step computes: one token of every answering slot, and a bounded chunk of the prompts that are being read.
// A step is one decode, so the chunk is also the longest that a neighbour's next token and an abort have to wait.
// Pure: must never await or look at a model.

export interface BusySlot {
  readonly index: number;
  /** Prompt tokens that are not computed yet; 0 once it answers. */
  readonly unread: number;
  /** Order of admission: smaller came first. */
  readonly serial: number;
  /** The reader is behind: the slot sits this step out. */
  readonly paused: boolean;
}

export interface StepWork {
  readonly index: number;
  /** Prompt tokens to compute in this step; 0 for an answering slot. */
  readonly read: number;
  /** Whether the step ends with a sampled token: always when answering, and with the last chunk of a prompt. */
  readonly sample: boolean;
}

export interface StepBounds {
  /** Prompt tokens per step, over all slots. */
  readonly chunk: number;
  /** Prompts that are read at once; further ones wait in their slot. */
  readonly prefillsMax: number;
}

export function planStep(slots: readonly BusySlot[], bounds: StepBounds): StepWork[] {
  const works: StepWork[] = [];
  for (const slot of slots) {
    if (slot.unread === 0 && !slot.paused) works.push({ index: slot.index, read: 0, sample: true });
  }
  return [...works, ...planReading(slots, bounds)];
}

/** Shares the chunk evenly; what a short prompt leaves over goes to the longer one. */
function planReading(slots: readonly BusySlot[], { chunk, prefillsMax }: StepBounds): StepWork[] {
  const reading = slots
    .filter((slot) => slot.unread > 0)
    .sort((a, b) => a.serial - b.serial)
    .slice(0, prefillsMax)
    .sort((a, b) => a.unread - b.unread);
  const works: StepWork[] = [];
  let left = chunk;
  for (const [done, slot] of reading.entries()) {
    const read = Math.min(slot.unread, Math.floor(left / (reading.length - done)));
    if (read === 0) continue;
    left -= read;
    works.push({ index: slot.index, read, sample: read === slot.unread });
  }
  return works;
}

// How many slots a pool should have, and which ones should go: pure. Grows when placement lacks a slot or too few stand
// free, shrinks when a slot above the minimum and the reserve has had nothing to do for long. Never counts a slot as gone before its Pod is.

export interface PoolSlot {
  readonly name: string;
  /** Its Pod is being deleted. It still holds its accelerators. */
  readonly isLeaving: boolean;
  /** Its Pod ended, or can never reach us: it is of no use. */
  readonly isBroken: boolean;
  /** An instance in it is wanted awake, or still holds the accelerators. */
  readonly isOccupied: boolean;
  /** Time since something was wanted awake in it. */
  readonly unusedMs: number;
  /** Its agent is of another age and cannot be commanded: time since it had a request. Missing: it can be. */
  readonly outdatedIdleMs?: number;
  /** Placement wants a slot of another flavour in its place. */
  readonly isGivenUp?: boolean;
}

export interface SlotsSnapshot {
  readonly min: number;
  readonly max: number;
  readonly slots: readonly PoolSlot[];
  /** Slots that placement lacks. */
  readonly lacking: number;
  /** Slots that instances are wanted awake in, and those that should stand free beside them (pool/reserve.ts). Missing: none. */
  readonly reserved?: number;
  /** False while a new leader does not know every slot: then none is deleted. */
  readonly isComplete: boolean;
}

export interface SlotsPlan {
  readonly create: number;
  readonly remove: readonly { readonly name: string; readonly reason: string }[];
}

/** A slot above the minimum goes after this long without use: it takes its sleepers with it. */
export const SLOT_UNUSED_MS_MAX = 600_000;

/** A slot that cannot be commanded is replaced when no request came for this long. */
export const OUTDATED_IDLE_MS_MIN = 10_000;

export function planSlots({ min, max, slots, lacking, reserved = 0, isComplete }: SlotsSnapshot): SlotsPlan {
  const staying = slots.filter((slot) => !slot.isLeaving);
  const broken = isComplete ? staying.filter((slot) => slot.isBroken) : [];
  const outdated = isComplete ? listOutdated(slots) : [];
  const givenUp = isComplete ? staying.filter((slot) => slot.isGivenUp === true && !slot.isOccupied) : [];
  const useless = [...broken, ...outdated, ...givenUp];
  const sound = staying.filter((slot) => !useless.includes(slot));
  const wanted = Math.min(max, Math.max(min, reserved, sound.length + lacking));
  // Those that leave still hold accelerators, so they count until they are gone.
  const create = Math.max(0, Math.min(wanted - sound.length, max - slots.length));
  const remove = [
    ...broken.map((slot) => ({ name: slot.name, reason: 'the slot does not work' })),
    ...outdated.map((slot) => ({ name: slot.name, reason: 'its agent is of a release that cannot be commanded' })),
    ...givenUp
      .filter((slot) => !broken.includes(slot) && !outdated.includes(slot))
      .map(({ name }) => ({ name, reason: 'a slot of another engine is wanted in its place' })),
  ];
  if (!isComplete || lacking > 0) return { create, remove };
  return { create, remove: [...remove, ...planShrink(sound, Math.max(min, Math.min(max, reserved)), max)] };
}

/** One after the other: what the pool serves never goes away all at once. */
function listOutdated(slots: readonly PoolSlot[]): PoolSlot[] {
  if (slots.some((slot) => slot.isLeaving)) return [];
  const idle = slots.filter((slot) => !slot.isBroken && (slot.outdatedIdleMs ?? 0) >= OUTDATED_IDLE_MS_MIN);
  return idle.sort((a, b) => (b.outdatedIdleMs ?? 0) - (a.outdatedIdleMs ?? 0)).slice(0, 1);
}

function planShrink(sound: readonly PoolSlot[], min: number, max: number): SlotsPlan['remove'] {
  const byUse = [...sound].sort(
    (a, b) => Number(a.isOccupied) - Number(b.isOccupied) || b.unusedMs - a.unusedMs || (a.name < b.name ? -1 : 1),
  );
  const above = byUse.slice(0, Math.max(0, sound.length - max));
  const unused = byUse
    .slice(above.length, Math.max(above.length, sound.length - min))
    .filter((slot) => !slot.isOccupied && slot.unusedMs >= SLOT_UNUSED_MS_MAX);
  return [
    ...above.map(({ name }) => ({ name, reason: `the pool may have no more than ${max}` })),
    ...unused.map(({ name }) => ({ name, reason: 'nothing was awake in it for long' })),
  ];
}

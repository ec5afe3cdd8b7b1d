// Whether a plan lost a warm copy: it had to bring a model up, a sleeper of it stood in a slot that nobody used or got, and it
// chose another slot without one. Looks at a plan and changes nothing.
import { residentRungs } from '../api/link.ts';
import type { Placement, PlaceSnapshot } from '../core/plan/placement.ts';
import type { Assignment, SlotView } from '../core/plan/snapshot.ts';

export interface CopyUse {
  /** Climbs that a free sleeper was there for. */
  readonly free: number;
  /** Those of them that took one. */
  readonly taken: number;
}

export function readCopyUse({ slots, copies }: PlaceSnapshot, { assigned }: Placement): CopyUse {
  const warm = new Map<string, number>();
  const cold = new Map<string, number>();
  const left = new Map<string, number>();
  for (const slot of slots) {
    const before = awakeOf(slot.assigned);
    const after = awakeOf(assigned.get(slot.podUid) ?? slot.assigned);
    if (after === undefined && before === undefined) addSleepers(left, slot);
    // A copy that is made to go to sleep serves nobody.
    const isCopy = after !== undefined && copies?.get(slot.podUid)?.revision === after;
    if (after !== undefined && after !== before && !isCopy) add(isAsleep(slot, after) ? warm : cold, after);
  }
  const taken = [...warm.values()].reduce((sum, count) => sum + count, 0);
  const lost = [...cold].reduce((sum, [model, count]) => sum + Math.min(count, left.get(model) ?? 0), 0);
  return { free: taken + lost, taken };
}

function addSleepers(counts: Map<string, number>, slot: SlotView): void {
  if (!isFree(slot)) return;
  for (const { model, rung } of slot.instances) if (rung === 'Asleep') add(counts, model);
}

function add(counts: Map<string, number>, model: string): void {
  counts.set(model, (counts.get(model) ?? 0) + 1);
}

function awakeOf(assigned: readonly Assignment[]): string | undefined {
  return assigned.find(({ rung }) => rung === 'Awake')?.model;
}

function isAsleep(slot: SlotView, model: string): boolean {
  return slot.instances.some((instance) => instance.model === model && instance.rung === 'Asleep');
}

function isFree(slot: SlotView): boolean {
  return slot.isUsable && !slot.instances.some(({ rung }) => residentRungs.has(rung));
}

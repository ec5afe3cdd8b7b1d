// Which slots nobody may empty only to save a node: those in which something is up or comes up, and those that hold the only warm
// instance of a model, which would take it back to a start from its files. Pure; the slot reconciler says it on their Pods.
import { type Rung, residentRungs } from '../api/link.ts';
import type { World } from './observe.ts';

const warm: ReadonlySet<Rung> = new Set(['Awake', 'Draining', 'Sleeping', 'Asleep', 'Waking']);

/** Names of Pods. Slots that are leaving hold nothing that lasts. */
export function findKeptSlots({ models, slots, slotsOf }: Pick<World, 'models' | 'slots' | 'slotsOf'>): Set<string> {
  const kept = new Set<string>();
  for (const { name, isLeaving, instances } of slots) {
    if (!isLeaving && instances.some(({ rung }) => residentRungs.has(rung))) kept.add(name);
  }
  for (const { stable } of models) {
    const revision = stable?.metadata.name ?? '';
    const holding = (slotsOf.get(revision) ?? []).filter(
      (slot) => !slot.isLeaving && slot.instances.some((one) => one.revision === revision && warm.has(one.rung)),
    );
    const [only] = holding;
    if (only !== undefined && holding.length === 1) kept.add(only.name);
  }
  return kept;
}

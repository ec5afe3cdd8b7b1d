// Which slots hold the only warm instance of a model: a node that is emptied to save money would take the model back to a start
// from its files. Pure; what is done about it is the slot reconciler's.
import type { Rung } from '../api/link.ts';
import type { World } from './observe.ts';

const warm: ReadonlySet<Rung> = new Set(['Awake', 'Draining', 'Sleeping', 'Asleep', 'Waking']);

/** Names of Pods. Slots that are leaving hold nothing that lasts. */
export function findLastCopies({ models, slotsOf }: Pick<World, 'models' | 'slotsOf'>): ReadonlySet<string> {
  const last = new Set<string>();
  for (const { stable } of models) {
    const revision = stable?.metadata.name ?? '';
    const holding = (slotsOf.get(revision) ?? []).filter(
      (slot) => !slot.isLeaving && slot.instances.some((one) => one.revision === revision && warm.has(one.rung)),
    );
    const [only] = holding;
    if (only !== undefined && holding.length === 1) last.add(only.name);
  }
  return last;
}

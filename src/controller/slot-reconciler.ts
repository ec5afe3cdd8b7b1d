// Reconciles what one slot's Pod says to others: the label that follows the model that is awake in it, so that a selector finds the
// Pods of a model, and whether it may be emptied to save its node. Touches nothing else of a Pod.
import { kinds, type Pod } from '../api/kinds.ts';
import type { ControllerOptions } from './options.ts';
import { AWAKE_LABEL, isLeaving, KEPT_WHERE_IT_IS } from './slot-pod.ts';
import { outcomeOfError } from './status.ts';
import type { Steering } from './steering.ts';
import { done, type Outcome } from './work-queue.ts';

export async function reconcileSlot(
  name: string,
  { options, steering }: { readonly options: ControllerOptions; readonly steering: Steering },
  signal: AbortSignal,
): Promise<Outcome> {
  const pod = options.cluster.get(kinds.Pod, name);
  if (pod === undefined || isLeaving(pod)) return done;
  const wanted = steering.awakeIn(name);
  const labels = pod.metadata.labels?.[AWAKE_LABEL] === wanted ? {} : { labels: { [AWAKE_LABEL]: wanted ?? null } };
  const annotations = options.slotPods === undefined || !steering.isComplete() ? {} : guard(pod, steering);
  if (Object.keys({ ...labels, ...annotations }).length === 0) return done;
  const patch = { metadata: { ...labels, ...annotations } };
  const written = await options.cluster.patch(kinds.Pod, name, patch, { signal });
  return written.ok ? done : outcomeOfError(written.error);
}

/** Both autoscalers go by what its Pod says. A new slot says that it stays, until it is known what it holds. */
function guard(pod: Pod, steering: Pick<Steering, 'isKept'>) {
  const stays = steering.isKept(pod.metadata.name);
  const wanted = Object.entries(KEPT_WHERE_IT_IS).map(([key, value]) => [key, stays ? value : undefined] as const);
  const wrong = wanted.filter(([key, value]) => pod.metadata.annotations?.[key] !== value);
  return wrong.length === 0
    ? {}
    : { annotations: Object.fromEntries(wrong.map(([key, value]) => [key, value ?? null])) };
}

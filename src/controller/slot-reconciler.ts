// Reconciles one slot's label: it follows the model that is awake in it, so that a selector finds the Pods of a model.
// Touches nothing else of a Pod.
import { kinds } from '../api/kinds.ts';
import type { ControllerOptions } from './options.ts';
import { AWAKE_LABEL, isLeaving } from './slot-pod.ts';
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
  if (pod.metadata.labels?.[AWAKE_LABEL] === wanted) return done;
  const patch = { metadata: { labels: { [AWAKE_LABEL]: wanted ?? null } } };
  const written = await options.cluster.patch(kinds.Pod, name, patch, { signal });
  return written.ok ? done : outcomeOfError(written.error);
}

// One PodDisruptionBudget for each Model, over the slots that it is awake in: of several, one at a time may be evicted, and a
// slot that goes drains first. Written on a cluster alone: one machine evicts nobody.
import { kinds, type PodDisruptionBudget } from '../api/kinds.ts';
import type { Model } from '../api/model.ts';
import type { ControllerOptions } from './options.ts';
import { keepChild, type SeenChildren } from './owned-child.ts';
import { ownedBy } from './ownership.ts';
import { AWAKE_LABEL } from './slot-pod.ts';
import { done, type Outcome } from './work-queue.ts';

/** It counts Pods: a share or "maxUnavailable" would need a controller of the Pods that can be scaled, for each Model. */
export async function keepDisruptionBudget(
  model: Model,
  awake: number,
  context: { options: ControllerOptions; seen: SeenChildren; signal: AbortSignal },
): Promise<Outcome> {
  const { slotPods, log } = context.options;
  if (slotPods === undefined) return done;
  const wanted = renderBudget(model, Math.max(0, awake - 1));
  const kept = await keepChild(kinds.PodDisruptionBudget, wanted, context);
  if (kept.type !== 'foreign') return kept;
  const names = { model: model.metadata.name, budget: wanted.metadata.name };
  log.debug(names, 'a PodDisruptionBudget of this name is not ours and is left alone');
  return done;
}

function renderBudget(model: Model, minAvailable: number): PodDisruptionBudget {
  const { apiVersion, kind } = kinds.PodDisruptionBudget;
  const { name } = model.metadata;
  return {
    apiVersion,
    kind,
    metadata: { name: `${name}-awake`, ownerReferences: [ownedBy(kinds.Model, model)] },
    spec: {
      minAvailable,
      selector: { matchLabels: { [AWAKE_LABEL]: name } },
      unhealthyPodEvictionPolicy: 'AlwaysAllow',
    },
  };
}

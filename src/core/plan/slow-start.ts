// A slot that has a node and does not begin, of which the kubelet tells in Events alone: a folder that is missing, a volume that is
// attached elsewhere, or an image that is large. Pure. Never says which, for the Pod does not.
import type { ContainerStatus, Pod } from '../../api/kinds.ts';
import { renderDuration } from '../../lib/units.ts';
import type { AgeOf } from './node-loss.ts';

/** An image of 10 GB is pulled and unpacked in this time, mostly. */
const BEGIN_MS_MAX = 300_000;
/** What a kubelet says of a container before it has tried to start it. */
const NOT_BEGUN = new Set(['ContainerCreating', 'PodInitializing']);

export function explainSlowStart(pod: Pod, ageOf: AgeOf): string | undefined {
  const { metadata, spec, status = {} } = pod;
  const scheduled = conditionOf(status, 'PodScheduled');
  const sinceMs = Date.parse(scheduled?.lastTransitionTime ?? metadata.creationTimestamp ?? '');
  if (scheduled?.status !== 'True' || !(ageOf(pod, sinceMs) >= BEGIN_MS_MAX)) return undefined;
  // A newer kubelet says so before it pulls: then only the image is left, and a pull that fails is told.
  if (conditionOf(status, 'PodReadyToStartContainers')?.status === 'True') return undefined;
  const containers = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])];
  if (status.phase !== 'Pending' || !containers.every(hasNotBegun)) return undefined;
  const where = spec.nodeName === undefined ? '' : ` ${spec.nodeName}`;
  return `it has not started on its node${where} for ${renderDuration(BEGIN_MS_MAX)} or longer. Its image is still being pulled, which is well for a large one, or a volume cannot be mounted: kubectl describe pod ${metadata.name} shows which.`;
}

function conditionOf({ conditions = [] }: NonNullable<Pod['status']>, type: string) {
  return conditions.find((condition) => condition.type === type);
}

function hasNotBegun({ state, restartCount }: ContainerStatus): boolean {
  const { waiting } = (state ?? {}) as { readonly waiting?: { readonly reason?: string } };
  return waiting !== undefined && NOT_BEGUN.has(waiting.reason ?? '') && restartCount === 0;
}

// Whether the node of a Pod is gone, read from the Pod alone: what the control plane writes when a kubelet no longer answers, and
// what a Pod looks like that nobody ends. Pure. Never takes a Pod for lost because it is only not ready.
import type { Pod } from '../../api/kinds.ts';

/** How long ago it was, in milliseconds, that something happened to a Pod at a time that the Pod says. NaN: it says none. */
export type AgeOf = (pod: Pod, saidMs: number) => number;

/** Since it was made. 0: it does not say when. */
export function sinceMade(pod: Pod, ageOf: AgeOf): number {
  const ageMs = ageOf(pod, Date.parse(pod.metadata.creationTimestamp ?? ''));
  return Number.isNaN(ageMs) ? 0 : ageMs;
}

/** A kubelet that answers has ended a Pod and said so this long after its grace, however slowly a device lets go. */
const OVERDUE_MS = 60_000;

/**
 * The node lifecycle controller takes the condition Ready from every Pod of a node whose kubelet is silent. It writes no reason,
 * which every kubelet does, and leaves the containers as they were: ready.
 */
export function isNodeLost({ status }: Pod): boolean {
  if (status?.reason === 'NodeLost') return true;
  const ready = readyOf(status);
  return (
    status?.phase === 'Running' &&
    ready?.status === 'False' &&
    (ready.reason ?? '') === '' &&
    (status.containerStatuses ?? []).every((container) => container.ready)
  );
}

/** The same, and no news: a node that only starts anew is back by then. */
export function isNodeLostFor(pod: Pod, ageMs: number, ageOf: AgeOf): boolean {
  const sinceMs = Date.parse(readyOf(pod.status)?.lastTransitionTime ?? '');
  return isNodeLost(pod) && !(ageOf(pod, sinceMs) < ageMs);
}

/** It should have ended. The time of its deletion has its grace in it. */
export function isOverdue(pod: Pod, ageOf: AgeOf): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds } = pod.metadata;
  if (deletionTimestamp === undefined) return false;
  const graceMs = 1000 * (deletionGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? 0);
  return ageOf(pod, Date.parse(deletionTimestamp) - graceMs) >= graceMs + OVERDUE_MS;
}

function readyOf(status: Pod['status']) {
  return status?.conditions?.find(({ type }) => type === 'Ready');
}

/** What to do about it. Where the node has no name, it is that of the only machine. */
export function adviseOnLostNode({ spec }: Pod): string {
  const node = spec.nodeName ?? 'NAME';
  return `Bring the node back, or delete its Node object if it is gone for good: kubectl delete node ${node}.`;
}

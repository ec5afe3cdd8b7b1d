// What there is of a Pool's slots, in the words of the plan: Pods, what their agents report, and those that were made and are not
// seen yet. Never writes to the cluster.
import { kinds, type Pod } from '../api/kinds.ts';
import { residentRungs } from '../api/link.ts';
import type { Pool } from '../api/pool.ts';
import { sinceMade } from '../core/plan/node-loss.ts';
import type { PoolSlot } from '../core/plan/slots.ts';
import { idleMsOf } from '../core/plan/snapshot.ts';
import { UNSEEN_MS_MAX } from './bounds.ts';
import { type AgentRecord, type Fleet, isOutdated } from './fleet.ts';
import type { ControllerOptions } from './options.ts';
import type { PoolContext } from './pool-context.ts';
import { flavourOf, isUnwanted } from './slot-flavour.ts';
import { hasEnded, isLeaving, isReady, linkUrlOf } from './slot-pod.ts';
import { volumeOfStager } from './stager-pod.ts';
import { isNodeLocal, weightsKeyOf } from './weight-volumes.ts';

export function isConnected({ metadata }: Pod, fleet: Fleet): boolean {
  return fleet.agents.get(metadata.uid ?? '')?.session !== undefined;
}

/** How long slots take is learned when they are there. */
export function noteConnected(pool: string, pods: readonly Pod[], { fleet, options, spare }: PoolContext): void {
  for (const pod of pods) {
    if (isConnected(pod, fleet)) spare.noteConnected(pool, pod.metadata.name, options.clock.nowMs());
  }
}

/**
 * Slots that were made count, although the cache has not caught up: a watch may be silent for longer than anybody waits. Of one that
 * does not show for long the server is asked, and only its word that there is none says that it is gone.
 */
export async function listUnseen(
  pool: string,
  pods: readonly Pod[],
  { context, signal }: { readonly context: PoolContext; readonly signal: AbortSignal },
): Promise<string[]> {
  const { cluster, clock } = context.options;
  const names = context.made.get(pool) ?? new Map<string, number>();
  for (const pod of pods) names.delete(pod.metadata.name);
  const late = [...names].filter(([, knownMs]) => clock.nowMs() - knownMs >= UNSEEN_MS_MAX);
  for (const [name] of late) {
    const read = await cluster.read(kinds.Pod, name, signal);
    if (read.ok) names.set(name, clock.nowMs());
    else if (read.error.reason === 'NotFound') names.delete(name);
    // A server that does not answer is not asked for every slot. They count as before.
    else break;
  }
  return [...names.keys()];
}

export function newSlot(name: string): PoolSlot {
  return { name, isLeaving: false, isBroken: false, isOccupied: true, unusedMs: 0 };
}

export function listFlavours(pods: readonly Pod[]): (string | undefined)[] {
  return pods.filter((pod) => !isLeaving(pod)).map(flavourOf);
}

interface SlotUse {
  readonly flavours: readonly (string | undefined)[];
  /** Files are being brought to its node. */
  readonly isAwaiting: boolean;
}

export function viewSlot(
  pod: Pod,
  { flavours, isAwaiting }: SlotUse,
  { fleet, options, steering, template, ages }: PoolContext,
): PoolSlot {
  const record = fleet.agents.get(pod.metadata.uid ?? '');
  // A slot that dials an address we do not have any more can never reach us.
  const isLost = !isConnected(pod, fleet) && !isReady(pod) && linkUrlOf(pod) !== template().linkUrl;
  const sinceMs = record?.unusedSinceMs;
  // One that never came up was never used.
  const waitsMs = record === undefined ? sinceMade(pod, ages.ageOf) : 0;
  return {
    name: pod.metadata.name,
    isLeaving: isLeaving(pod),
    isBroken: hasEnded(pod) || isLost,
    isOccupied: isOccupied(record) || isAwaiting,
    isGivenUp: steering.isGivenUp(pod.metadata.name) || isUnwanted(flavourOf(pod), flavours),
    unusedMs: sinceMs === undefined ? waitsMs : options.clock.nowMs() - sinceMs,
    ...(record !== undefined && isOutdated(record)
      ? { outdatedIdleMs: requestIdleMs(record, options.clock.nowMs()) }
      : {}),
  };
}

/** Tells of a slot whether files are being brought to its node, for somebody who will use them there. */
export function findAwaiting(pool: Pool, options: ControllerOptions): (pod: Pod) => boolean {
  if (!isNodeLocal(pool, options)) return () => false;
  const volumes = new Set(options.cluster.list(kinds.Pod).flatMap((pod) => volumeOfStager(pod) ?? []));
  return ({ spec }) => volumes.has(weightsKeyOf(pool, options, spec.nodeName) ?? '');
}

/** Time since an instance in the slot had a request. */
function requestIdleMs({ report, reportedAtMs }: AgentRecord, nowMs: number): number {
  const resident = (report?.instances ?? []).filter(({ rung }) => residentRungs.has(rung));
  if (resident.some(({ inFlight }) => inFlight > 0)) return 0;
  return Math.min(...resident.map(idleMsOf), Number.MAX_SAFE_INTEGER) + nowMs - reportedAtMs;
}

function isOccupied(record: AgentRecord | undefined): boolean {
  if (record === undefined) return false;
  return record.assigned.some(({ rung }) => rung === 'Awake') || residentCount(record) > 0;
}

export function residentCount({ report }: AgentRecord): number {
  return (report?.instances ?? []).filter(({ rung }) => residentRungs.has(rung)).length;
}

// One reading of the world for the planners: objects from the cache, reports of agents, demand of routers, one clock reading.
// Immutable, with every age brought up to now. Decides nothing and asks nobody.
import { kinds, type Pod } from '../api/kinds.ts';
import { type InstanceReport, ROUTER_SERVICE_ACCOUNT } from '../api/link.ts';
import type { Model } from '../api/model.ts';
import type { ModelRevision } from '../api/model-revision.ts';
import type { Pool } from '../api/pool.ts';
import { type AgeOf, isNodeLost, sinceMade } from '../core/plan/node-loss.ts';
import type { RoutedSlot } from '../core/plan/routing.ts';
import { isTroubledHere } from '../core/plan/slot-trouble.ts';
import { awakeIn, type InstanceView, type ModelLoad } from '../core/plan/snapshot.ts';
import type { Cluster } from '../ports/cluster.ts';
import { AGENT_LOST_MS_MAX, SLOT_PATIENCE_MS } from './bounds.ts';
import { type AgentRecord, ageOfLoads, type Fleet, isOutdated, listLacking, sumLoads } from './fleet.ts';
import { findServed } from './served-names.ts';
import { flavourField, flavourOf } from './slot-flavour.ts';
import { dataAddressOf, hasEnded, isLeaving, isReady, poolUidOf } from './slot-pod.ts';

export interface LiveModel {
  readonly name: string;
  readonly model: Model;
  readonly stable: ModelRevision | undefined;
  readonly candidate: ModelRevision | undefined;
}

export interface SlotCounts {
  readonly existing: number;
  /** Of those that are late, too: a node may take minutes to come. */
  readonly coming: number;
  /** So many of them are late. */
  readonly late: number;
  /** Being deleted, and still there. */
  readonly leaving: number;
  /** The flavours of those that are coming. */
  readonly comingFlavours: readonly (string | undefined)[];
}

export interface World {
  readonly nowMs: number;
  readonly wallMs: number;
  /** Models that have their name and a place in the table, and are not being deleted. */
  readonly models: readonly LiveModel[];
  readonly revisions: ReadonlyMap<string, ModelRevision>;
  readonly pools: ReadonlyMap<string, Pool>;
  readonly slots: readonly RoutedSlot[];
  /** Slots that report an instance of the revision. */
  readonly slotsOf: ReadonlyMap<string, readonly RoutedSlot[]>;
  /** Slots in which the revision is wanted awake, leaving ones left out. */
  readonly awakeSlotsOf: ReadonlyMap<string, readonly RoutedSlot[]>;
  /** By pool: slots that exist, and those of them that are new and have not reported. */
  readonly slotCounts: ReadonlyMap<string, SlotCounts>;
  readonly loads: ReadonlyMap<string, ModelLoad>;
  /** Age of what routers said last: of the freshest and of the stalest. */
  readonly loadAgeMs: { readonly newest: number; readonly oldest: number };
  /** Every Ready slot and every Ready router Pod have been heard, and one router at least. */
  readonly isEverybodyHeard: boolean;
}

export const noSlots: SlotCounts = { existing: 0, coming: 0, late: 0, leaving: 0, comingFlavours: [] };
export const noLoad: ModelLoad = { queued: 0, inFlight: 0, oldestQueuedMs: 0, wakeLeaseMs: 0 };

export interface ObservedAt {
  readonly nowMs: number;
  readonly wallMs: number;
  /** Never older than this controller: whoever was late before it has its time anew. */
  readonly ageOf: AgeOf;
}

export function observeWorld(cluster: Cluster, fleet: Fleet, time: ObservedAt): World {
  const { nowMs } = time;
  const pools = new Map(cluster.list(kinds.Pool).map((pool) => [pool.metadata.name, pool]));
  const poolNames = new Map([...pools.values()].map((pool) => [pool.metadata.uid, pool.metadata.name]));
  const goingPools = new Set([...pools.values()].flatMap((pool) => (isGoing(pool) ? [pool.metadata.name] : [])));
  const revisions = new Map(cluster.list(kinds.ModelRevision).map((revision) => [revision.metadata.name, revision]));
  const slots: RoutedSlot[] = [];
  const slotCounts = new Map<string, SlotCounts>();
  for (const pod of cluster.list(kinds.Pod)) {
    const pool = poolNames.get(poolUidOf(pod) ?? '');
    if (pool === undefined) continue;
    const record = fleet.agents.get(pod.metadata.uid ?? '');
    slotCounts.set(
      pool,
      countSlot(slotCounts.get(pool), pod, isComing(pod, record) ? { isLate: isLate(pod, time) } : undefined),
    );
    const slot =
      record === undefined ? undefined : viewSlot(pod, { pool, isGoing: goingPools.has(pool) }, record, nowMs);
    if (slot !== undefined) slots.push(slot);
  }
  return {
    nowMs,
    wallMs: time.wallMs,
    models: listLiveModels(cluster, revisions),
    revisions,
    pools,
    slots,
    ...indexSlots(slots),
    slotCounts,
    loads: sumLoads(fleet.routers.values(), nowMs),
    loadAgeMs: ageOfLoads(fleet.routers, nowMs),
    isEverybodyHeard: isEverybodyHeard(cluster.list(kinds.Pod), fleet, poolNames),
  };
}

function countSlot(
  { existing, coming, late, leaving, comingFlavours }: SlotCounts = noSlots,
  pod: Pod,
  onItsWay: { readonly isLate: boolean } | undefined,
): SlotCounts {
  const counted = { existing: existing + 1, leaving: leaving + (isLeaving(pod) ? 1 : 0) };
  if (onItsWay === undefined) return { ...counted, coming, late, comingFlavours };
  return {
    ...counted,
    coming: coming + 1,
    late: late + (onItsWay.isLate ? 1 : 0),
    comingFlavours: [...comingFlavours, flavourOf(pod)],
  };
}

/** Routers that are no Pods, as on one machine, are not waited for by name. */
function isEverybodyHeard(pods: readonly Pod[], fleet: Fleet, pools: ReadonlyMap<string | undefined, string>): boolean {
  const routers = new Set([...fleet.routers.values()].map(({ session }) => session.identity.podUid));
  const isHeard = (pod: Pod) => {
    const { uid = '' } = pod.metadata;
    if (pools.has(poolUidOf(pod))) return fleet.agents.get(uid)?.hasReported === true;
    return pod.spec.serviceAccountName !== ROUTER_SERVICE_ACCOUNT || routers.has(uid);
  };
  return fleet.hasMetRouter() && pods.every((pod) => !isReady(pod) || isLeaving(pod) || isHeard(pod));
}

function isGoing({ metadata }: Pool): boolean {
  return metadata.deletionTimestamp !== undefined;
}

function listLiveModels(cluster: Cluster, revisions: ReadonlyMap<string, ModelRevision>): LiveModel[] {
  const models = cluster.list(kinds.Model);
  const served = findServed(models);
  return models
    .filter((model) => served.has(model))
    .map((model) => ({
      name: model.metadata.name,
      model,
      stable: revisions.get(model.status?.stableRevision ?? ''),
      candidate: revisions.get(model.status?.candidateRevision ?? ''),
    }));
}

/**
 * A slot that has not been heard of counts as long as it may come: who waits for it is not given another one, however long its
 * node or its image takes. Where its own node is the trouble, another slot may do better.
 */
function isComing(pod: Pod, record: AgentRecord | undefined): boolean {
  if (record?.report !== undefined || isLeaving(pod) || hasEnded(pod)) return false;
  return !isTroubledHere(pod) && !isNodeLost(pod);
}

function isLate(pod: Pod, { ageOf }: ObservedAt): boolean {
  return sinceMade(pod, ageOf) > SLOT_PATIENCE_MS;
}

/** Undefined: nothing is known of it, or it is away for too long. */
function viewSlot(
  pod: Pod,
  { pool, isGoing }: { readonly pool: string; readonly isGoing: boolean },
  record: AgentRecord,
  nowMs: number,
): RoutedSlot | undefined {
  const { report, session, podUid } = record;
  if (report === undefined) return undefined;
  if (session === undefined && nowMs - record.lostAtMs > AGENT_LOST_MS_MAX) return undefined;
  const leaving = isGoing || isLeaving(pod) || report.terminating;
  const ageMs = nowMs - record.reportedAtMs;
  return {
    podUid,
    name: pod.metadata.name,
    pool,
    isUsable: session !== undefined && record.hasReported && !leaving && !isOutdated(record),
    isLeaving: leaving,
    lacks: listLacking(record),
    ...flavourField(flavourOf(pod)),
    instances: report.instances.map((instance) => ageInstance(instance, ageMs, record)),
    assigned: record.assigned,
    address: dataAddressOf(pod, record.dataPort),
    node: pod.spec.nodeName,
    places: record.places,
  };
}

function ageInstance(instance: InstanceReport, ageMs: number, record: AgentRecord): InstanceView {
  const { idleMs, failure, inFlight } = instance;
  return {
    ...instance,
    rungAgeMs: instance.rungAgeMs + ageMs,
    ...(idleMs === undefined ? {} : { idleMs: inFlight > 0 ? 0 : idleMs + ageMs }),
    ...(failure === undefined ? {} : { failure: { ...failure, retryInMs: Math.max(0, failure.retryInMs - ageMs) } }),
    failures: record.failures.get(instance.revision),
  };
}

function indexSlots(slots: readonly RoutedSlot[]): Pick<World, 'slotsOf' | 'awakeSlotsOf'> {
  const slotsOf = new Map<string, RoutedSlot[]>();
  const awakeSlotsOf = new Map<string, RoutedSlot[]>();
  for (const slot of slots) {
    for (const { revision } of slot.instances) append(slotsOf, revision, slot);
    const awake = awakeIn(slot);
    if (awake !== undefined && !slot.isLeaving) append(awakeSlotsOf, awake.revision, slot);
  }
  return { slotsOf, awakeSlotsOf };
}

function append<T>(lists: Map<string, T[]>, key: string, value: T): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}

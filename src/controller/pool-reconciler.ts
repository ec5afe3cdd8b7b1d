// Reconciles one Pool: makes and deletes its slots, its finalizer, its status. A serial is reserved in the status before the
// Pod of it is made, so that no name is used twice. Never stops what runs in a slot: its agent drains when the Pod goes.
import { type Condition, setCondition } from '../api/group.ts';
import { kinds, type Pod } from '../api/kinds.ts';
import { residentRungs } from '../api/link.ts';
import type { Pool, PoolStatus } from '../api/pool.ts';
import { addSetback, noSetbacks, type Setbacks, waitAfterSetbacks } from '../core/plan/slot-setbacks.ts';
import { findDeparture, findTrouble, type SlotTrouble } from '../core/plan/slot-trouble.ts';
import { type PoolSlot, planSlots, type SlotsPlan } from '../core/plan/slots.ts';
import { idleMsOf } from '../core/plan/snapshot.ts';
import { RESYNC_MS, UNSEEN_MS_MAX } from './bounds.ts';
import { type CacheTrouble, judgeCompileCache } from './compile-cache-volume.ts';
import { type AgentRecord, type Fleet, isOutdated } from './fleet.ts';
import type { ControllerOptions } from './options.ts';
import type { SeenChildren } from './owned-child.ts';
import { findOwned } from './ownership.ts';
import { explainRefusal, isRefusal, type Refusal } from './refusals.ts';
import { chooseFlavour, flavourOf, isUnwanted, listWantedFlavours, renderFlavouredPod } from './slot-flavour.ts';
import { keepNetworkPolicy } from './slot-network.ts';
import { hasEnded, isLeaving, isReady, linkUrlOf, renderSlotPod, type SlotTemplate } from './slot-pod.ts';
import { judgeSpare, SPARE_CONDITION, type Spare, type SpareWish } from './spare.ts';
import { volumeOfStager } from './stager-pod.ts';
import { outcomeOfError, versionOf, writeFinalizer, writeStatus } from './status.ts';
import type { Steering } from './steering.ts';
import { isNodeLocal, weightsKeyOf } from './weight-volumes.ts';
import { done, type Outcome } from './work-queue.ts';

export const POOL_FINALIZER = 'stoker.dev/slots';

export interface PoolContext {
  readonly options: ControllerOptions;
  readonly fleet: Fleet;
  readonly steering: Steering;
  readonly template: () => SlotTemplate;
  /** Where the link listens in the controller's Pod. */
  readonly linkPort: number;
  /** Of each pool: slots that were made and are not in the cache yet, and when. */
  readonly made: Map<string, Map<string, number>>;
  readonly children: SeenChildren;
  /** Of each pool: what came to nothing lately. */
  readonly setbacks: Map<string, PoolSetbacks>;
  readonly spare: Spare;
}

export interface PoolSetbacks extends Setbacks {
  /** The slots that there were at the last one. A later one that works ends the series. */
  readonly known: ReadonlySet<string>;
  /** What became of the last one: how its Pod ended, or why the server did not take it. */
  readonly trouble?: Trouble;
}

export async function reconcilePool(name: string, context: PoolContext, signal: AbortSignal): Promise<Outcome> {
  const { cluster } = context.options;
  const pool = cluster.get(kinds.Pool, name);
  if (pool === undefined) {
    context.made.delete(name);
    context.setbacks.delete(name);
    return done;
  }
  const pods = findOwned(cluster.list(kinds.Pod), pool);
  if (pool.metadata.deletionTimestamp !== undefined) return finish(pool, pods, { context, signal });
  const held = { kind: kinds.Pool, object: pool, finalizer: POOL_FINALIZER, isHeld: true };
  if (pool.metadata.finalizers?.includes(POOL_FINALIZER) !== true) return writeFinalizer(cluster, held, signal);
  const guarded = await keepNetworkPolicy(pool, context.linkPort, { ...context, seen: context.children, signal });
  if (guarded.type !== 'done' && guarded.type !== 'failed') return guarded;
  const unseen = listUnseen(name, pods, context);
  noteConnected(name, pods, context);
  const lacking = context.steering.lackingIn(name);
  const isAwaiting = findAwaiting(pool, context.options);
  const flavours = listWantedFlavours(cluster, name);
  const plan = planSlots({
    ...pool.spec.slots,
    slots: [
      ...pods.map((pod) => viewSlot(pod, { flavours, isAwaiting: isAwaiting(pod) }, context)),
      ...unseen.map(newSlot),
    ],
    // Those count that the cache has not shown to the planner yet.
    lacking: Math.max(0, lacking.length - unseen.length),
    reserved: context.spare.reservedIn(name),
    isComplete: context.steering.isComplete(),
  });
  const removed = await removeSlots(plan, pods, { context, signal });
  if (removed.type !== 'done') return removed;
  const waitMs = noteSetbacks(pool, { pods, removed: plan.remove.map((slot) => slot.name), context });
  // Without its NetworkPolicy there is no new slot; those that there are go on.
  const mayCreate = plan.create > 0 && guarded.type === 'done';
  if (mayCreate && waitMs === 0) {
    const flavour = lacking.length > 0 ? lacking[0] : chooseFlavour(flavours, listFlavours(pods));
    return createSlot(pool, { context, signal, more: plan.create > 1, flavour });
  }
  const setback = guarded.type === 'failed' ? refusalOf(guarded) : recallSetback(name, plan, { pods, unseen, context });
  const status = renderPoolStatus(pool, pods, { context, setback });
  const written = await writeStatus(cluster, { kind: kinds.Pool, object: pool, status }, signal);
  if (written.type !== 'done') return written;
  announce(pool, status, context);
  if (guarded.type === 'failed') return guarded;
  return { type: 'again', afterMs: plan.create > 0 ? Math.min(waitMs, RESYNC_MS) : RESYNC_MS };
}

interface SetbackFacts {
  readonly pods: readonly Pod[];
  readonly removed: readonly string[];
  readonly context: PoolContext;
}

/** How long the next slot has to wait. A Pod that ended by itself is a setback; one that works and came later ends the series. */
function noteSetbacks(pool: Pool, { pods, removed, context }: SetbackFacts): number {
  const { fleet, options, setbacks } = context;
  const { name } = pool.metadata;
  const nowMs = options.clock.nowMs();
  const isConnected = ({ metadata }: Pod) => fleet.agents.get(metadata.uid ?? '')?.session !== undefined;
  const { known, trouble, ...before }: PoolSetbacks = setbacks.get(name) ?? { ...noSetbacks, known: new Set() };
  const hasRecovered = pods.some((pod) => isConnected(pod) && !known.has(pod.metadata.name));
  const ended = pods.filter((pod) => hasEnded(pod) && removed.includes(pod.metadata.name));
  let now: Setbacks = hasRecovered ? noSetbacks : before;
  for (const _ of ended) now = addSetback(now, nowMs);
  // Their Pods are deleted next, and with them what was known.
  const last = ended.flatMap((pod) => findTrouble(pod) ?? []).at(-1) ?? (hasRecovered ? undefined : trouble);
  if (now.count === 0) setbacks.delete(name);
  else if (ended.length > 0 || hasRecovered) {
    const names = new Set(pods.map(({ metadata }) => metadata.name));
    setbacks.set(name, { ...now, known: names, ...(last === undefined ? {} : { trouble: last }) });
  }
  return waitAfterSetbacks(now, nowMs);
}

interface MadeSlots {
  readonly pods: readonly Pod[];
  /** Names of those that were made and are not among the Pods yet. */
  readonly unseen: readonly string[];
  readonly context: PoolContext;
}

/** What still hinders: a refusal while a slot is to be made, an end while a slot is missing or has not come yet. */
function recallSetback(pool: string, { create }: SlotsPlan, { pods, unseen, context }: MadeSlots): Trouble | undefined {
  const trouble = context.setbacks.get(pool)?.trouble;
  if (trouble === undefined || create > 0) return trouble;
  const isConnected = ({ metadata }: Pod) => context.fleet.agents.get(metadata.uid ?? '')?.session !== undefined;
  const isAwaited = unseen.length > 0 || !pods.every(isConnected);
  return isAwaited && !isRefusal(trouble) ? trouble : undefined;
}

/** How long slots take is learned when they are there. */
function noteConnected(pool: string, pods: readonly Pod[], { fleet, options, spare }: PoolContext): void {
  for (const { metadata } of pods) {
    const isConnected = fleet.agents.get(metadata.uid ?? '')?.session !== undefined;
    if (isConnected) spare.noteConnected(pool, metadata.name, options.clock.nowMs());
  }
}

/** Slots that were made a moment ago count, although the cache has not caught up. One that does not show for long is gone:
 * somebody deleted it before we looked. */
function listUnseen(pool: string, pods: readonly Pod[], { made, options }: PoolContext): string[] {
  const names = made.get(pool) ?? new Map<string, number>();
  for (const pod of pods) names.delete(pod.metadata.name);
  for (const [name, madeMs] of names) if (options.clock.nowMs() - madeMs >= UNSEEN_MS_MAX) names.delete(name);
  return [...names.keys()];
}

function newSlot(name: string): PoolSlot {
  return { name, isLeaving: false, isBroken: false, isOccupied: true, unusedMs: 0 };
}

function listFlavours(pods: readonly Pod[]): (string | undefined)[] {
  return pods.filter((pod) => !isLeaving(pod)).map(flavourOf);
}

interface SlotUse {
  readonly flavours: readonly (string | undefined)[];
  /** Files are being brought to its node. */
  readonly isAwaiting: boolean;
}

function viewSlot(
  pod: Pod,
  { flavours, isAwaiting }: SlotUse,
  { fleet, options, steering, template }: PoolContext,
): PoolSlot {
  const record = fleet.agents.get(pod.metadata.uid ?? '');
  const isConnected = record?.session !== undefined;
  // A slot that dials an address we do not have any more can never reach us.
  const isLost = !isConnected && !isReady(pod) && linkUrlOf(pod) !== template().linkUrl;
  const sinceMs = record?.unusedSinceMs;
  return {
    name: pod.metadata.name,
    isLeaving: isLeaving(pod),
    isBroken: hasEnded(pod) || isLost,
    isOccupied: isOccupied(record) || isAwaiting,
    isGivenUp: steering.isGivenUp(pod.metadata.name) || isUnwanted(flavourOf(pod), flavours),
    unusedMs: sinceMs === undefined ? 0 : options.clock.nowMs() - sinceMs,
    ...(record !== undefined && isOutdated(record)
      ? { outdatedIdleMs: requestIdleMs(record, options.clock.nowMs()) }
      : {}),
  };
}

/** Tells of a slot whether files are being brought to its node, for somebody who will use them there. */
function findAwaiting(pool: Pool, options: ControllerOptions): (pod: Pod) => boolean {
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

function residentCount({ report }: AgentRecord): number {
  return (report?.instances ?? []).filter(({ rung }) => residentRungs.has(rung)).length;
}

/** A slot that the server will not have is a setback, too: the serial that was reserved for it comes back as a change, and with
 * it the next try. */
function noteRefusal(pool: Pool, outcome: Outcome, { options, setbacks }: PoolContext): void {
  const refusal = refusalOf(outcome);
  if (refusal === undefined) return;
  const { name } = pool.metadata;
  const known = new Set(findOwned(options.cluster.list(kinds.Pod), pool).map(({ metadata }) => metadata.name));
  const before = setbacks.get(name) ?? noSetbacks;
  setbacks.set(name, { ...addSetback(before, options.clock.nowMs()), known, trouble: refusal });
}

function forgetRefusal(pool: string, { setbacks }: PoolContext): void {
  const found = setbacks.get(pool);
  if (found?.trouble === undefined || !isRefusal(found.trouble)) return;
  const { trouble: _, ...rest } = found;
  setbacks.set(pool, rest);
}

function refusalOf(outcome: Outcome): Refusal | undefined {
  return outcome.type === 'failed' && outcome.isRefused === true ? explainRefusal(outcome.sentence) : undefined;
}

interface SlotToMake {
  readonly context: PoolContext;
  readonly signal: AbortSignal;
  /** Others are to be made after it. */
  readonly more: boolean;
  /** Undefined: for the built-in engines. */
  readonly flavour: string | undefined;
}

/** One serial at a time: reserved, made, looked at again. */
async function createSlot(pool: Pool, { context, signal, more, flavour }: SlotToMake): Promise<Outcome> {
  const { cluster, log } = context.options;
  const { name } = pool.metadata;
  const serial = pool.status?.nextSerial ?? 0;
  const reserved = await cluster.patchStatus(
    kinds.Pool,
    name,
    { nextSerial: serial + 1 },
    { ...versionOf(pool), signal },
  );
  if (!reserved.ok) return outcomeOfError(reserved.error);
  const template = context.template();
  const pod = renderFlavouredPod(renderSlotPod(pool, serial, template), flavour, { pool, template });
  const nowMs = context.options.clock.nowMs();
  context.spare.noteMade(pod.metadata.name, nowMs);
  context.made.set(name, (context.made.get(name) ?? new Map<string, number>()).set(pod.metadata.name, nowMs));
  const created = await cluster.create(kinds.Pod, pod, signal);
  if (!created.ok) {
    context.made.get(name)?.delete(pod.metadata.name);
    const outcome = outcomeOfError(created.error);
    noteRefusal(pool, outcome, context);
    return outcome;
  }
  forgetRefusal(name, context);
  context.steering.noteMade(name, flavour);
  log.info({ pool: name, slot: pod.metadata.name, serial }, 'a slot is made');
  cluster.recordEvent({
    regarding: pool,
    type: 'Normal',
    reason: 'SlotMade',
    message: `Made the slot ${pod.metadata.name}.`,
  });
  return more ? { type: 'conflict' } : done;
}

async function removeSlots(
  { remove }: SlotsPlan,
  pods: readonly Pod[],
  { context, signal }: { readonly context: PoolContext; readonly signal: AbortSignal },
): Promise<Outcome> {
  for (const { name, reason } of remove) {
    const removed = await removeSlot(pods, name, { context, signal, reason });
    if (removed.type !== 'done') return removed;
  }
  return done;
}

async function removeSlot(
  pods: readonly Pod[],
  slot: string,
  { context, signal, reason }: { readonly context: PoolContext; readonly signal: AbortSignal; readonly reason: string },
): Promise<Outcome> {
  const pod = pods.find(({ metadata }) => metadata.name === slot);
  if (pod === undefined) return done;
  const { cluster, log } = context.options;
  const { uid } = pod.metadata;
  const removed = await cluster.remove(kinds.Pod, slot, { ...(uid === undefined ? {} : { uid }), signal });
  if (!removed.ok) return outcomeOfError(removed.error);
  log.info({ slot, reason }, 'a slot is deleted');
  return done;
}

/** Every slot drains by itself when its Pod is deleted; the Pool goes when none is left. */
async function finish(
  pool: Pool,
  pods: readonly Pod[],
  { context, signal }: { readonly context: PoolContext; readonly signal: AbortSignal },
): Promise<Outcome> {
  const { cluster } = context.options;
  for (const pod of pods) {
    if (isLeaving(pod)) continue;
    const removed = await removeSlot(pods, pod.metadata.name, { context, signal, reason: 'the pool is being deleted' });
    if (removed.type !== 'done') return removed;
  }
  if (pods.length > 0 || listUnseen(pool.metadata.name, pods, context).length > 0)
    return { type: 'again', afterMs: 1000 };
  return writeFinalizer(cluster, { kind: kinds.Pool, object: pool, finalizer: POOL_FINALIZER, isHeld: false }, signal);
}

/** An event for everything bad that is there for the first time, or for another reason than before. */
function announce(pool: Pool, status: PoolStatus, { options }: PoolContext): void {
  for (const type of ['AgentOutdated', 'SlotTrouble']) {
    const badOf = (conditions: PoolStatus['conditions']) =>
      conditions?.find((condition) => condition.type === type && condition.status === 'True');
    const now = badOf(status.conditions);
    if (now === undefined || badOf(pool.status?.conditions)?.reason === now.reason) continue;
    options.cluster.recordEvent({ regarding: pool, type: 'Warning', reason: now.reason, message: now.message });
  }
}

interface StatusFacts {
  readonly context: PoolContext;
  /** What became of the last slot, or why the next one cannot be made. */
  readonly setback: Trouble | undefined;
}

function renderPoolStatus(pool: Pool, pods: readonly Pod[], { context, setback }: StatusFacts): PoolStatus {
  const { fleet, options, spare } = context;
  const records = pods.flatMap((pod) => fleet.agents.get(pod.metadata.uid ?? '') ?? []);
  const connected = records.filter(({ session, report }) => session !== undefined && report !== undefined);
  const instances = connected.flatMap(({ report }) => report?.instances ?? []);
  const found = pods.flatMap((pod) => (isLeaving(pod) ? findDeparture(pod) : findTrouble(pod)) ?? []);
  const forbidden = judgeCompileCache(pool, options);
  const troubles = [
    ...found,
    ...(setback === undefined ? [] : [setback]),
    ...(forbidden === undefined ? [] : [forbidden]),
  ];
  const readiness = judgeReady(pool, { pods, connected: connected.length, trouble: troubles[0] });
  const free = connected.filter((record) => residentCount(record) === 0).length;
  const wish = spare.wishOf(pool.metadata.name);
  const spareVerdicts = wish === undefined ? [] : [judgeSpare(wish, free, pool)];
  return {
    observedGeneration: pool.metadata.generation ?? 0,
    ...(pool.status?.nextSerial === undefined ? {} : { nextSerial: pool.status.nextSerial }),
    slots: pods.length,
    ready: connected.length,
    awake: instances.filter(({ rung, probed }) => rung === 'Awake' && probed).length,
    asleep: instances.filter(({ rung }) => rung === 'Asleep').length,
    spare: free,
    ...renderSpare(pool, wish),
    conditions: renderConditions(
      pool,
      [readiness, judgeTroubles(troubles), judgeAgents(records, pods), ...spareVerdicts],
      options.clock.wallMs(),
    ),
  };
}

/** Before the first plan of a new controller, what the last one wrote stays: it is what the plan begins with. */
function renderSpare({ spec, status }: Pool, wish: SpareWish | undefined): Partial<PoolStatus> {
  if (spec.spare === undefined) return {};
  const { spareWanted, spareDecision, spareHistory } = status ?? {};
  if (wish === undefined) return { spareWanted, spareDecision, spareHistory };
  const { wanted, sentence } = wish.figures;
  return { spareWanted: wanted, spareDecision: sentence.slice(0, 512), spareHistory: [...wish.history] };
}

/** What is said of spare slots goes when the Pool asks for none any more. */
function renderConditions(pool: Pool, verdicts: readonly Verdict[], wallMs: number): Condition[] {
  const observedGeneration = pool.metadata.generation ?? 0;
  const before = (pool.status?.conditions ?? []).filter(
    ({ type }) => type !== SPARE_CONDITION || pool.spec.spare !== undefined,
  );
  return verdicts.reduce<Condition[]>(
    (all, verdict) => setCondition(all, { ...verdict, observedGeneration }, wallMs),
    before,
  );
}

type Verdict = Pick<Condition, 'type' | 'status' | 'reason' | 'message'>;
type Trouble = SlotTrouble | Refusal | CacheTrouble;

/** Slots whose agents this controller can only listen to (DESIGN §14.1). */
function judgeAgents(records: readonly AgentRecord[], pods: readonly Pod[]): Verdict {
  const outdated = new Set(records.filter(isOutdated).map(({ podUid }) => podUid));
  const names = pods.filter(({ metadata }) => outdated.has(metadata.uid ?? '')).map(({ metadata }) => metadata.name);
  if (names.length === 0) {
    return { type: 'AgentOutdated', status: 'False', reason: 'AllCurrent', message: 'Every agent can be commanded.' };
  }
  const message = `The agents of ${names.join(', ')} are of a release that this controller cannot command. They serve what they have, and are replaced one after the other when no request came for a while.`;
  return { type: 'AgentOutdated', status: 'True', reason: 'AgentOutdated', message: message.slice(0, 1024) };
}

function judgeTroubles([first, ...others]: readonly Trouble[]): Verdict {
  if (first === undefined) {
    return { type: 'SlotTrouble', status: 'False', reason: 'NoTrouble', message: 'Nothing is wrong with a slot.' };
  }
  const more = others.length === 0 ? '' : ` ${others.length} more have trouble.`;
  return {
    type: 'SlotTrouble',
    status: 'True',
    reason: first.reason,
    message: `${first.message}${more}`.slice(0, 1024),
  };
}

interface SlotFacts {
  readonly pods: readonly Pod[];
  readonly connected: number;
  readonly trouble: Trouble | undefined;
}

function judgeReady(pool: Pool, { pods, connected, trouble }: SlotFacts): Verdict {
  const { min } = pool.spec.slots;
  if (connected >= Math.min(pods.length, Math.max(1, min)) && connected >= min) {
    const message = connected === 0 ? 'There is no slot; one is made when it is needed.' : 'Slots are connected.';
    return { type: 'Ready', status: 'True', reason: connected === 0 ? 'Empty' : 'SlotsConnected', message };
  }
  const { reason = 'SlotsStarting', message = 'Slots are starting.' } = trouble ?? {};
  return { type: 'Ready', status: 'False', reason, message: message.slice(0, 1024) };
}

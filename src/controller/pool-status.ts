// The status of a Pool: how many slots there are, what they hold, and its conditions; and the Events that tell of a new trouble.
// Never decides what becomes of a slot.
import { type Condition, setCondition } from '../api/group.ts';
import type { Pod } from '../api/kinds.ts';
import type { Pool, PoolStatus } from '../api/pool.ts';
import { findDeparture, findTrouble, type SlotTrouble } from '../core/plan/slot-trouble.ts';
import { AWAKE_ROOM, judgePoolRoom } from './awake-room.ts';
import { BUFFER_CONDITION, type BufferOutcome } from './capacity-buffer.ts';
import { judgeCompileCache } from './compile-cache-volume.ts';
import { type AgentRecord, isOutdated } from './fleet.ts';
import type { PoolContext, Trouble } from './pool-context.ts';
import { isConnected, residentCount } from './pool-slots.ts';
import { isLeaving } from './slot-pod.ts';
import { judgeSpare, SPARE_CONDITION, type SpareWish } from './spare.ts';

/** An event for everything bad that is there for the first time, or for another reason than before. */
export function announce(pool: Pool, status: PoolStatus, { options }: PoolContext): void {
  for (const [type, bad] of announced) {
    const badOf = (conditions: PoolStatus['conditions']) =>
      conditions?.find((condition) => condition.type === type && condition.status === bad);
    const now = badOf(status.conditions);
    if (now === undefined || badOf(pool.status?.conditions)?.reason === now.reason) continue;
    options.cluster.recordEvent({ regarding: pool, type: 'Warning', reason: now.reason, message: now.message });
  }
}

/** The status of each that is bad. */
const announced = [
  ['AgentOutdated', 'True'],
  ['SlotTrouble', 'True'],
  [AWAKE_ROOM, 'False'],
] as const;

interface StatusFacts {
  readonly context: PoolContext;
  /** What became of the last slot, or why the next one cannot be made. */
  readonly setback: Trouble | undefined;
  readonly buffer: BufferOutcome;
}

export function renderPoolStatus(
  pool: Pool,
  pods: readonly Pod[],
  { context, setback, buffer }: StatusFacts,
): PoolStatus {
  const { fleet, options, spare } = context;
  const records = pods.flatMap((pod) => fleet.agents.get(pod.metadata.uid ?? '') ?? []);
  const connected = records.filter(({ session, report }) => session !== undefined && report !== undefined);
  const instances = connected.flatMap(({ report }) => report?.instances ?? []);
  const found = findTroubles(pool, pods, context);
  const forbidden = judgeCompileCache(pool, options);
  const hindrances = setback === undefined ? [] : [setback];
  // What slots are in trouble with matters no more once they are to go.
  const troubles = isEnding(pool)
    ? hindrances
    : [...found, ...hindrances, ...(forbidden === undefined ? [] : [forbidden])];
  const readiness = judgeReady(pool, { pods, connected: connected.length, trouble: troubles[0] });
  const free = connected.filter((record) => residentCount(record) === 0).length;
  const wish = spare.wishOf(pool.metadata.name);
  const spareVerdicts = wish === undefined ? [] : [judgeSpare(wish, free, pool)];
  const bufferVerdicts = buffer.type === 'say' ? [buffer.verdict] : [];
  const room = judgePoolRoom(options.cluster, pool.metadata.name);
  const roomVerdicts = room === undefined ? [] : [{ type: AWAKE_ROOM, ...room }];
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
      [
        readiness,
        judgeTroubles(troubles),
        judgeAgents(records, pods),
        ...spareVerdicts,
        ...bufferVerdicts,
        ...roomVerdicts,
      ],
      options.clock.wallMs(),
    ).filter(
      ({ type }) =>
        (type !== BUFFER_CONDITION || buffer.type !== 'forget') && (type !== AWAKE_ROOM || room !== undefined),
    ),
  };
}

function findTroubles({ spec }: Pool, pods: readonly Pod[], { fleet, ages }: PoolContext): SlotTrouble[] {
  const common = { mayGrow: pods.length < spec.slots.max, ageOf: ages.ageOf };
  return pods.flatMap((pod) => {
    if (isLeaving(pod)) return findDeparture(pod, common) ?? [];
    return findTrouble(pod, { ...common, isReached: isConnected(pod, fleet) }) ?? [];
  });
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

/** Slots whose agents this controller can only listen to (DESIGN §14.1). */
function judgeAgents(records: readonly AgentRecord[], pods: readonly Pod[]): Verdict {
  const outdated = new Set(records.filter(isOutdated).map(({ podUid }) => podUid));
  const names = pods.filter(({ metadata }) => outdated.has(metadata.uid ?? '')).map(({ metadata }) => metadata.name);
  if (names.length === 0) {
    return { type: 'AgentOutdated', status: 'False', reason: 'AllCurrent', message: 'Every agent can be commanded.' };
  }
  const message = `The agents of ${names.join(', ')} are of a release that this controller cannot command. They serve what they have, and are replaced one after the other when no request came for a while.`;
  return { type: 'AgentOutdated', status: 'True', reason: 'AgentOutdated', message };
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
    message: `${first.message}${more}`,
  };
}

interface SlotFacts {
  readonly pods: readonly Pod[];
  readonly connected: number;
  readonly trouble: Trouble | undefined;
}

function isEnding({ metadata }: Pool): boolean {
  return metadata.deletionTimestamp !== undefined;
}

const NAMES_MAX = 8;

/** Those that were made a moment ago and are not seen yet have no name here. */
function judgeEnding({ metadata: { name } }: Pool, { pods, trouble }: SlotFacts): Verdict {
  const names = pods.slice(0, NAMES_MAX).map(({ metadata }) => metadata.name);
  const more = pods.length > NAMES_MAX ? ` and ${pods.length - NAMES_MAX} more` : '';
  const awaited =
    names.length === 0 ? 'slots that were just made' : `the Pods of its slots: ${names.join(', ')}${more}`;
  const next = trouble?.message ?? 'They answer what they have, and end by themselves.';
  const message = `The Pool ${name} is being deleted and waits for ${awaited}. ${next}`;
  return { type: 'Ready', status: 'False', reason: 'Deleting', message };
}

function judgeReady(pool: Pool, facts: SlotFacts): Verdict {
  if (isEnding(pool)) return judgeEnding(pool, facts);
  const { pods, connected, trouble } = facts;
  const { min } = pool.spec.slots;
  if (connected >= Math.min(pods.length, Math.max(1, min)) && connected >= min) {
    const message = connected === 0 ? 'There is no slot; one is made when it is needed.' : 'Slots are connected.';
    return { type: 'Ready', status: 'True', reason: connected === 0 ? 'Empty' : 'SlotsConnected', message };
  }
  const { reason = 'SlotsStarting', message = 'Slots are starting.' } = trouble ?? {};
  return { type: 'Ready', status: 'False', reason, message };
}

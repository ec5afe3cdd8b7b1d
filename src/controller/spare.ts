// How many slots of each Pool are to stand free: a reserve for every Pool that asks for one, told after each plan what is wanted.
// Learns how long slots take to be there. Decides nothing about Pods: src/core/plan/slots.ts does, from what this says.
import type { Condition } from '../api/group.ts';
import type { Pool, SpareDay, SparePolicy } from '../api/pool.ts';
import type { Placement, PlaceSnapshot } from '../core/plan/placement.ts';
import { createPoolDemand, type PoolDemand } from '../core/plan/pool/pool-demand.ts';
import {
  createReserve,
  type Reserve,
  type ReserveDay,
  type ReserveFigures,
  type ReservePolicy,
} from '../core/plan/pool/reserve.ts';
import { type ClimbHistory, guessClimbs, learnClimbTime } from '../core/plan/scale/climb-history.ts';
import { SLOT_MAKE_MS, SLOT_MAKE_MS_MAX, SPARE_HISTORY_EVERY_MS } from './bounds.ts';
import type { World } from './observe.ts';

/** What the reconciler of a Pool goes by. */
export interface SpareWish {
  /** Slots that instances are wanted awake in, and those that should stand free. */
  readonly reserved: number;
  readonly demand: number;
  readonly figures: ReserveFigures;
  /** For the status of the Pool, where the next controller finds it. Changes every few minutes at most. */
  readonly history: readonly SpareDay[];
}

export interface Spare {
  /** After a plan. Returns the Pools that should now have another number of slots. */
  note(planned: PlannedSlots): string[];
  wishOf(pool: string): SpareWish | undefined;
  /** Slots that there should be at least; 0 when the Pool asks for none to stand free. */
  reservedIn(pool: string): number;
  /** A slot was made, and its agent has connected. */
  noteMade(slot: string, nowMs: number): void;
  noteConnected(pool: string, slot: string, nowMs: number): void;
}

export interface PlannedSlots {
  readonly world: World;
  readonly snapshot: Pick<PlaceSnapshot, 'slots' | 'claims' | 'copies'>;
  readonly placement: Placement;
}

interface Kept {
  readonly reserve: Reserve;
  /** The rung Staged stands for nothing at all. */
  refill: ClimbHistory;
  wish: SpareWish | undefined;
  history: { readonly days: readonly SpareDay[]; readonly atMs: number } | undefined;
}

/** Slots that were made and never heard of. */
const MADE_MAX = 1000;

export function createSpare(): Spare {
  const pools = new Map<string, Kept>();
  const made = new Map<string, number>();
  const readDemand = createPoolDemand();
  return {
    note(planned) {
      const { pools: live } = planned.world;
      const demands = readDemand(planned);
      for (const name of pools.keys()) if (live.get(name)?.spec.spare === undefined) pools.delete(name);
      return [...live.values()].flatMap((pool) => {
        const demand = demands.get(pool.metadata.name) ?? { wanted: 0, fixed: 0 };
        return notePool(pools, { pool, demand }, planned);
      });
    },
    wishOf: (pool) => pools.get(pool)?.wish,
    reservedIn: (pool) => pools.get(pool)?.wish?.reserved ?? 0,
    noteMade(slot, nowMs) {
      if (made.size >= MADE_MAX) made.clear();
      made.set(slot, nowMs);
    },
    noteConnected(pool, slot, nowMs) {
      const sinceMs = made.get(slot);
      made.delete(slot);
      const kept = pools.get(pool);
      if (sinceMs === undefined || kept === undefined) return;
      kept.refill = learnClimbTime(kept.refill, 'Staged', Math.min(SLOT_MAKE_MS_MAX, nowMs - sinceMs));
    },
  };
}

interface NotedPool {
  readonly pool: Pool;
  readonly demand: PoolDemand;
}

function notePool(pools: Map<string, Kept>, { pool, demand }: NotedPool, planned: PlannedSlots): string[] {
  const { spare, slots } = pool.spec;
  const { name } = pool.metadata;
  if (spare === undefined || pool.metadata.deletionTimestamp !== undefined) return [];
  const guess = { Staged: SLOT_MAKE_MS, Asleep: SLOT_MAKE_MS };
  const kept = pools.get(name) ?? {
    reserve: createReserve({ days: readHistory(pool.status?.spareHistory ?? []) }),
    refill: guessClimbs(guess),
    wish: undefined,
    history: undefined,
  };
  pools.set(name, kept);
  const { nowMs, wallMs } = planned.world;
  // What a person fixed comes once and with notice: a slot is made for it, and none is kept free in case it comes again.
  kept.reserve.note({ nowMs, wallMs, demand: demand.wanted - demand.fixed, refillMs: kept.refill.Staged.slowMs });
  const claims = planned.snapshot.claims.filter((claim) => claim.pools.includes(name));
  const hasSleepers = claims.some(({ desired }) => desired === 0);
  const figures = kept.reserve.decide(policyOf(spare, slots.max), hasSleepers);
  const before = kept.wish;
  const reserved = demand.wanted + figures.wanted;
  kept.wish = { reserved, demand: demand.wanted, figures, history: historyOf(kept, nowMs) };
  const isNews = before?.reserved !== kept.wish.reserved || before.figures.sentence !== figures.sentence;
  return isNews ? [name] : [];
}

function historyOf(kept: Kept, nowMs: number): readonly SpareDay[] {
  const isFresh = kept.history !== undefined && nowMs - kept.history.atMs < SPARE_HISTORY_EVERY_MS;
  if (kept.history !== undefined && isFresh) return kept.history.days;
  const days = kept.reserve.state().days.map(({ day, watchedMs, rises }) => {
    return { day, watchedSeconds: Math.round(watchedMs / 1000), rises: [...rises] };
  });
  kept.history = { days, atMs: nowMs };
  return days;
}

function readHistory(days: readonly SpareDay[]): ReserveDay[] {
  return days.map(({ day, watchedSeconds, rises }) => ({ day, watchedMs: watchedSeconds * 1000, rises }));
}

export function policyOf({ hitBasisPoints = 9900, cost, min, max }: SparePolicy, slotsMax: number): ReservePolicy {
  const aim =
    cost === undefined
      ? ({ type: 'HitRate', share: hitBasisPoints / 10_000 } as const)
      : ({ type: 'Cost', lateWake: Number(cost.lateWake), slotHour: Number(cost.slotHour) } as const);
  return { aim, min, max: max ?? slotsMax };
}

export const SPARE_CONDITION = 'SpareMet';

type Verdict = Pick<Condition, 'type' | 'status' | 'reason' | 'message'>;

/** Whether as many slots stand free as should; `free` are connected and nothing is resident in them. */
export function judgeSpare({ figures, demand, reserved }: SpareWish, free: number, pool: Pool): Verdict {
  const { max } = pool.spec.slots;
  const type = SPARE_CONDITION;
  if (reserved > max) {
    const sum = `${demand} wanted + ${figures.wanted} free = ${reserved} slots, and slots.max is ${max}`;
    const message = `As many slots cannot stand free as should: ${sum}. Raise slots.max, or lower what spare asks for.`;
    return { type, status: 'False', reason: 'SlotsMax', message };
  }
  if (free < figures.wanted) {
    const message = `${free} of ${figures.wanted} slots stand free; others are being made or are still leaving what they held.`;
    return { type, status: 'False', reason: 'Refilling', message };
  }
  return { type, status: 'True', reason: 'SpareMet', message: 'As many slots stand free as should.' };
}

// The budget of changes: how often something may wake in a slot within an hour, and sleep again, without a request that waits for
// it. Flapping wears engines out and helps no caller. Remembers what was carried out; judges only, and never mends a plan.
import type { Claim, Placement, PlaceSnapshot } from '../plan/placement.ts';
import { type Assignment, ascentOf, awakeIn, canRun, reportOf, type SlotView } from '../plan/snapshot.ts';

/** A slot that must not be told the plan now. No mistake of a plan: the budget is what somebody set. */
export interface HeldBack {
  readonly podUid: string;
  readonly pool: string;
  readonly sentence: string;
}

export interface ChurnBudget {
  check(nowMs: number, snapshot: PlaceSnapshot, placement: Placement): HeldBack[];
  /** `assigned`, by Pod uid, is carried out from here on. */
  note(nowMs: number, snapshot: PlaceSnapshot, assigned: Placement['assigned']): void;
}

/** scaling.md §2.7; Pool.spec.changesPerSlotHourMax says otherwise. */
export const CHANGES_PER_HOUR_MAX = 60;
/** A sleep follows every wake, and is never held back itself: that would keep awake what nobody needs. */
const CHANGES_PER_WAKE = 2;
const HOUR_MS = 3_600_000;

export function createChurnBudget(): ChurnBudget {
  /** When something was woken in each slot that nobody waited for; no more often than the budget allows. */
  const woken = new Map<string, readonly number[]>();
  const listWakes = (podUid: string, nowMs: number) =>
    (woken.get(podUid) ?? []).filter((atMs) => atMs > nowMs - HOUR_MS);
  return {
    check(nowMs, snapshot, placement) {
      if (!snapshot.isComplete) return [];
      const facts = factsOf(snapshot);
      return snapshot.slots.flatMap((slot) => {
        if (!isUnasked(slot, placement.assigned, facts) || mustGo(slot, facts)) return [];
        const max = facts.maxOf(slot);
        const changes = CHANGES_PER_WAKE * (listWakes(slot.podUid, nowMs).length + 1);
        return changes <= max ? [] : [renderHeldBack(slot, max)];
      });
    },
    note(nowMs, snapshot, assigned) {
      const facts = factsOf(snapshot);
      const known = new Set(snapshot.slots.map(({ podUid }) => podUid));
      for (const podUid of woken.keys()) if (!known.has(podUid)) woken.delete(podUid);
      for (const slot of snapshot.slots) {
        if (!isUnasked(slot, assigned, facts)) continue;
        const kept = Math.ceil(facts.maxOf(slot) / CHANGES_PER_WAKE);
        woken.set(slot.podUid, [...listWakes(slot.podUid, nowMs), nowMs].slice(-kept));
      }
    },
  };
}

interface Facts {
  readonly claims: ReadonlyMap<string, Claim>;
  readonly copies: PlaceSnapshot['copies'];
  readonly awake: ReadonlyMap<string, number>;
  maxOf(slot: SlotView): number;
}

function factsOf({ claims, pools, copies, slots }: PlaceSnapshot): Facts {
  const limits = new Map(pools.map((pool) => [pool.name, pool.changesPerHourMax]));
  const awake = new Map<string, number>();
  for (const slot of slots) {
    const revision = awakeIn(slot)?.revision;
    if (revision !== undefined) awake.set(revision, (awake.get(revision) ?? 0) + 1);
  }
  return {
    claims: new Map(claims.map((claim) => [claim.revision, claim])),
    copies,
    awake,
    maxOf: ({ pool }) => limits.get(pool) ?? CHANGES_PER_HOUR_MAX,
  };
}

/** Whether something is to wake there for which nobody waits: a copy that is to sleep, a forecast, headroom. */
function isUnasked(slot: SlotView, assigned: Placement['assigned'], { claims, copies, awake }: Facts): boolean {
  const next = awakeAfter(slot, assigned.get(slot.podUid));
  if (next === undefined || next === awakeIn(slot)?.revision) return false;
  if (copies?.get(slot.podUid)?.revision === next) return true;
  const claim = claims.get(next);
  if (claim === undefined) return true;
  const { isBusy, waitedMs, min, pressing } = claim;
  const count = awake.get(next) ?? 0;
  // A model with requests that all are served waits for nobody: what wakes beside is for what may come.
  const isAsked = waitedMs > 0 || (pressing === undefined ? isBusy : count < pressing);
  return !isAsked && count >= min;
}

function awakeAfter(slot: SlotView, assigned: readonly Assignment[] | undefined): string | undefined {
  return assigned === undefined ? undefined : awakeIn({ ...slot, assigned })?.revision;
}

/** What is there has to leave, whatever comes after it. */
function mustGo(slot: SlotView, { claims }: Facts): boolean {
  const revision = awakeIn(slot)?.revision;
  if (revision === undefined) return false;
  const claim = claims.get(revision);
  if (claim === undefined || !claim.pools.includes(slot.pool) || !canRun(slot, claim)) return true;
  return slot.without?.has(revision) === true || ascentOf(reportOf(slot, revision)) === 'Failed';
}

function renderHeldBack({ podUid, pool, name }: SlotView, max: number): HeldBack {
  const sentence = `${name} has used up its ${max} changes of an hour, so nothing wakes there that no request waits for`;
  return { podUid, pool, sentence };
}

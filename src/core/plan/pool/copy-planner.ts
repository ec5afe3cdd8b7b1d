// Which sleeping copies are being made: one at a time on each node and two in a pool, in slots that stand free. Remembers what
// it asked for until it is there, was given up, or took too long. Must never take a slot from anybody: placement sees to that.

import { residentRungs } from '../../../api/link.ts';
import type { CopyOrder } from '../placement.ts';
import { awakeIn, type SlotView } from '../snapshot.ts';
import { type CopyModel, type CopyPlan, type CopySlot, listCopies, mayGetCopy, planCopy } from './copies.ts';
import { createSlotUse, type SlotUse } from './slot-use.ts';

export interface CopyInput {
  readonly nowMs: number;
  readonly models: ReadonlyMap<string, CopyModel>;
  readonly slots: readonly SlotView[];
  /** What may be asleep in a slot. */
  budgetOf(slot: SlotView): SleeperBudget;
  /** Whether a slot, by Pod uid, may have a copy of a model. Missing: it may. */
  mayHold?(podUid: string, model: string): boolean;
  /** The node of a slot, by Pod uid. */
  nodeOf(podUid: string): string;
}

export interface SleeperBudget {
  readonly sleepersMax: number;
  readonly sleeperBytesMax?: number | undefined;
}

export interface CopyPlanner {
  /** By Pod uid. Called at every plan: how busy slots are is learned from it. */
  plan(input: CopyInput): ReadonlyMap<string, CopyOrder>;
  /** These are to serve, by Pod uid: they are made for somebody now. */
  release(podUids: readonly string[]): void;
}

interface Making {
  readonly order: CopyOrder;
  readonly pool: string;
  readonly sinceMs: number;
}

const LOOK_EVERY_MS = 5000;
/**
 * A look weighs so many models in slots, a few milliseconds of work, but no fewer than those of one node. It goes on with the
 * next nodes at the next look: of a hundred models that is a hundred free slots, and a thousand of them take 50 s.
 */
export const WEIGHED_MAX = 10_000;
/**
 * The slots of a pool read their weights over one link, from a claim or a registry, and what callers wait for goes over it as
 * well. Two starts fill such a link (scaling.md §2.4); these are for nobody yet, so more of them wait.
 */
export const MAKING_MAX = 2;
/** A slot is told within this time, or something else took it. */
const BEGIN_MS_MAX = 3000;
const MAKE_MS_MAX = 900_000;

export function createCopyPlanner(): CopyPlanner {
  const use = createSlotUse();
  const making = new Map<string, Making>();
  let lookedMs = Number.NEGATIVE_INFINITY;
  let lookedAt: string | undefined;
  return {
    plan(input) {
      const { nowMs, slots } = input;
      use.note(nowMs, new Map(slots.map((slot) => [slot.podUid, holderOf(slot, making.get(slot.podUid))])));
      forget(making, input);
      if (nowMs - lookedMs >= LOOK_EVERY_MS) {
        lookedMs = nowMs;
        const { found, last } = look(input, { use, making, after: lookedAt });
        lookedAt = last;
        for (const [podUid, begun] of found) making.set(podUid, begun);
      }
      return new Map([...making].map(([podUid, { order }]) => [podUid, order]));
    },
    release(podUids) {
      for (const podUid of podUids) making.delete(podUid);
    },
  };
}

/** A copy that is being made holds the slot for nobody: it gives way. */
function holderOf(slot: SlotView, making: Making | undefined): string | undefined {
  const holder = awakeIn(slot)?.revision ?? slot.instances.find(({ rung }) => residentRungs.has(rung))?.revision;
  return holder === making?.order.revision ? undefined : holder;
}

function forget(making: Map<string, Making>, { nowMs, slots }: CopyInput): void {
  const bySlot = new Map(slots.map((slot) => [slot.podUid, slot]));
  for (const [podUid, { order, sinceMs }] of making) {
    const slot = bySlot.get(podUid);
    const rung = slot?.instances.find(({ revision }) => revision === order.revision)?.rung;
    const isOnItsWay = rung === 'Starting' || (rung === undefined && nowMs - sinceMs < BEGIN_MS_MAX);
    if (slot === undefined || !isOnItsWay || nowMs - sinceMs > MAKE_MS_MAX) making.delete(podUid);
  }
}

/** One for each node on which none is being made, of the nodes that come after the last one that was looked at. */
function look(
  input: CopyInput,
  { use, making, after }: { use: SlotUse; making: ReadonlyMap<string, Making>; after: string | undefined },
): { readonly found: ReadonlyMap<string, Making>; readonly last: string | undefined } {
  const { nowMs, models, mayHold } = input;
  const room = readRoom(input.slots, making);
  const busyNodes = new Set([...making.keys()].map((podUid) => input.nodeOf(podUid)));
  const slots = input.slots.map((slot) => readSlot(slot, { node: input.nodeOf(slot.podUid), ...input.budgetOf(slot) }));
  const open = slots.filter((slot) => mayGetCopy(slot) && room.has(slot.name));
  const free = Map.groupBy(open, ({ name }) => input.nodeOf(name));
  for (const node of busyNodes) free.delete(node);
  const turn = takeTurn(free, { after, models: models.size });
  if (turn.length === 0) return { found: new Map(), last: after };
  const takenShare = (slot: string, model: string) => use.takenShare(slot, model);
  const copies = listCopies({ models, slots, takenShare, ...(mayHold === undefined ? {} : { mayHold }) });
  const plans = turn.flatMap((node) => planCopy(copies, free.get(node) ?? []) ?? []);
  const begun = pickPlans(plans, room).map(({ plan, pool }) => {
    return [plan.slot, { order: orderOf(plan), pool: pool.name, sinceMs: nowMs }] as const;
  });
  return { found: new Map(begun), last: turn.at(-1) };
}

/** A pool in which another copy may be begun. */
interface PoolRoom {
  readonly name: string;
  readonly left: number;
}

/** By Pod uid. A slot of a pool in which enough are being made is not in it. */
function readRoom(slots: readonly SlotView[], making: ReadonlyMap<string, Making>): Map<string, PoolRoom> {
  const counts = new Map<string, number>();
  for (const { pool } of making.values()) counts.set(pool, (counts.get(pool) ?? 0) + 1);
  const room = slots.map(
    ({ podUid, pool }) => [podUid, { name: pool, left: MAKING_MAX - (counts.get(pool) ?? 0) }] as const,
  );
  return new Map(room.filter(([, { left }]) => left > 0));
}

/** In each pool those that save most. */
function pickPlans(plans: readonly CopyPlan[], room: ReadonlyMap<string, PoolRoom>) {
  const byGain = plans
    .flatMap((plan) => {
      const pool = room.get(plan.slot);
      return pool === undefined ? [] : [{ plan, pool }];
    })
    .sort((a, b) => b.plan.gain - a.plan.gain);
  return [...Map.groupBy(byGain, ({ pool }) => pool.name).values()].flatMap((all) => all.slice(0, all[0]?.pool.left));
}

function orderOf({ model, instead }: CopyPlan): CopyOrder {
  return { revision: model, ...(instead === undefined ? {} : { instead }) };
}

/** Whose turn it is: the nodes after this one by name, and round to the first again. */
function takeTurn(
  free: ReadonlyMap<string, readonly CopySlot[]>,
  { after, models }: { readonly after: string | undefined; readonly models: number },
): string[] {
  const nodes = [...free.keys()].sort();
  const first = after === undefined ? 0 : nodes.findIndex((node) => node > after);
  const turn: string[] = [];
  let weighed = 0;
  for (const node of [...nodes.slice(Math.max(0, first)), ...nodes.slice(0, Math.max(0, first))]) {
    weighed += (free.get(node)?.length ?? 0) * models;
    if (turn.length > 0 && weighed > WEIGHED_MAX) break;
    turn.push(node);
  }
  return turn;
}

function readSlot(slot: SlotView, at: SleeperBudget & { readonly node: string }): CopySlot {
  const models = new Set([...slot.assigned, ...slot.instances].map(({ revision }) => revision));
  const isFree = slot.isUsable && !slot.isLeaving && holderOf(slot, undefined) === undefined;
  return { name: slot.podUid, models: [...models], isFree, ...at };
}

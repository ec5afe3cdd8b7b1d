// Which sleeping copies are being made: one at a time on each node, in slots that stand free. Remembers what it asked for until it
// is there, was given up, or took too long. Must never take a slot from anybody: placement sees to that.

import { residentRungs } from '../../../api/link.ts';
import type { CopyOrder } from '../placement.ts';
import { awakeIn, type SlotView } from '../snapshot.ts';
import { type CopyModel, type CopySlot, planCopy } from './copies.ts';
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
}

interface Making {
  readonly order: CopyOrder;
  readonly sinceMs: number;
}

const LOOK_EVERY_MS = 5000;
/** A slot is told within this time, or something else took it. */
const BEGIN_MS_MAX = 3000;
const MAKE_MS_MAX = 900_000;

export function createCopyPlanner(): CopyPlanner {
  const use = createSlotUse();
  const making = new Map<string, Making>();
  let lookedMs = Number.NEGATIVE_INFINITY;
  return {
    plan(input) {
      const { nowMs, slots } = input;
      use.note(nowMs, new Map(slots.map((slot) => [slot.podUid, holderOf(slot, making.get(slot.podUid))])));
      forget(making, input);
      if (nowMs - lookedMs >= LOOK_EVERY_MS) {
        lookedMs = nowMs;
        for (const [podUid, order] of look(input, { use, making })) making.set(podUid, { order, sinceMs: nowMs });
      }
      return new Map([...making].map(([podUid, { order }]) => [podUid, order]));
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

/** One for each node on which none is being made. */
function look(
  input: CopyInput,
  { use, making }: { use: SlotUse; making: ReadonlyMap<string, Making> },
): Map<string, CopyOrder> {
  const all = input.slots.map((slot) => readSlot(slot, input.budgetOf(slot)));
  const busyNodes = new Set([...making.keys()].map((podUid) => input.nodeOf(podUid)));
  const found = new Map<string, CopyOrder>();
  for (const node of new Set(input.slots.map((slot) => input.nodeOf(slot.podUid)))) {
    if (busyNodes.has(node)) continue;
    const slots = all.map((slot) => (input.nodeOf(slot.name) === node ? slot : { ...slot, isFree: false }));
    const takenShare = (slot: string, model: string) => use.takenShare(slot, model);
    const { models, mayHold } = input;
    const plan = planCopy({ models, slots, takenShare, ...(mayHold === undefined ? {} : { mayHold }) });
    if (plan === undefined) continue;
    const { model, slot, instead } = plan;
    found.set(slot, { revision: model, ...(instead === undefined ? {} : { instead }) });
  }
  return found;
}

function readSlot(slot: SlotView, budget: SleeperBudget): CopySlot {
  const models = new Set([...slot.assigned, ...slot.instances].map(({ revision }) => revision));
  const isFree = slot.isUsable && !slot.isLeaving && holderOf(slot, undefined) === undefined;
  return { name: slot.podUid, models: [...models], isFree, ...budget };
}

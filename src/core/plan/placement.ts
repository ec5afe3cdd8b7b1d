// What placement is asked and what it answers: claims of revisions, limits of pools, assignments of slots. Plain data.
// The rules are in place.ts, and what may never come out of them is in src/core/check/placement.ts.
import type { SlotEngine } from '../../api/link.ts';
import type { Assignment, SlotView } from './snapshot.ts';

/** What one revision wants. A revision without a claim has to go. */
export interface Claim {
  readonly model: string;
  readonly revision: string;
  /** Preferred first. */
  readonly pools: readonly string[];
  /** Instances that should be awake. */
  readonly desired: number;
  /** Instances that are never taken away for another model. */
  readonly min: number;
  readonly canSleep: boolean;
  /** Only slots whose agent knows it will do. Missing: every slot will. */
  readonly engine?: SlotEngine;
  /** Routers have requests for it. */
  readonly isBusy: boolean;
  /** It takes a slot from nobody who has work. */
  readonly isPatient: boolean;
  /** How long its oldest request, or the candidate itself, has waited. */
  readonly waitedMs: number;
}

export interface PoolView {
  readonly name: string;
  readonly sleepersPerSlotMax: number;
  /** Slots that are on their way or may still be made. */
  readonly room: number;
}

export interface PlaceBounds {
  /** A busy instance gives way to a model that has nothing awake after this time. */
  readonly residencyMs: number;
  /** An instance without work gives way after this time: its first request may still be on its way. */
  readonly settleMs: number;
}

export const placeBounds: PlaceBounds = { residencyMs: 15_000, settleMs: 1000 };

export interface PlaceSnapshot {
  readonly slots: readonly SlotView[];
  readonly claims: readonly Claim[];
  readonly pools: readonly PoolView[];
  /** False while a new leader does not know every slot: then instances are woken, and none sleeps, stops or goes. */
  readonly isComplete: boolean;
}

/** One change of an assignment, with its reason. */
export interface Move {
  readonly slot: string;
  readonly model: string;
  readonly revision: string;
  readonly to: Assignment['rung'] | 'Absent';
  readonly reason: string;
}

export interface Placement {
  /** By Pod uid; every usable slot is in it. */
  readonly assigned: ReadonlyMap<string, readonly Assignment[]>;
  readonly moves: readonly Move[];
  /** Instances for which there is no slot, and the pool in which one more would help. */
  readonly unmet: readonly { readonly claim: Claim; readonly pool: string | undefined }[];
}

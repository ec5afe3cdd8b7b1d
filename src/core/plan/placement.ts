// What placement is asked and what it answers: claims of revisions, limits of pools, assignments of slots. Plain data.
// The rules are in place.ts, and what may never come out of them is in src/core/check/placement.ts.
import type { Assignment, EngineNeed, SlotView } from './snapshot.ts';

/** What one revision wants. A revision without a claim has to go. */
export interface Claim extends EngineNeed {
  readonly model: string;
  readonly revision: string;
  /** Preferred first. */
  readonly pools: readonly string[];
  /** Instances that should be awake. */
  readonly desired: number;
  /** Of these, so many may be started from nothing; the others are only woken. Missing: all of them may. */
  readonly coldMax?: number;
  /** Instances that are never taken away for another model. */
  readonly min: number;
  readonly canSleep: boolean;
  /** Host memory that an instance of it holds once it sleeps. Missing: nothing is known, and it counts as none. */
  readonly asleepBytes?: number;
  /** Routers have requests for it. */
  readonly isBusy: boolean;
  /** It takes a slot from nobody who has work. */
  readonly isPatient: boolean;
  /** A caller was told to come back for it: it is not taken away before somebody has come, or the promise is over. */
  readonly isPromised?: boolean;
  /** How long its oldest request, or the candidate itself, has waited. */
  readonly waitedMs: number;
  /** Of the desired, so many are for work that waits; the others take nobody's slot. Missing: all are. */
  readonly pressing?: number;
  /** Slots that its usual work keeps busy. Missing: not known, and taken for none. */
  readonly load?: number;
  /** How long its climbs take. Missing: places are told apart by what is in them alone. */
  readonly climb?: ClimbCost;
  /** How likely an idle copy is needed before another one could be made, 0 to 1. Missing: the longest unused goes first. */
  readonly chance?: number;
}

/** Usual times of one instance, in milliseconds. */
export interface ClimbCost {
  readonly wakeMs: number;
  readonly startMs: number;
  readonly drainMs: number;
  readonly sleepMs: number;
}

export interface PoolView {
  readonly name: string;
  readonly sleepersPerSlotMax: number;
  /** Host memory for sleepers in each slot, for who is awake now as well. Missing: as much as they take. */
  readonly sleeperBytes?: number | undefined;
  /** Slots that are on their way or may still be made. */
  readonly room: number;
  /** Slots that were made do not come: others go before it, and it is no reason to wait. */
  readonly isLate?: boolean;
  /** Slots that are being deleted: others can take their place when they are gone. */
  readonly leaving?: number;
  /** How often an hour a slot may change without a request that waits for it. Missing: as src/core/check/churn.ts says. */
  readonly changesPerHourMax?: number;
}

export interface PlaceBounds {
  /** A busy instance gives way to a model that has nothing awake after this time. */
  readonly residencyMs: number;
  /** An instance without work gives way after this time: its first request may still be on its way. */
  readonly settleMs: number;
  /** Wakes of one node that run at full rate at the same time; more share what these use. */
  readonly wakesAtFullRate: number;
}

/** 44 GB/s of a node in total, 21 GB/s for one (scaling.md §1.2). */
export const WAKES_AT_FULL_RATE = 2;

export const placeBounds: PlaceBounds = {
  residencyMs: 15_000,
  settleMs: 1000,
  wakesAtFullRate: WAKES_AT_FULL_RATE,
};

export interface CopyOrder {
  readonly revision: string;
  /** The sleeper that is stopped for it. Missing: there is room. */
  readonly instead?: string;
}

export interface PlaceSnapshot {
  readonly slots: readonly SlotView[];
  readonly claims: readonly Claim[];
  readonly pools: readonly PoolView[];
  /** Copies that are being made, to be put to sleep, by Pod uid. They serve nobody and give way to everybody. */
  readonly copies?: ReadonlyMap<string, CopyOrder>;
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

export interface Unmet {
  readonly claim: Claim;
  readonly pool: string | undefined;
  /** Only a sleeper would do, and there is none: a slot more would not help. */
  readonly isWakeOnly?: boolean;
}

export interface Placement {
  /** By Pod uid; every usable slot is in it. */
  readonly assigned: ReadonlyMap<string, readonly Assignment[]>;
  readonly moves: readonly Move[];
  /** Instances for which there is no slot, and the pool in which one more would help. */
  readonly unmet: readonly Unmet[];
  /** Names of slots that should go, so that ones of another flavour can take their place. */
  readonly givenUp: readonly string[];
  /** By Pod uid, copies that are to serve as soon as they are there: they are copies no more. */
  readonly adopted?: readonly string[];
}

// What is simulated: models with their objectives, a fleet of slots on nodes, what goes wrong, and the seed of chance.
// Plain data with the limits that a run keeps.
import type { ModelProfile } from './profile.ts';
import type { Trace } from './request.ts';

export interface SimModel {
  readonly name: string;
  readonly profile: ModelProfile;
  /** A request is within its objective when its first token comes by then. */
  readonly firstTokenMsMax: number;
  /** Rank of the bursts that what is awake has to meet. Missing: as the scaler's settings say. */
  readonly headroomRank?: number;
  /** As Model.spec.scaling.sleepAfterSeconds. Missing: as the scaler's settings say. */
  readonly sleepAfterMs?: number;
  readonly minAwake: number;
  readonly maxAwake: number;
}

export interface FleetShape {
  readonly slots: number;
  readonly slotsPerNode: number;
  /** Wakes that move weights at full rate on one node at the same time (scaling.md §1.2: 44 of 21 GB/s). */
  readonly wakesAtFullRate: number;
  readonly sleepersPerSlotMax: number;
  /** As Pool.spec.sleeperBytes. Missing: only their number is bounded. */
  readonly sleeperBytes?: number;
  /** What is in the slots before the first request: sleepers of all models in turn up to the most, or nothing. */
  readonly begin: 'Asleep' | 'Nothing';
  /** Every slot begins with an idle model awake in it that has to make room. */
  readonly isOccupied: boolean;
}

export interface Faults {
  /** Share of wakes that end in a failed process. */
  readonly failedWakes: number;
  /** Memory that an engine holds more after each of its sleeps than after the one before. */
  readonly leakMiB: number;
  /** Routers say nothing in these spans. */
  readonly silences: readonly { readonly fromMs: number; readonly toMs: number }[];
  readonly lostNodes: readonly LostNode[];
}

/** A node is gone from a time on. */
export interface LostNode {
  readonly atMs: number;
  readonly node: number;
  /** When another one stands in its place, with nothing in it but the weights. Missing: never. */
  readonly backMs?: number;
  /** What it took to get it, for the report. */
  readonly failedProvisions?: number;
  readonly isAllocatableLate?: boolean;
}

export const noFaults: Faults = { failedWakes: 0, leakMiB: 0, silences: [], lostNodes: [] };

export interface Scenario {
  readonly trace: Trace;
  readonly models: readonly SimModel[];
  readonly fleet: FleetShape;
  readonly faults: Faults;
  readonly seed: number;
}

/** After the trace ends, a run waits this long for requests that are under way. */
export const AFTER_MS_MAX = 1_800_000;

// What a scaling policy is asked in the simulator and what it answers: how many instances of each model should be awake.
// Every policy sees the same fleet; what it looks at, how often and how late is its own.

import type { ClimbCost, CopyOrder } from '../../core/plan/placement.ts';
import type { SlotView } from '../../core/plan/snapshot.ts';
import type { StepSample } from '../replica.ts';
import type { SimRequest } from '../request.ts';
import type { SimModel } from '../scenario.ts';
import type { SleeperMemory } from '../sleeper-memory.ts';

export interface PendingReading {
  readonly from: 'Staged' | 'Asleep';
  /** Time since the climb began; 0 for one that waits for its slot. */
  readonly ageMs: number;
}

export interface ReplicaReading {
  readonly promptLeft: number;
  readonly promptBehind: number;
  readonly kvShare: number;
  readonly inFlight: number;
  readonly idleMs: number;
}

export interface ModelReading {
  readonly model: SimModel;
  /** Requests that no replica has, the oldest first. */
  readonly waiting: Iterable<SimRequest>;
  readonly queued: number;
  readonly inFlight: number;
  /** Instances that are awake and wanted so. */
  readonly ready: number;
  readonly pending: readonly PendingReading[];
  readonly asleep: number;
  /** What a wake takes above its climb, where it is shortest: 0 when a slot with a sleeper stands free. */
  readonly makeRoomMs: number;
  /** Instances that were ordered awake before. */
  readonly ordered: number;
  /** Of each that is ready: prompt tokens taken and not read, those of them behind the first prompt, share of its memory for tokens, requests, time without one. */
  readonly replicas: readonly ReplicaReading[];
  /** Time since an instance of it began or ended a request. */
  readonly idleMs: number;
}

export interface FleetReading {
  readonly nowMs: number;
  /** Age of what routers said last. */
  readonly signalAgeMs: number;
  readonly models: readonly ModelReading[];
  /** Slots that are there, for all of them together. */
  readonly slots: number;
}

export interface FleetSlots {
  readonly nowMs: number;
  readonly slots: readonly SlotView[];
  readonly sleepersPerSlotMax: number;
  /** Missing: only their number is bounded. */
  readonly memory?: SleeperMemory | undefined;
  nodeOf(podUid: string): string;
}

export interface Order {
  readonly desired: number;
  /** Of these, so many may be started from nothing. Missing: all. */
  readonly coldMax?: number;
  /** What placement may know of it besides (src/core/plan/placement.ts). */
  readonly pressing?: number;
  readonly load?: number;
  readonly climb?: ClimbCost;
  readonly chance?: number;
}

export interface Policy {
  readonly name: string;
  /** How often it decides. */
  readonly everyMs: number;
  /** It also decides this long after a request found nothing free. Missing: it does not. */
  readonly urgentMs?: number;
  /** Instances of each model that are awake before the first request. */
  readonly begin?: ReadonlyMap<string, number>;
  onArrival?(request: SimRequest): void;
  onDone?(request: SimRequest): void;
  onStep?(model: string, sample: StepSample): void;
  onClimbed?(model: string, from: 'Staged' | 'Asleep', tookMs: number): void;
  decide(reading: FleetReading): ReadonlyMap<string, Order>;
  /** Copies to be made in free slots, after each decision. */
  planCopies?(slots: FleetSlots): ReadonlyMap<string, CopyOrder>;
  /** Of these some serve now. */
  releaseCopies?(names: readonly string[]): void;
}

/** Made anew for every run: a policy remembers. */
export type PolicyFactory = (models: readonly SimModel[]) => Policy;

// How much host memory an instance of each revision holds once it sleeps: what sleepers reported, and a guess from the size of the
// weights before the first one slept for a while. Remembers figures only; decides nothing.
import type { ModelRevision } from '../api/model-revision.ts';
import type { Pool } from '../api/pool.ts';
import type { Claim } from '../core/plan/placement.ts';
import type { SlotView } from '../core/plan/snapshot.ts';
import type { World } from './observe.ts';

/** An engine is asked for its memory every few seconds: sooner the figure may be from when it was awake. */
const SETTLED_MS_MIN = 15_000;
/** A larger figure counts at once, and a smaller one by this share of the difference. */
const SMALLER_SHARE = 0.1;

const MIB = 1024 * 1024;
/** A process of a large engine: its runtime and what its accelerator's driver keeps in host memory. */
const PROCESS_BYTES = 8192 * MIB;
const OWN_PROCESS_BYTES = 512 * MIB;

/** Before anything is known, the most. Level 1 keeps the weights in host memory, and the copy is made while they lie there once more. */
export function guessAsleepBytes(revision: ModelRevision): number {
  const { spec } = revision;
  return hasOwnRuntime(revision) ? leastAsleepBytes(revision) : 2 * (spec.weights?.sizeBytes ?? 0) + PROCESS_BYTES;
}

/** The least: the weights once, and the process. */
function leastAsleepBytes(revision: ModelRevision): number {
  const { engine, weights } = revision.spec;
  // Simulated weights lie nowhere. The built-in engine gives back more than this when it sleeps.
  const weightsBytes = engine.name === 'Sim' ? 0 : (weights?.sizeBytes ?? 0);
  return weightsBytes + (hasOwnRuntime(revision) ? OWN_PROCESS_BYTES : PROCESS_BYTES);
}

function hasOwnRuntime({ spec }: ModelRevision): boolean {
  return spec.engine.name === 'Sim' || spec.engine.name === 'Llama';
}

export interface AsleepBytes {
  readonly bytes: number;
  /** A sleeper said so. */
  readonly isMeasured: boolean;
}

export interface SleepMemory {
  /** Tells claims what their sleepers hold. Called at every plan: it learns from the world. */
  weigh(world: World, claims: readonly Claim[]): Claim[];
  /** As the last plan counted it. */
  bytesOf(revision: string): AsleepBytes | undefined;
}

export function createSleepMemory(): SleepMemory {
  const learned = new Map<string, number>();
  const trials = createTrials();
  let counted: ReadonlyMap<string, AsleepBytes> = new Map();
  const count = ({ revision, pools }: Claim, world: World): AsleepBytes => {
    const measured = learned.get(revision);
    if (measured !== undefined) return { bytes: measured, isMeasured: true };
    const known = world.revisions.get(revision);
    if (known === undefined) return { bytes: 0, isMeasured: false };
    const most = guessAsleepBytes(known);
    const budget = trials.hasFailed(revision) ? 0 : trialBudget(pools, world.pools);
    return {
      bytes: budget === 0 ? most : Math.min(most, Math.max(leastAsleepBytes(known), budget)),
      isMeasured: false,
    };
  };
  return {
    weigh(world, claims) {
      for (const revision of learned.keys()) if (!world.revisions.has(revision)) learned.delete(revision);
      learnFrom(world, learned);
      trials.look(world, learned);
      counted = new Map(claims.map((claim) => [claim.revision, count(claim, world)]));
      return claims.map((claim) => ({ ...claim, asleepBytes: counted.get(claim.revision)?.bytes ?? 0 }));
    },
    bytesOf: (revision) => counted.get(revision),
  };
}

function learnFrom({ slots }: World, learned: Map<string, number>): void {
  for (const { revision, rung, rungAgeMs, residentBytes } of slots.flatMap(({ instances }) => instances)) {
    if (rung !== 'Asleep' || rungAgeMs < SETTLED_MS_MIN || residentBytes === undefined) continue;
    learned.set(revision, learn(learned.get(revision), residentBytes));
  }
}

/**
 * What a first sleeper counts where the most is too much: all that a slot may hold, so that nobody sleeps beside it. Then its size
 * is known, and if it is too large nobody else is lost. Only where the Pod has a limit of its own: elsewhere the node would pay. 0
 * for none.
 */
function trialBudget(pools: readonly string[], known: ReadonlyMap<string, Pool>): number {
  const budgets = pools.flatMap((name) => {
    const { sleeperBytes, pod } = known.get(name)?.spec ?? {};
    return sleeperBytes === undefined ? [] : [pod?.memoryBytes === undefined ? 0 : sleeperBytes];
  });
  return budgets.includes(0) ? 0 : Math.max(0, ...budgets);
}

interface Trials {
  look(world: World, learned: ReadonlyMap<string, number>): void;
  /** One of it was lost before it said what it holds. */
  hasFailed(revision: string): boolean;
}

/**
 * Where revisions sleep of which nothing is known. One that is gone although nobody ordered it counts as too large, where its slot
 * stays: a slot goes for reasons of its own.
 */
function createTrials(): Trials {
  const failed = new Set<string>();
  let sleeping: readonly { readonly podUid: string; readonly revision: string }[] = [];
  return {
    look({ slots, revisions }, learned) {
      const byUid = new Map(slots.map((slot) => [slot.podUid, slot]));
      for (const { podUid, revision } of sleeping) if (isLost(byUid.get(podUid), revision)) failed.add(revision);
      for (const revision of failed) if (!revisions.has(revision) || learned.has(revision)) failed.delete(revision);
      sleeping = slots.flatMap(({ podUid, instances }) =>
        instances.flatMap(({ revision, rung }) =>
          (rung === 'Sleeping' || rung === 'Asleep') && !learned.has(revision) ? [{ podUid, revision }] : [],
        ),
      );
    },
    hasFailed: (revision) => failed.has(revision),
  };
}

function isLost(slot: SlotView | undefined, revision: string): boolean {
  if (slot === undefined || slot.isLeaving) return false;
  const rung = slot.instances.find((one) => one.revision === revision)?.rung;
  const isWanted = slot.assigned.some((one) => one.revision === revision && one.rung !== 'Staged');
  return isWanted && (rung === undefined || rung === 'Absent' || rung === 'Staged' || rung === 'Failed');
}

function learn(before: number | undefined, now: number): number {
  if (before === undefined || now >= before) return now;
  return before + Math.ceil(SMALLER_SHARE * (now - before));
}

// From the world to what placement is asked: a claim for each revision in use.
// Pure but for the trials of candidates, which remember failures.

import type { ModelRevision } from '../api/model-revision.ts';
import type { Claim, PoolView } from '../core/plan/placement.ts';
import { type ModelLoad, reportOf } from '../core/plan/snapshot.ts';
import { maySleep, slotEngineOf } from './launch.ts';
import type { LiveDecision } from './live-scaling.ts';
import { noLoad, noSlots, type World } from './observe.ts';
import { flavourField } from './slot-flavour.ts';
import { mayRunIn } from './staging-verdict.ts';
import type { Trials } from './trials.ts';
import type { WeightPlaces } from './weight-volumes.ts';

export interface ClaimFacts {
  readonly decisions: ReadonlyMap<string, LiveDecision>;
  readonly trials: Trials;
  readonly places: WeightPlaces;
  /** Instances of it end in the place of sleeping: others need the room of their files. */
  givesWay(revision: string): boolean;
}

/** A revision claims slots of those pools in which its files are. */
export function listClaims(world: World, { decisions, trials, places, givesWay }: ClaimFacts): Claim[] {
  return world.models.flatMap((live) => {
    const { spec } = live.model;
    const load = world.loads.get(live.name) ?? noLoad;
    const poolsOf = (revision: ModelRevision) =>
      spec.pools.filter((pool) => mayRunIn(revision, pool, { world, places }));
    const frame = { model: live.name };
    const claims: Claim[] = [];
    const engine = live.stable === undefined ? undefined : slotEngineOf(live.stable);
    if (live.stable !== undefined && engine !== undefined && isAnywhere(live.stable, poolsOf)) {
      claims.push({
        ...frame,
        pools: poolsOf(live.stable),
        engine,
        ...flavourField(live.stable.spec.engine.image),
        canSleep: maySleep(live.stable, live.model) && !givesWay(live.stable.metadata.name),
        revision: live.stable.metadata.name,
        ...orderOf(decisions.get(live.name)),
        min: spec.scaling.minAwake,
        ...workOf(load),
        isPatient: false,
      });
    }
    const candidate = live.candidate === undefined ? undefined : slotEngineOf(live.candidate);
    if (live.candidate !== undefined && candidate !== undefined && isAnywhere(live.candidate, poolsOf)) {
      const trial = claimOfCandidate(world, live.candidate.metadata.name, trials);
      claims.push({
        ...frame,
        pools: poolsOf(live.candidate),
        engine: candidate,
        ...flavourField(live.candidate.spec.engine.image),
        canSleep: maySleep(live.candidate, live.model) && !givesWay(live.candidate.metadata.name),
        ...trial,
      });
    }
    return claims;
  });
}

/** Whoever was told to come back counts as work until then. */
function workOf({ queued, inFlight, oldestQueuedMs, wakeLeaseMs }: ModelLoad) {
  const isPromised = wakeLeaseMs > 0;
  return { isBusy: queued + inFlight > 0 || isPromised, isPromised, waitedMs: oldestQueuedMs };
}

/** What placement is told of the decision. */
function orderOf(decided: LiveDecision | undefined) {
  const { decision, order } = decided ?? {};
  if (order === undefined) return { desired: decision?.desired ?? 0 };
  const { desired, coldMax, pressing, load, climb, chance } = order;
  return {
    ...{ desired, coldMax, pressing },
    ...(load === undefined ? {} : { load }),
    ...(climb === undefined ? {} : { climb }),
    ...(chance === undefined ? {} : { chance }),
  };
}

/** What needs no files claims as it always did, also when its pools are missing. */
function isAnywhere(revision: ModelRevision, poolsOf: (revision: ModelRevision) => readonly string[]): boolean {
  return revision.spec.weights?.fileSet === undefined || poolsOf(revision).length > 0;
}

/** One instance of a candidate has to prove itself. */
function claimOfCandidate(world: World, revision: string, trials: Trials) {
  const reports = (world.slotsOf.get(revision) ?? []).flatMap((slot) => reportOf(slot, revision) ?? []);
  const { isOn, waitedMs } = trials.observe(revision, reports, world.nowMs);
  // One that failed before interrupts nobody a second time.
  const isPatient = trials.failureOf(revision) !== undefined;
  return { revision, desired: isOn ? 1 : 0, min: 0, isBusy: false, isPatient, waitedMs };
}

export function listPools(world: World): PoolView[] {
  return [...world.pools.values()].map(({ metadata, spec }) => {
    const { existing, coming, late, leaving } = world.slotCounts.get(metadata.name) ?? noSlots;
    const isGoing = metadata.deletionTimestamp !== undefined;
    const room = isGoing ? 0 : coming + Math.max(0, spec.slots.max - existing);
    const { sleepersPerSlotMax, sleeperBytes, changesPerSlotHourMax: changesPerHourMax } = spec;
    const bounds = { sleepersPerSlotMax, sleeperBytes, changesPerHourMax };
    return { name: metadata.name, ...bounds, room, isLate: late > 0, leaving: isGoing ? 0 : leaving };
  });
}

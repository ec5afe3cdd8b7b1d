// From the world to what placement is asked: a scaling decision for each model, and a claim for each revision in use.
// Pure but for the trials of candidates, which remember failures.
import type { Claim, PoolView } from '../core/plan/placement.ts';
import { keepUpstream, planScale, type ScaleDecision } from '../core/plan/scale.ts';
import { ascentOf, idleMsOf, reportOf } from '../core/plan/snapshot.ts';
import { slotEngineOf } from './launch.ts';
import { type LiveModel, noLoad, type World } from './observe.ts';
import type { Trials } from './trials.ts';

export function decideScale(world: World, live: LiveModel): ScaleDecision | undefined {
  if (live.stable === undefined) return undefined;
  if (slotEngineOf(live.stable) === undefined) return keepUpstream(live.name);
  const revision = live.stable.metadata.name;
  const { scaling, serving } = live.model.spec;
  return planScale({
    model: live.name,
    minAwake: scaling.minAwake,
    maxAwake: scaling.maxAwake,
    sleepAfterMs: scaling.sleepAfterSeconds * 1000,
    concurrency: serving.concurrency,
    load: world.loads.get(live.name) ?? noLoad,
    isLoadKnown: world.isLoadKnown,
    instances: (world.awakeSlotsOf.get(revision) ?? []).map((slot) => {
      const report = reportOf(slot, revision);
      const idleMs = report === undefined ? 0 : idleMsOf(report);
      return { ascent: ascentOf(report), inFlight: report?.inFlight ?? 0, idleMs };
    }),
  });
}

export function listClaims(world: World, decisions: ReadonlyMap<string, ScaleDecision>, trials: Trials): Claim[] {
  return world.models.flatMap((live) => {
    const { spec } = live.model;
    const load = world.loads.get(live.name) ?? noLoad;
    const frame = { model: live.name, pools: spec.pools, canSleep: spec.serving.sleep !== 'Never' };
    const claims: Claim[] = [];
    const engine = live.stable === undefined ? undefined : slotEngineOf(live.stable);
    if (live.stable !== undefined && engine !== undefined) {
      claims.push({
        ...frame,
        engine,
        revision: live.stable.metadata.name,
        desired: decisions.get(live.name)?.desired ?? 0,
        min: spec.scaling.minAwake,
        isBusy: load.queued + load.inFlight > 0,
        isPatient: false,
        waitedMs: load.oldestQueuedMs,
      });
    }
    const candidate = live.candidate === undefined ? undefined : slotEngineOf(live.candidate);
    if (live.candidate !== undefined && candidate !== undefined) {
      const trial = claimOfCandidate(world, live.candidate.metadata.name, trials);
      claims.push({ ...frame, engine: candidate, ...trial });
    }
    return claims;
  });
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
    const { existing, coming } = world.slotCounts.get(metadata.name) ?? { existing: 0, coming: 0 };
    const isGoing = metadata.deletionTimestamp !== undefined;
    const room = isGoing ? 0 : coming + Math.max(0, spec.slots.max - existing);
    return { name: metadata.name, sleepersPerSlotMax: spec.sleepersPerSlotMax, room };
  });
}

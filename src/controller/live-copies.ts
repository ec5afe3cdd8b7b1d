// Sleeping copies in slots that stand free, for Pools that keep some: which, by what routers asked for lately. Tells the planner of
// src/core/plan/pool what each slot may hold; decides nothing itself, and placement gives a copy's slot to whoever needs it.
import type { Claim, CopyOrder, PoolView } from '../core/plan/placement.ts';
import type { CopyModel } from '../core/plan/pool/copies.ts';
import { createCopyPlanner } from '../core/plan/pool/copy-planner.ts';
import { canRun, reportOf, type SlotView } from '../core/plan/snapshot.ts';
import type { World } from './observe.ts';

export interface CopyFacts {
  readonly world: World;
  readonly slots: readonly SlotView[];
  readonly claims: readonly Claim[];
  readonly pools: readonly PoolView[];
  /** What a copy of each model would save, by model. */
  readonly savings: ReadonlyMap<string, CopyModel>;
}

export interface LiveCopies {
  /** By Pod uid. Called at every plan: how busy slots are is learned from it. */
  plan(facts: CopyFacts): ReadonlyMap<string, CopyOrder>;
  /** As CopyPlanner has it. */
  release(podUids: readonly string[]): void;
}

export function createLiveCopies(): LiveCopies {
  const planner = createCopyPlanner();
  const plan = (facts: CopyFacts) => {
    const nodes = new Map(facts.world.slots.map(({ podUid, node }) => [podUid, node ?? '']));
    const slots = new Map(facts.slots.map((slot) => [slot.podUid, slot]));
    const claims = new Map(facts.claims.map((claim) => [claim.revision, claim]));
    const pools = new Map(facts.pools.map((pool) => [pool.name, pool]));
    return planner.plan({
      nowMs: facts.world.nowMs,
      slots: facts.slots,
      models: listStable(facts, claims),
      // No room where no slot is to stand free: then nothing is looked for there.
      budgetOf: ({ pool }) => {
        if (facts.world.pools.get(pool)?.spec.spare === undefined) return { sleepersMax: 0 };
        const { sleepersPerSlotMax = 0, sleeperBytes } = pools.get(pool) ?? {};
        return { sleepersMax: sleepersPerSlotMax, sleeperBytesMax: sleeperBytes };
      },
      mayHold(podUid, revision) {
        const slot = slots.get(podUid);
        const claim = claims.get(revision);
        return slot !== undefined && claim !== undefined && mayHold(slot, claim);
      },
      nodeOf: (podUid) => nodes.get(podUid) ?? '',
    });
  };
  return { plan, release: (podUids) => planner.release(podUids) };
}

/** Copies are made of what answers, never of a candidate. */
function listStable({ world, savings }: CopyFacts, claims: ReadonlyMap<string, Claim>): ReadonlyMap<string, CopyModel> {
  const models = new Map<string, CopyModel>();
  for (const { name, stable } of world.models) {
    const revision = stable?.metadata.name ?? '';
    const [saving, claim] = [savings.get(name), claims.get(revision)];
    if (saving === undefined || claim === undefined) continue;
    models.set(revision, { ...saving, name: revision, asleepBytes: claim.asleepBytes ?? 0 });
  }
  return models;
}

function mayHold(slot: SlotView, claim: Claim): boolean {
  const hasFailed = reportOf(slot, claim.revision)?.failure !== undefined;
  return claim.canSleep && claim.pools.includes(slot.pool) && canRun(slot, claim) && !hasFailed;
}

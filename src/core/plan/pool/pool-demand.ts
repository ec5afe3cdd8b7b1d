// How many instances are wanted awake in each pool, and how many of them a person fixed (minAwake). Those come with a change of
// a Model and not with load, so a reserve must learn nothing from them. Remembers how many were fixed last; looks nothing up.

import type { Claim, Placement, PlaceSnapshot } from '../placement.ts';
import { awakeIn } from '../snapshot.ts';

export interface PoolDemand {
  /** Slots in which something is wanted awake, and instances that wait for one. */
  readonly wanted: number;
  /** Of these, what the minima of models are made of. */
  readonly fixed: number;
}

export interface DemandReading {
  readonly snapshot: Pick<PlaceSnapshot, 'slots' | 'claims' | 'copies'>;
  readonly placement: Pick<Placement, 'assigned' | 'unmet'>;
}

/** By pool; one with nothing in it is missing. Called at every plan. */
export type ReadPoolDemand = (reading: DemandReading) => ReadonlyMap<string, PoolDemand>;

/** Instances of one model by pool. */
type Spread = ReadonlyMap<string, number>;

export function createPoolDemand(): ReadPoolDemand {
  let fixedBefore: ReadonlyMap<string, Spread> = new Map();
  return (reading) => {
    const wanted = countWanted(reading);
    const claims = Map.groupBy(reading.snapshot.claims, ({ model }) => model);
    const fixed = new Map<string, Spread>();
    for (const [model, spread] of wanted)
      fixed.set(model, fixSome(spread, claims.get(model) ?? [], fixedBefore.get(model) ?? new Map()));
    fixedBefore = fixed;
    return addUp(wanted, fixed);
  };
}

/** By model. What is made to sleep somewhere is nobody's demand. */
function countWanted({ snapshot, placement }: DemandReading): Map<string, Map<string, number>> {
  const wanted = new Map<string, Map<string, number>>();
  const count = (model: string, pool: string) => {
    const spread = wanted.get(model) ?? new Map<string, number>();
    wanted.set(model, spread.set(pool, (spread.get(pool) ?? 0) + 1));
  };
  for (const slot of snapshot.slots) {
    if (slot.isLeaving) continue;
    const assigned = placement.assigned.get(slot.podUid) ?? slot.assigned;
    const awake = awakeIn({ ...slot, assigned });
    if (awake !== undefined && awake.revision !== snapshot.copies?.get(slot.podUid)?.revision)
      count(awake.model, slot.pool);
  }
  for (const { claim, pool = claim.pools[0], isWakeOnly = false } of placement.unmet)
    if (pool !== undefined && !isWakeOnly) count(claim.model, pool);
  return wanted;
}

/**
 * What was fixed in a pool stays so while it is there, also when a person has lowered the minimum: its instances are no new demand
 * then. What the minimum lacks comes out of the pools in the order of the Model.
 */
function fixSome(wanted: Spread, claims: readonly Claim[], before: Spread): Spread {
  const fixed = new Map<string, number>();
  for (const [pool, count] of wanted) fixed.set(pool, Math.min(count, before.get(pool) ?? 0));
  let lacking = claims.reduce((sum, { min }) => sum + min, 0);
  for (const count of fixed.values()) lacking -= count;
  for (const pool of new Set([...claims.flatMap(({ pools }) => pools), ...wanted.keys()])) {
    const here = fixed.get(pool) ?? 0;
    const more = Math.min(Math.max(0, lacking), (wanted.get(pool) ?? 0) - here);
    fixed.set(pool, here + more);
    lacking -= more;
  }
  return fixed;
}

function addUp(wanted: ReadonlyMap<string, Spread>, fixed: ReadonlyMap<string, Spread>): Map<string, PoolDemand> {
  const pools = new Map<string, PoolDemand>();
  for (const [model, spread] of wanted) {
    for (const [pool, count] of spread) {
      const sum = pools.get(pool) ?? { wanted: 0, fixed: 0 };
      pools.set(pool, { wanted: sum.wanted + count, fixed: sum.fixed + (fixed.get(model)?.get(pool) ?? 0) });
    }
  }
  return pools;
}

// Whether the instances that never sleep have slots to be awake in, for the conditions of Models and Pools. By limits alone: what
// there is at the moment, candidates of new versions and upstreams are left out.
import type { Condition } from '../api/group.ts';
import { kinds } from '../api/kinds.ts';
import type { Model } from '../api/model.ts';
import type { Pool } from '../api/pool.ts';
import { type AwakeNeed, type AwakeShortage, explainShortage, findShortages } from '../core/plan/min-awake.ts';
import type { Cluster } from '../ports/cluster.ts';
import { findServed } from './served-names.ts';

export const AWAKE_ROOM = 'MinAwakePossible';

export type AwakeRoom = Pick<Condition, 'status' | 'reason' | 'message'>;

interface Looked {
  readonly pools: readonly Pool[];
  readonly needs: readonly AwakeNeed[];
  readonly shortages: ReadonlyMap<string, AwakeShortage>;
}

const known = new WeakMap<readonly Model[], Looked>();

/** Undefined: it has none that never sleep, or none of its pools exists, which is said elsewhere. */
export function judgeModelRoom(cluster: Cluster, model: string): AwakeRoom | undefined {
  const { needs, shortages } = look(cluster);
  if (!needs.some((need) => need.model === model)) return undefined;
  return judge(shortages.get(model), model);
}

/** Undefined: nothing that never sleeps may use it. */
export function judgePoolRoom(cluster: Cluster, pool: string): AwakeRoom | undefined {
  const { needs, shortages } = look(cluster);
  if (!needs.some(({ pools }) => pools.includes(pool))) return undefined;
  return judge([...shortages.values()].find(({ pools }) => pools.includes(pool)));
}

function judge(shortage: AwakeShortage | undefined, told?: string): AwakeRoom {
  if (shortage !== undefined)
    return { status: 'False', reason: 'TooFewSlots', message: explainShortage(shortage, told) };
  return { status: 'True', reason: 'SlotsSuffice', message: 'What never sleeps has slots to be awake in.' };
}

/** Worked out once for each pair of lists: the cache gives the same ones until something changes. */
function look(cluster: Cluster): Looked {
  const [models, pools] = [cluster.list(kinds.Model), cluster.list(kinds.Pool)];
  const before = known.get(models);
  if (before?.pools === pools) return before;
  const staying = pools.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  const slotsMax = new Map(staying.map(({ metadata, spec }) => [metadata.name, spec.slots.max]));
  const needs = listNeeds(models).filter(({ pools: own }) => own.some((pool) => slotsMax.has(pool)));
  const looked = { pools, needs, shortages: findShortages(needs, slotsMax) };
  known.set(models, looked);
  return looked;
}

/** Of Models that routers are told of: others run nowhere. */
function listNeeds(models: readonly Model[]): AwakeNeed[] {
  return [...findServed(models)].flatMap(({ metadata, spec }) => {
    const { minAwake, maxAwake } = spec.scaling;
    const isElsewhere = spec.version.remote !== undefined;
    const own = { model: metadata.name, pools: spec.pools, minAwake: Math.min(minAwake, maxAwake) };
    return own.minAwake === 0 || isElsewhere ? [] : [own];
  });
}

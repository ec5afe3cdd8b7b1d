// What the judgement of an objective rests on: what was learned of the Model, what may be in its way in its Pools, and what was said
// of it last. Remembers the figures that it went by, so that it does not change its mind with each request.

import { kinds } from '../api/kinds.ts';
import type { Model } from '../api/model.ts';
import type { ModelRevision } from '../api/model-revision.ts';
import type { Pool } from '../api/pool.ts';
import type { ModelMemory } from '../core/plan/pool/fleet-planner.ts';
import { readMs } from '../core/plan/scale/cost.ts';
import { guessSleepMs } from '../core/plan/scale/first-guess.ts';
import {
  holdFigures,
  judgeObjective,
  keepVerdict,
  type ObjectiveBound,
  type ObjectiveFigures,
} from '../core/plan/scale/objective-bound.ts';
import { DECISION_LAG_MS, FIRST_TOKEN_MS_DEFAULT } from '../core/plan/scale/settings.ts';
import type { Cluster } from '../ports/cluster.ts';
import type { Fleet } from './fleet.ts';
import { maySleep, slotEngineOf } from './launch.ts';
import { OBJECTIVE } from './model-status.ts';
import { findServed } from './served-names.ts';

export interface Objectives {
  /** Undefined: nothing of its own answers yet. */
  judge(model: Model, stable: string | undefined): ObjectiveBound | undefined;
  forget(model: string): void;
}

export interface ObjectiveSources {
  readonly cluster: Cluster;
  readonly climbTimes: Fleet['climbTimes'];
  memoryOf(model: string): ModelMemory | undefined;
}

/** Before so many steps were seen, the cost of a prompt is a guess. */
const SAMPLES_MIN = 50;

export function createObjectives(sources: ObjectiveSources): Objectives {
  const held = new Map<string, { readonly revision: string; readonly figures: ObjectiveFigures }>();
  return {
    judge(model, stable = '') {
      const { name } = model.metadata;
      const revision = sources.cluster.get(kinds.ModelRevision, stable);
      if (revision === undefined || slotEngineOf(revision) === undefined) return undefined;
      const before = held.get(name);
      const last = before?.revision === stable ? before.figures : undefined;
      const figures = holdFigures(last, readFigures(model, revision, sources));
      held.set(name, { revision: stable, figures });
      return judge(model, revision, figures);
    },
    forget: (model) => void held.delete(model),
  };
}

function judge(model: Model, revision: ModelRevision, figures: ObjectiveFigures): ObjectiveBound {
  const { firstTokenMillis, minAwake } = model.spec.scaling;
  const bound = judgeObjective({
    ...figures,
    firstTokenMillis: firstTokenMillis ?? FIRST_TOKEN_MS_DEFAULT,
    isStated: firstTokenMillis !== undefined,
    minAwake,
    from: climbsFrom(model, revision),
    lagMs: DECISION_LAG_MS,
  });
  const said = recall(model);
  return said !== undefined && keepVerdict(said, bound, figures) ? said : bound;
}

/** What its status says of the spec as it is. */
function recall({ status, metadata }: Model): ObjectiveBound | undefined {
  const said = status?.conditions?.find(({ type }) => type === OBJECTIVE);
  if (said === undefined || said.observedGeneration !== metadata.generation) return undefined;
  const { status: verdict, reason, message } = said;
  return { status: verdict, reason: reason as ObjectiveBound['reason'], message };
}

function climbsFrom(model: Model, revision: ModelRevision): 'Asleep' | 'Staged' {
  return maySleep(revision, model) ? 'Asleep' : 'Staged';
}

function readFigures(
  model: Model,
  revision: ModelRevision,
  { cluster, climbTimes, memoryOf }: ObjectiveSources,
): ObjectiveFigures {
  const { asleepMs, stagedMs } = climbTimes(revision.metadata.name);
  const climbMs = climbsFrom(model, revision) === 'Asleep' ? asleepMs : stagedMs;
  const isClimbInTheWay = model.spec.scaling.minAwake === 0 && climbMs !== undefined;
  return {
    climbMs,
    readMs: readLong(memoryOf(model.metadata.name)),
    sleepMs: isClimbInTheWay ? shortestSleep(model, cluster) : undefined,
  };
}

function readLong(memory: ModelMemory | undefined): number | undefined {
  if (memory === undefined) return undefined;
  const { cost, longPromptTokens } = memory.scaler;
  return cost.samples < SAMPLES_MIN || longPromptTokens === 0 ? undefined : readMs(cost.cost, longPromptTokens);
}

/**
 * Of the other Models that may be awake in its slots. Undefined when one of its slots is always free: a Pool keeps some free, or
 * has as many as all of them may have awake.
 */
function shortestSleep(model: Model, cluster: Cluster): number | undefined {
  const pools = model.spec.pools.flatMap((name) => cluster.get(kinds.Pool, name) ?? []);
  if (pools.some(({ spec }) => spec.spare !== undefined)) return undefined;
  const sharing = listOthers(model, cluster);
  const awakeMax = [model, ...sharing].reduce((sum, { spec }) => sum + spec.scaling.maxAwake, 0);
  if (awakeMax <= pools.reduce((sum, { spec }) => sum + spec.slots.min, 0)) return undefined;
  const sleeps = sharing.flatMap((other) => sleepOf(other, pools, cluster) ?? []);
  return sleeps.length === 0 ? undefined : Math.min(...sleeps);
}

function listOthers({ metadata, spec }: Model, cluster: Cluster): Model[] {
  const pools = new Set(spec.pools);
  return [...findServed(cluster.list(kinds.Model))].filter(
    (other) => other.metadata.name !== metadata.name && other.spec.pools.some((pool) => pools.has(pool)),
  );
}

function sleepOf({ spec, status }: Model, pools: readonly Pool[], cluster: Cluster): number | undefined {
  const weights = cluster.get(kinds.ModelRevision, status?.stableRevision ?? '')?.spec.weights;
  if (weights === undefined) return undefined;
  const shared = pools.find((pool) => spec.pools.includes(pool.metadata.name));
  return guessSleepMs({
    weightsBytes: weights.sizeBytes,
    accelerators: shared?.spec.accelerator.countPerSlot ?? 1,
    speed: weights.simulated === undefined ? 1 : (spec.simulation?.speedPercent ?? 100) / 100,
  });
}

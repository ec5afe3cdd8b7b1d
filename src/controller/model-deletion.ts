// Ends a Model that is being deleted: its claims are gone from the plan, and when no connected slot holds anything of it, its
// revisions and the object may go. Until then the status says who does. Never waits for a slot whose agent is away.
import { setCondition } from '../api/group.ts';
import { kinds } from '../api/kinds.ts';
import type { InstanceReport } from '../api/link.ts';
import type { Model, ModelStatus } from '../api/model.ts';
import { findWarmest } from '../core/plan/routing.ts';
import { MODEL_LOOK_MS } from './bounds.ts';
import type { Fleet } from './fleet.ts';
import type { ControllerOptions } from './options.ts';
import type { Pins } from './pins.ts';
import type { RevisionHold } from './revision-hold.ts';
import { writeFinalizer, writeStatus } from './status.ts';
import type { Steering } from './steering.ts';
import type { Outcome } from './work-queue.ts';

export const MODEL_FINALIZER = 'stoker.dev/instances';

interface DeletionContext {
  readonly options: ControllerOptions;
  readonly fleet: Fleet;
  readonly pins: Pins;
  readonly steering: Steering;
  readonly hold: RevisionHold;
}

export async function finishModel(model: Model, context: DeletionContext, signal: AbortSignal): Promise<Outcome> {
  const { cluster } = context.options;
  const { name, uid = '' } = model.metadata;
  const held = findHeld(name, context.fleet);
  if (!context.steering.isComplete() || held.size > 0) {
    const status = renderStatus(model, held, context);
    const written = await writeStatus(cluster, { kind: kinds.Model, object: model, status }, signal);
    return written.type === 'done' ? { type: 'again', afterMs: MODEL_LOOK_MS } : written;
  }
  context.pins.forget(uid);
  const released = await context.hold.keep(model, new Set(), signal);
  if (released.type !== 'done') return released;
  const freed = { kind: kinds.Model, object: model, finalizer: MODEL_FINALIZER, isHeld: false };
  return writeFinalizer(cluster, freed, signal);
}

/** What each connected slot holds of it, by Pod uid. */
function findHeld(model: string, { agents }: Fleet): ReadonlyMap<string, readonly InstanceReport[]> {
  const held = new Map<string, readonly InstanceReport[]>();
  for (const { podUid, session, report } of agents.values()) {
    const instances = report?.instances.filter((instance) => instance.model === model) ?? [];
    if (session !== undefined && instances.length > 0) held.set(podUid, instances);
  }
  return held;
}

function renderStatus(
  model: Model,
  held: ReadonlyMap<string, readonly InstanceReport[]>,
  { options: { cluster, clock }, steering }: DeletionContext,
): ModelStatus {
  const { generation = 0 } = model.metadata;
  const stable = model.status?.stableRevision ?? '';
  const instances = [...held.values()].flat();
  const slots = cluster.list(kinds.Pod).filter(({ metadata }) => held.has(metadata.uid ?? ''));
  const message = sayDeleting(
    model.metadata.name,
    slots.map(({ metadata }) => metadata.name),
    held.size,
  );
  const verdict = {
    type: 'Ready',
    status: 'False',
    reason: 'Deleting',
    message,
    observedGeneration: generation,
  } as const;
  return {
    ...model.status,
    observedGeneration: generation,
    rung: findWarmest(stable, steering.world()?.slotsOf.get(stable) ?? [])?.rung ?? 'Absent',
    awake: instances.filter(({ rung, probed }) => rung === 'Awake' && probed).length,
    asleep: instances.filter(({ rung }) => rung === 'Asleep').length,
    conditions: setCondition(model.status?.conditions ?? [], verdict, clock.wallMs()),
  };
}

const NAMES_MAX = 8;

/** A new controller has not heard of all slots yet. */
function sayDeleting(model: string, slots: readonly string[], holding: number): string {
  const begin = `The Model ${model} is being deleted, and no new request finds it.`;
  if (holding === 0) return `${begin} It waits until every slot has said what it holds.`;
  const named = slots.slice(0, NAMES_MAX);
  const more = holding > named.length ? ` and ${holding - named.length} more` : '';
  const names = named.join(', ');
  return `${begin} It waits for the slots that hold it: ${names}${more}. They answer what they have, and then let go of it.`;
}

// Reconciles one Model: its finalizer, its pin, which revision answers, its status, its old revisions. One status writer.
// Never moves an instance: the planning loop reads the status that is written here.
import { kinds } from '../api/kinds.ts';
import type { Model, ModelStatus } from '../api/model.ts';
import type { ModelRevision } from '../api/model-revision.ts';
import { type LifecyclePlan, planLifecycle } from '../core/plan/lifecycle.ts';
import { ascentOf } from '../core/plan/snapshot.ts';
import { judgeModelRoom } from './awake-room.ts';
import { OLD_REVISIONS_MAX } from './bounds.ts';
import { keepDisruptionBudget } from './disruption-budget.ts';
import type { Fleet } from './fleet.ts';
import { finishModel, MODEL_FINALIZER } from './model-deletion.ts';
import { OBJECTIVE, renderModelStatus } from './model-status.ts';
import { reportsOf } from './model-view.ts';
import type { Objectives } from './objectives.ts';
import type { ControllerOptions } from './options.ts';
import type { SeenChildren } from './owned-child.ts';
import { findOwned } from './ownership.ts';
import type { Pins } from './pins.ts';
import type { RevisionHold } from './revision-hold.ts';
import { findNameOwners, findServed } from './served-names.ts';
import { judgeSleepRoom, SLEEP_ROOM, type SleepRoom } from './sleep-room.ts';
import { outcomeOfError, writeFinalizer, writeStatus } from './status.ts';
import type { Steering } from './steering.ts';
import type { Trials } from './trials.ts';
import type { Upstreams } from './upstreams.ts';
import { done, type Outcome } from './work-queue.ts';

export interface ModelContext {
  readonly options: ControllerOptions;
  readonly fleet: Fleet;
  readonly pins: Pins;
  readonly trials: Trials;
  readonly upstreams: Upstreams;
  readonly steering: Steering;
  readonly objectives: Objectives;
  readonly children: SeenChildren;
  readonly hold: RevisionHold;
  /** Have the version resolved. */
  startPin(model: string): void;
}

export async function reconcileModel(name: string, context: ModelContext, signal: AbortSignal): Promise<Outcome> {
  const { cluster } = context.options;
  const model = cluster.get(kinds.Model, name);
  if (model === undefined) {
    context.objectives.forget(name);
    return done;
  }
  if (model.metadata.deletionTimestamp !== undefined) return finishModel(model, context, signal);
  const held = { kind: kinds.Model, object: model, finalizer: MODEL_FINALIZER, isHeld: true };
  // The write comes back as a change, and with it the rest.
  if (model.metadata.finalizers?.includes(MODEL_FINALIZER) !== true) return writeFinalizer(cluster, held, signal);
  const pin = context.pins.stateOf(model);
  if (pin.type === 'resolving') context.startPin(name);
  const plan = planLifecycle({
    ...stateOf(model, context),
    pinned: pin.type === 'pinned' ? pin.revision : undefined,
    isPinRefused: pin.type === 'refused',
    isProven: (revision) => isProven(revision, context),
  });
  const status = renderModelStatus({ ...observeFacts(model, plan, context), pin, state: plan.state });
  const written = await writeStatus(cluster, { kind: kinds.Model, object: model, status }, signal);
  if (written.type !== 'done') return written;
  announce(model, { plan, status }, context);
  const used = new Set([plan.state.stable, plan.state.candidate].filter((revision) => revision !== undefined));
  const kept = await context.hold.keep(model, used, signal);
  if (kept.type !== 'done') return kept;
  const { options, children: seen } = context;
  const budget = await keepDisruptionBudget(model, status.awake ?? 0, { options, seen, signal });
  if (budget.type !== 'done') return budget;
  return removeOldRevisions(model, used, { context, signal });
}

/** Revisions that the status names and that still exist. */
function stateOf(model: Model, { options }: ModelContext): { stable?: string; candidate?: string } {
  const { stableRevision: stable, candidateRevision: candidate } = model.status ?? {};
  const exists = (name: string | undefined) =>
    name !== undefined && options.cluster.get(kinds.ModelRevision, name) !== undefined;
  return {
    ...(stable !== undefined && exists(stable) ? { stable } : {}),
    ...(candidate !== undefined && exists(candidate) ? { candidate } : {}),
  };
}

/** What somebody else serves is proven once it can be asked: the first request shows the rest. */
function isProven(revision: string, { options, steering, upstreams }: ModelContext): boolean {
  const pinned = options.cluster.get(kinds.ModelRevision, revision);
  if (pinned?.spec.remote !== undefined) return upstreams.stateOf(pinned).type === 'ready';
  const world = steering.world();
  return world !== undefined && reportsOf(world, revision).some((report) => ascentOf(report) === 'Up');
}

function observeFacts(model: Model, plan: LifecyclePlan, context: ModelContext) {
  const { cluster, clock } = context.options;
  const models = cluster.list(kinds.Model);
  const owner = findNameOwners(models).get(model.spec.servedName);
  const isOwner = owner?.metadata.name === model.metadata.name;
  const { candidate } = plan.state;
  return {
    model,
    nameOwner: isOwner ? undefined : owner?.metadata.name,
    isBeyondTable: isOwner && !findServed(models).has(owner),
    missingPools: model.spec.pools.filter((pool) => cluster.get(kinds.Pool, pool) === undefined),
    slotTrouble: findSlotTrouble(model, cluster),
    view: context.steering.viewOf(model.metadata.name),
    objective: context.objectives.judge(model, plan.state.stable),
    awakeRoom: judgeModelRoom(cluster, model.metadata.name),
    sleepRoom: sleepRoomOf(model, plan.state.stable, context),
    trialFailure: candidate === undefined ? undefined : context.trials.failureOf(candidate),
    wallMs: clock.wallMs(),
  };
}

/** Before the first plan what was said stays. */
function sleepRoomOf(model: Model, stable = '', { options: { cluster }, steering }: ModelContext) {
  if (steering.world() === undefined) return recallSleepRoom(model);
  const revision = cluster.get(kinds.ModelRevision, stable);
  const pools = model.spec.pools.flatMap((name) => cluster.get(kinds.Pool, name) ?? []);
  return judgeSleepRoom({ model, revision, held: steering.asleepBytesOf(stable) }, pools);
}

function recallSleepRoom({ status }: Model): SleepRoom | undefined {
  const said = status?.conditions?.find(({ type }) => type === SLEEP_ROOM);
  return said === undefined ? undefined : { status: said.status, reason: said.reason, message: said.message };
}

/** The sentence of a pool, when none of its pools has the slots that it should have. */
function findSlotTrouble({ spec }: Model, cluster: ControllerOptions['cluster']): string | undefined {
  const pools = spec.pools.flatMap((name) => cluster.get(kinds.Pool, name) ?? []);
  const troubles = pools.map(({ status }) => status?.conditions?.find(({ type }) => type === 'Ready'));
  const isTrouble = troubles.length > 0 && troubles.every((condition) => condition?.status === 'False');
  return isTrouble ? `No slot is ready: ${troubles[0]?.message ?? ''}` : undefined;
}

/** What every Model goes through is no news. */
const usual: ReadonlySet<string> = new Set(['NotPinned', 'Unplanned', 'Staging', 'CandidateStarting']);

/** Events say what changed; conditions say what is. */
function announce(
  model: Model,
  { plan, status }: { readonly plan: LifecyclePlan; readonly status: ModelStatus },
  { options }: ModelContext,
): void {
  const { cluster, log } = options;
  const event = (type: 'Normal' | 'Warning', reason: string, message: string) => {
    cluster.recordEvent({ regarding: model, type, reason, message });
    log.info({ model: model.metadata.name, reason }, message);
  };
  const before = new Map(model.status?.conditions?.map((condition) => [condition.type, condition]));
  if (plan.onTrial !== undefined) event('Normal', 'CandidateFound', `${plan.onTrial} is being tried.`);
  if (plan.promoted !== undefined && model.status?.stableRevision !== plan.promoted)
    event('Normal', 'Promoted', `${plan.promoted} answers from now on.`);
  for (const { type, status: verdict, reason, message } of status.conditions ?? []) {
    const isNews = before.get(type)?.reason !== reason;
    const isBad = type === 'NameTaken' ? verdict === 'True' : verdict === 'False';
    // What nobody asked for is no trouble.
    const isUnasked = type === OBJECTIVE && model.spec.scaling.firstTokenMillis === undefined;
    if (isNews && isBad && !isUnasked && !usual.has(reason)) event('Warning', reason, message);
  }
}

/** The newest few are kept for people to look at; what answers or is on trial always stays. */
async function removeOldRevisions(
  model: Model,
  used: ReadonlySet<string>,
  { context, signal }: { readonly context: ModelContext; readonly signal: AbortSignal },
): Promise<Outcome> {
  const { cluster } = context.options;
  const old = findOwned(cluster.list(kinds.ModelRevision), model)
    .filter(({ metadata }) => !used.has(metadata.name) && metadata.deletionTimestamp === undefined)
    .sort((a, b) => createdText(b).localeCompare(createdText(a)));
  for (const { metadata } of old.slice(OLD_REVISIONS_MAX)) {
    const removed = await cluster.remove(kinds.ModelRevision, metadata.name, {
      ...(metadata.uid === undefined ? {} : { uid: metadata.uid }),
      signal,
    });
    if (!removed.ok) return outcomeOfError(removed.error);
  }
  return done;
}

function createdText({ metadata }: ModelRevision): string {
  return `${metadata.creationTimestamp ?? ''} ${metadata.name}`;
}

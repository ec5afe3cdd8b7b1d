// What the planning loop knows of each model, for its status, for callers that wait and for people who ask. Pure.
import type { ModelWarmth, PolicyModel, Rung, UpstreamKey } from '../api/link.ts';
import type { ClimbTimes } from '../core/plan/climb.ts';
import { placeBounds } from '../core/plan/placement.ts';
import { describeWarmth, findWarmest, type OpenUpstream, type RoutedModel } from '../core/plan/routing.ts';
import { ascentOf, awakeIn, type InstanceView, type SlotView } from '../core/plan/snapshot.ts';
import { SLOT_START_MS, STAGE_BYTES_PER_SECOND, STAGE_START_MS, YIELD_MS } from './bounds.ts';
import type { Fleet } from './fleet.ts';
import type { LiveModel, World } from './observe.ts';
import type { ControllerOptions } from './options.ts';
import { type StagingTrouble, stagingTroubleOf } from './staging-verdict.ts';
import { keyOriginOf, type UpstreamState, type Upstreams } from './upstreams.ts';

/** Of one model: what its status says. */
export interface ModelView {
  readonly rung: Rung;
  readonly awake: number;
  readonly asleep: number;
  /** The failure of its stable revision, while nothing of it is up. */
  readonly failure: { readonly reason: string; readonly message: string } | undefined;
  readonly scaleDecision: string | undefined;
  /** Why nothing of its stable revision can start yet: its files are not there. */
  readonly staging?: StagingTrouble;
  /** The address of somebody else who serves it. */
  readonly baseUrl?: string;
}

/** Time until a slot of a pool could take one more instance, in milliseconds. */
export function estimateWaits(world: World, room: ReadonlyMap<string, number>): ReadonlyMap<string, number> {
  const waits = new Map<string, number>();
  for (const [pool, left] of room) waits.set(pool, left > 0 ? SLOT_START_MS : Number.POSITIVE_INFINITY);
  for (const slot of world.slots) {
    if (!slot.isUsable) continue;
    waits.set(slot.pool, Math.min(waits.get(slot.pool) ?? Number.POSITIVE_INFINITY, slotWaitMs(slot)));
  }
  return waits;
}

function slotWaitMs(slot: SlotView): number {
  const occupant = awakeIn(slot);
  if (occupant === undefined) return 0;
  const report = slot.instances.find(({ revision }) => revision === occupant.revision);
  if (report === undefined || ascentOf(report) !== 'Up') return placeBounds.residencyMs + YIELD_MS;
  const isIdle = report.inFlight === 0;
  const stayMs = isIdle ? placeBounds.settleMs : placeBounds.residencyMs;
  return Math.max(0, stayMs - report.rungAgeMs) + YIELD_MS;
}

/** The guess of how long it takes to read a Secret. */
const KEY_READ_MS = 1000;

/** When no slot will ever do, people are told this much. */
const NO_SLOT_MS = 60_000;

export interface RouteFacts {
  readonly world: World;
  readonly fleet: Fleet;
  readonly waits: ReadonlyMap<string, number>;
  readonly wallMs: number;
  readonly simulatedClimb: ControllerOptions['simulatedClimb'];
  /** As its stager says; undefined when it says nothing. */
  stagingLeftMs(revision: string): number | undefined;
}

export function routeModel(live: LiveModel, facts: RouteFacts): RoutedModel {
  const { world, fleet, waits } = facts;
  const { spec, status } = live.model;
  const stable = live.stable?.metadata.name;
  const isPlaced = stable !== undefined && (world.awakeSlotsOf.get(stable)?.length ?? 0) > 0;
  const waitMs = Math.min(...spec.pools.map((pool) => waits.get(pool) ?? NO_SLOT_MS), NO_SLOT_MS);
  const pinned = status?.conditions?.find(({ type }) => type === 'Pinned');
  const isUnpinned = stable === undefined && pinned?.status === 'False';
  const staging = stagingTroubleOf(live.stable);
  const trouble = isUnpinned ? pinned : staging?.isPassing === false ? staging : undefined;
  return {
    model: live.name,
    stable,
    concurrency: spec.serving.concurrency,
    weightsBytes: live.stable?.spec.weights?.sizeBytes ?? 0,
    times: stable === undefined ? {} : { ...guessSimulated(live, facts), ...fleet.climbTimes(stable) },
    failure: trouble === undefined ? undefined : { reason: trouble.reason, message: trouble.message },
    waitMs: (isPlaced ? 0 : waitMs) + (staging === undefined ? 0 : guessStagingMs(live, facts)),
  };
}

/** As its stager says; else from its size alone, less the time that it has been under way. */
function guessStagingMs({ stable }: LiveModel, { wallMs, stagingLeftMs }: RouteFacts): number {
  const leftMs = stable === undefined ? undefined : stagingLeftMs(stable.metadata.name);
  if (leftMs !== undefined) return leftMs;
  const began = stable?.status?.conditions?.find(({ type }) => type === 'Staged')?.lastTransitionTime;
  const wholeMs = STAGE_START_MS + (1000 * (stable?.spec.weights?.sizeBytes ?? 0)) / STAGE_BYTES_PER_SECOND;
  return Math.max(STAGE_START_MS, wholeMs - Math.max(0, wallMs - (Date.parse(began ?? '') || wallMs)));
}

/** What a simulated model would take is known before its first climb: its profile says it. */
export function guessSimulated(
  { stable, model }: LiveModel,
  { simulatedClimb }: Pick<RouteFacts, 'simulatedClimb'>,
): ClimbTimes {
  const simulated = stable?.spec.weights?.simulated;
  if (simulated === undefined) return {};
  const { stagedMs, asleepMs } = simulatedClimb(simulated);
  const speed = (model.spec.simulation?.speedPercent ?? 100) / 100;
  return { stagedMs: stagedMs / speed, asleepMs: asleepMs / speed };
}

export function describeModel(routed: RoutedModel, world: World): ModelWarmth {
  return describeWarmth(routed, world.slotsOf.get(routed.stable ?? '') ?? []);
}

/** A model that somebody else serves is always awake, unless its key is not to be had. */
export function describeUpstream(model: string, state: UpstreamState): ModelWarmth {
  if (state.type === 'ready') return { model, rung: 'Awake', etaMs: 0 };
  if (state.type === 'reading') return { model, rung: 'Starting', etaMs: KEY_READ_MS };
  return { model, rung: 'Failed', etaMs: 0, failure: { reason: state.reason, message: state.message } };
}

export function listUpstreams(
  models: readonly LiveModel[],
  upstreams: Upstreams,
): { readonly open: readonly OpenUpstream[]; readonly keys: readonly UpstreamKey[] } {
  const open: OpenUpstream[] = [];
  const keys: UpstreamKey[] = [];
  for (const { name, model, stable } of models) {
    const remote = stable?.spec.remote;
    if (stable === undefined || remote === undefined) continue;
    const state = upstreams.stateOf(stable);
    if (state.type !== 'ready') continue;
    const revision = stable.metadata.name;
    const [upstream, keyOrigin] = [`remote:${revision}`, keyOriginOf(stable)];
    open.push({
      ...{ upstream, model: name, revision, baseUrl: remote.baseUrl, upstreamModel: remote.model },
      ...(keyOrigin === undefined ? {} : { keyOrigin }),
      concurrency: model.spec.serving.concurrency,
    });
    keys.push({ upstream, key: state.key });
  }
  return { open, keys };
}

export function renderPolicy({ model, stable, name }: LiveModel): PolicyModel {
  const { servedName, serving } = model.spec;
  return {
    model: name,
    servedName,
    createdSeconds: Math.max(0, Math.floor(Date.parse(model.metadata.creationTimestamp ?? '') / 1000) || 0),
    ...(stable === undefined ? {} : { stable: { revision: stable.metadata.name, digest: stable.spec.digest } }),
    contextLength: stable?.spec.contextLength ?? 0,
    concurrency: serving.concurrency,
  };
}

export function viewModel(live: LiveModel, warmth: ModelWarmth, world: World, sentence: string | undefined): ModelView {
  const revisions = [live.stable, live.candidate].flatMap((revision) => revision?.metadata.name ?? []);
  const reports = revisions.flatMap((revision) => reportsOf(world, revision));
  const best =
    live.stable === undefined
      ? undefined
      : findWarmest(live.stable.metadata.name, world.slotsOf.get(live.stable.metadata.name) ?? []);
  const baseUrl = live.stable?.spec.remote?.baseUrl;
  const staging = stagingTroubleOf(live.stable);
  // Kept while it tries again: a condition that came and went with each try would be news all the time.
  const failure = baseUrl === undefined ? (best?.failures?.last ?? best?.failure) : warmth.failure;
  return {
    rung: staging === undefined ? warmth.rung : 'Absent',
    awake: reports.filter((report) => ascentOf(report) === 'Up').length,
    asleep: reports.filter((report) => report.rung === 'Asleep').length,
    failure: failure === undefined ? undefined : { reason: failure.reason, message: failure.message },
    scaleDecision: sentence,
    ...(staging === undefined ? {} : { staging }),
    ...(baseUrl === undefined ? {} : { baseUrl }),
  };
}

/** Instances of a revision in all slots. */
export function reportsOf(world: World, revision: string): InstanceView[] {
  return (world.slotsOf.get(revision) ?? []).flatMap((slot) =>
    slot.instances.filter((instance) => instance.revision === revision),
  );
}

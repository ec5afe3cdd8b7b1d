// The work-based planner in the controller: told what routers and agents say, asked at every run of the planning loop. Owns one
// planner for all models, so that they can owe each other slots. Adds nothing to its decisions.
import type { Demand, RouterHello } from '../api/link.ts';
import { checkOrders, keepAsItIs, type OrderFinding } from '../core/check/orders.ts';
import { guessClimb } from '../core/plan/climb.ts';
import type { CopyOrder } from '../core/plan/placement.ts';
import type { CopyModel } from '../core/plan/pool/copies.ts';
import {
  createFleetPlanner,
  type FleetPlanner,
  type ModelGuess,
  type ModelMemory,
  type ModelNews,
  type ModelOrder,
} from '../core/plan/pool/fleet-planner.ts';
import type { ClimbFrom } from '../core/plan/scale/climb-history.ts';
import { keepUpstream, type ScaleDecision } from '../core/plan/scale/decision.ts';
import { METER_SPAN_MS } from '../core/plan/scale/demand-meter.ts';
import { explainDecision } from '../core/plan/scale/explain.ts';
import { guessModel } from '../core/plan/scale/first-guess.ts';
import type { ScalerInput } from '../core/plan/scale/scaler.ts';
import {
  DECISION_LAG_MS,
  FIRST_TOKEN_MS_DEFAULT,
  headroomRanks,
  scaleDefaults,
  TOKEN_GAP_MS_MAX,
} from '../core/plan/scale/settings.ts';
import { isFreeSlot, readSupply } from '../core/plan/scale/supply-reading.ts';
import { createDemandNews } from './demand-news.ts';
import type { Fleet } from './fleet.ts';
import { slotEngineOf } from './launch.ts';
import { guessSimulated } from './model-view.ts';
import { type LiveModel, noLoad, type World } from './observe.ts';
import type { ControllerOptions } from './options.ts';

export interface LiveDecision {
  readonly decision: ScaleDecision;
  /** Missing for a model that somebody else serves. */
  readonly order?: ModelOrder;
}

export interface LiveScaling {
  heardHello(hello: RouterHello, nowMs: number): void;
  heardDemand(router: string, demand: Demand, nowMs: number): void;
  heardClimb(model: string, from: ClimbFrom, tookMs: number): void;
  /** `copies`, by Pod uid, are being made to sleep: they are no answer to anybody's order. */
  decide(world: World, copies?: ReadonlyMap<string, CopyOrder>): ReadonlyMap<string, LiveDecision>;
  /** What a copy of each model would save. */
  copyModels(nowMs: number): ReadonlyMap<string, CopyModel>;
  /** What took long to learn; undefined for a model that is not planned. */
  memoryOf(model: string): ModelMemory | undefined;
  remember(model: string, memory: ModelMemory): void;
}

export interface LiveScalingOptions {
  readonly fleet: Pick<Fleet, 'climbTimes'>;
  readonly simulatedClimb: ControllerOptions['simulatedClimb'];
  /** When this controller began, on its clock and by the wall. */
  readonly startedWallMs: number;
  /** An order breaks a rule and is not carried out. */
  onFinding?(finding: OrderFinding): void;
  /** The planner begins with a model: what was known of it before may be brought. */
  onPlanned?(model: string): void;
  /** Missing: `createLivePlanner`. */
  readonly planner?: FleetPlanner | undefined;
}

/** The planner of the product: that of the simulator, with the same settings. */
export function createLivePlanner(): FleetPlanner {
  return createFleetPlanner(scaleDefaults);
}

/** What is guessed of the version that answers. */
interface Guessed {
  readonly revision: string;
  readonly guess: ModelGuess;
}

/** News of models that are not planned yet: kept until they are. Of models that are not there, or elsewhere, none are. */
const EARLY_NEWS_MAX = 10_000;

export function createLiveScaling(options: LiveScalingOptions): LiveScaling {
  const planner = options.planner ?? createLivePlanner();
  const news = createDemandNews();
  const planned = new Map<string, Guessed>();
  const early: (readonly [string, ModelNews])[] = [];
  const tell = (all: readonly (readonly [string, ModelNews])[]) => {
    for (const one of all) {
      if (planned.has(one[0])) planner.tell(...one);
      else if (early.length < EARLY_NEWS_MAX) early.push(one);
    }
  };
  const noteVersion = (live: LiveModel, world: World) => {
    const known = planned.get(live.name);
    const revision = live.stable?.metadata.name ?? '';
    if (known?.revision === revision) return;
    const guess = guessLive(live, world, options);
    planned.set(live.name, { revision, guess });
    if (known !== undefined) return planner.guess(live.name, guess);
    planner.add(live.name, { guess, sinceMs: knownSinceMs(live, world.nowMs, options.startedWallMs) });
    options.onPlanned?.(live.name);
  };
  return {
    heardHello: (hello, nowMs) => tell(news.ofHello(hello, nowMs)),
    heardDemand: (router, demand, nowMs) => tell(news.ofDemand(router, demand, nowMs)),
    heardClimb: (model, from, tookMs) => tell([[model, { type: 'Climbed', from, tookMs }]]),
    memoryOf: (model) => planner.memoryOf(model),
    remember: (model, memory) => planner.remember(model, memory),
    copyModels: (nowMs) => planner.copyModels(nowMs),
    decide(world, copies = new Map()) {
      const live = world.models.filter(({ stable }) => stable !== undefined);
      const own = live.filter(({ stable }) => stable !== undefined && slotEngineOf(stable) !== undefined);
      for (const one of own) noteVersion(one, world);
      const names = new Set(world.models.map(({ name }) => name));
      for (const name of planned.keys()) if (!names.has(name)) forget(name, { planner, planned });
      const unpinned = new Set(world.models.filter(({ stable }) => stable === undefined).map(({ name }) => name));
      tell(early.splice(0).filter(([name]) => planned.has(name) || unpinned.has(name)));
      const freePools = new Set(world.slots.filter(isFreeSlot).map(({ pool }) => pool));
      const { onFinding } = options;
      return decideLive(planner, { world, live, own, guesses: planned, copies, freePools, onFinding });
    },
  };
}

function forget(name: string, { planner, planned }: { planner: FleetPlanner; planned: Map<string, Guessed> }): void {
  planner.remove(name);
  planned.delete(name);
}

/** Nothing of a model that was made under this controller's eyes can have come unseen. */
function knownSinceMs({ model }: LiveModel, nowMs: number, startedWallMs: number): number {
  const madeMs = Date.parse(model.metadata.creationTimestamp ?? '');
  // Times of creation are whole seconds.
  return madeMs + 1000 >= startedWallMs ? nowMs - METER_SPAN_MS : nowMs;
}

interface Looked {
  readonly world: World;
  readonly live: readonly LiveModel[];
  readonly own: readonly LiveModel[];
  readonly guesses: ReadonlyMap<string, Guessed>;
  readonly copies: ReadonlyMap<string, CopyOrder>;
  /** Pools in which a slot stands free. */
  readonly freePools: ReadonlySet<string>;
  readonly onFinding: LiveScalingOptions['onFinding'];
}

function decideLive(planner: FleetPlanner, looked: Looked): ReadonlyMap<string, LiveDecision> {
  const { world, live, own, onFinding } = looked;
  const decisions = new Map<string, LiveDecision>();
  for (const { name } of live) decisions.set(name, { decision: keepUpstream(name) });
  for (const { pools, models: group } of groupBySlots(own)) {
    const models = new Map(
      group.map((one) => [
        one.name,
        { ...readInput(one, looked), forecastFloor: planner.forecastOf(one.name, world.wallMs) },
      ]),
    );
    const slots = world.slots.filter(({ pool, isUsable }) => isUsable && pools.has(pool)).length;
    const asked = { models, slots, wallMs: world.wallMs };
    const orders = planner.decide(asked);
    const refused = new Set(checkOrders(asked, orders).map((finding) => noteFinding(finding, onFinding)));
    for (const [name, planned] of orders) {
      const input = models.get(name);
      if (input === undefined) continue;
      const order = refused.has(name) ? { ...planned, ...keepAsItIs(input), isRested: false } : planned;
      const { figures, isRested, desired } = order;
      const decision = explainDecision({ model: name, input, figures, settings: scaleDefaults, isRested, desired });
      decisions.set(name, { decision, order });
    }
  }
  return decisions;
}

interface SlotGroup {
  readonly pools: ReadonlySet<string>;
  readonly models: readonly LiveModel[];
}

/** Only models that may use the same slots owe each other any, be it by way of a third one. */
export function groupBySlots(own: readonly LiveModel[]): SlotGroup[] {
  let groups: SlotGroup[] = [];
  for (const [pools, models] of Map.groupBy(own, ({ model }) => model.spec.pools.join())) {
    const named = pools.split(',');
    const [near, far] = [true, false].map((isNear) =>
      groups.filter((group) => named.some((pool) => group.pools.has(pool)) === isNear),
    );
    const joined = {
      pools: new Set([...named, ...(near ?? []).flatMap((group) => [...group.pools])]),
      models: [...(near ?? []).flatMap((group) => group.models), ...models],
    };
    groups = [...(far ?? []), joined];
  }
  return groups;
}

function noteFinding(finding: OrderFinding, onFinding: LiveScalingOptions['onFinding']): string {
  onFinding?.(finding);
  return finding.model;
}

function readInput(live: LiveModel, { world, guesses, copies, freePools }: Looked): Omit<ScalerInput, 'forecastFloor'> {
  const { name, model, stable } = live;
  const revision = stable?.metadata.name ?? '';
  const { scaling, serving } = model.spec;
  const load = world.loads.get(name) ?? noLoad;
  const supply = readSupply(revision, {
    holding: world.slotsOf.get(revision) ?? [],
    wanted: (world.awakeSlotsOf.get(revision) ?? []).filter(({ podUid }) => copies.get(podUid)?.revision !== revision),
    isAnyFree: model.spec.pools.some((pool) => freePools.has(pool)),
  });
  const { ordered, ready, pending, idleMs } = supply;
  return {
    nowMs: world.nowMs,
    signalAgeMs: world.loadAgeMs.oldest,
    newsAgeMs: world.loadAgeMs.newest,
    min: scaling.minAwake,
    max: scaling.maxAwake,
    objective: {
      firstTokenMsMax: scaling.firstTokenMillis ?? FIRST_TOKEN_MS_DEFAULT,
      gapMsMax: TOKEN_GAP_MS_MAX,
      sequencesMax: serving.concurrency,
    },
    headroomRank: headroomRanks[scaling.headroom],
    waitingTokens: load.waitingTokens ?? [],
    oldestWaitMs: load.oldestQueuedMs,
    engineTokens: load.engineTokens ?? 0,
    inFlight: Math.max(load.inFlight, supply.inFlight),
    hasWakeLease: load.wakeLeaseMs > 0,
    idleMs,
    keepAliveMs: scaling.sleepAfterSeconds * 1000,
    ordered,
    ready,
    pending,
    makeRoomMs: supply.hasRoom ? 0 : (guesses.get(name)?.guess.sleepMs ?? 0),
    lagMs: DECISION_LAG_MS,
  };
}

function guessLive(live: LiveModel, world: World, options: LiveScalingOptions): ModelGuess {
  const { stable, model } = live;
  const weightsBytes = stable?.spec.weights?.sizeBytes ?? 0;
  const { countPerSlot = 1, className = 'cpu' } = world.pools.get(model.spec.pools[0] ?? '')?.spec.accelerator ?? {};
  const isSimulated = stable?.spec.weights?.simulated !== undefined;
  const times = { ...guessClimb(weightsBytes), ...guessSimulated(live, options) };
  return guessModel({
    weightsBytes,
    accelerators: countPerSlot,
    isProcessor: className === 'cpu' && !isSimulated,
    times: { ...times, ...options.fleet.climbTimes(stable?.metadata.name ?? '') },
    speed: isSimulated ? (model.spec.simulation?.speedPercent ?? 100) / 100 : 1,
  });
}

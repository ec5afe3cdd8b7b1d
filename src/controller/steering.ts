// The planning loop: observe, plan, check, act. Runs soon after anything changed and at a steady pace; every run plans for
// all models and slots at once. Owns the last decisions and what slots were assigned. Never waits for anything in between.
import { kinds } from '../api/kinds.ts';
import { type OwnEngine, residentRungs } from '../api/link.ts';
import { createChurnBudget, type HeldBack } from '../core/check/churn.ts';
import { checkPlacement, type Finding } from '../core/check/placement.ts';
import type { AgeOf } from '../core/plan/node-loss.ts';
import { planPlacement } from '../core/plan/place.ts';
import type { CopyOrder, Placement, PlaceSnapshot } from '../core/plan/placement.ts';
import { listOpenInstances } from '../core/plan/routing.ts';
import type { ScaleDecision } from '../core/plan/scale/decision.ts';
import { awakeIn, type SlotView } from '../core/plan/snapshot.ts';
import { type Clock, every, type Timer } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { Cluster } from '../ports/cluster.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { PICTURE_MS_MAX, PLAN_EVERY_MS, PLAN_REST_FACTOR, PLAN_REST_MS_MAX, PLAN_WITHIN_MS } from './bounds.ts';
import { listClaims, listPools } from './demand-plan.ts';
import type { AgentRecord, Fleet } from './fleet.ts';
import { createKeyChanges, type KeyChanges } from './key-changes.ts';
import type { KeyRing } from './key-ring.ts';
import { createLiveCopies } from './live-copies.ts';
import type { LiveDecision, LiveScaling } from './live-scaling.ts';
import {
  describeModel,
  describeUpstream,
  estimateWaits,
  listUpstreams,
  type ModelView,
  renderPolicy,
  routeModel,
} from './model-view.ts';
import { observeWorld, type World } from './observe.ts';
import type { ControllerOptions } from './options.ts';
import { createPlanViews, type PlanViews } from './plan-views.ts';
import type { PodAges } from './pod-ages.ts';
import { type AsleepBytes, createSleepMemory } from './sleep-memory.ts';
import { listLackingSlots } from './slot-flavour.ts';
import type { PlannedSlots, Spare } from './spare.ts';
import type { Staging } from './staging.ts';
import { noteMissingFiles } from './staging-verdict.ts';
import { createPublisher } from './tables.ts';
import { createTeller } from './targets.ts';
import type { Trials } from './trials.ts';
import type { Upstreams } from './upstreams.ts';
import { type WeightPlaces, weightsFolderOf } from './weight-volumes.ts';
import { createWithdrawals } from './withdrawals.ts';

export interface SteeringOptions {
  readonly cluster: Cluster;
  readonly fleet: Fleet;
  readonly trials: Trials;
  readonly scaling: LiveScaling;
  readonly upstreams: Upstreams;
  readonly engineBuilds: Readonly<Record<OwnEngine, string>>;
  readonly simulatedClimb: ControllerOptions['simulatedClimb'];
  readonly epoch: number;
  readonly places: WeightPlaces;
  readonly spare: Spare;
  readonly ages: PodAges;
  /** Looked up late: staging asks what was planned. */
  readonly staging: Pick<Staging, 'givesWay' | 'leftMsOf'>;
  readonly ring: Pick<KeyRing, 'wanted' | 'key'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** What people see of these has changed. */
  onChange(kind: 'Model' | 'Pool' | 'Slot', name: string): void;
  /** From now on things may also be put to sleep, stopped and deleted. */
  onComplete(): void;
  /** A run is over, and the world of it can be read. */
  onPlanned(): void;
}

export interface Decided {
  readonly decision: ScaleDecision;
  readonly atMs: number;
}

export interface Steering {
  start(): void;
  stop(): void;
  /** Something changed: plan within a few milliseconds. */
  poke(): void;
  /** True once nothing may be hidden from the planner any more. */
  isComplete(): boolean;
  decisionOf(model: string): Decided | undefined;
  viewOf(model: string): ModelView | undefined;
  /** The flavour of each slot that placement lacks in a pool. */
  lackingIn(pool: string): readonly (string | undefined)[];
  /** One of them is made: it is not lacked twice, although the next plan has still to see it. */
  noteMade(pool: string, flavour: string | undefined): void;
  /** Whether a slot, by Pod name, is to go for one of another flavour. */
  isGivenUp(slot: string): boolean;
  /** The model that is awake in a slot, by Pod name. */
  awakeIn(slot: string): string | undefined;
  /** Whether a slot, by Pod name, is not to be emptied only to save its node. */
  isKept(slot: string): boolean;
  /** What an instance of a revision holds once it sleeps, as the last run counted it. */
  asleepBytesOf(revision: string): AsleepBytes | undefined;
  /** The world of the last run. */
  world(): World | undefined;
}

export function createSteering(options: SteeringOptions): Steering {
  return new PlanningLoop(options);
}

class PlanningLoop implements Steering {
  readonly #options: SteeringOptions;
  readonly #tellAgents: (world: World) => number;
  readonly #tellRouters: ReturnType<typeof createPublisher>;
  readonly #withdraw: ReturnType<typeof createWithdrawals>;
  readonly #keys: KeyChanges;
  readonly #sleepMemory = createSleepMemory();
  readonly #churn = createChurnBudget();
  readonly #shown: PlanViews;
  #found: ReadonlySet<string> = new Set();
  readonly #decisions = new Map<string, Decided>();
  #lacking: ReadonlyMap<string, readonly (string | undefined)[]> = new Map();
  #givenUp: ReadonlySet<string> = new Set();
  #world: World | undefined;
  #seq = 0;
  #startedAtMs = 0;
  #isComplete = false;
  #timer: Timer | undefined;
  #pace: Timer | undefined;
  #restUntilMs = 0;
  readonly #liveCopies = createLiveCopies();
  #copies: ReadonlyMap<string, CopyOrder> = new Map();

  constructor(options: SteeringOptions) {
    this.#options = options;
    const nextFence = () => ({ epoch: options.epoch, seq: ++this.#seq });
    this.#keys = createKeyChanges(options);
    this.#shown = createPlanViews(options);
    const weightsFolder = weightsFolderOf(options.places);
    this.#tellAgents = createTeller({ ...options, keys: this.#keys, weightsFolder, nextFence });
    this.#tellRouters = createPublisher({ fleet: options.fleet, nextFence });
    this.#withdraw = createWithdrawals({ ...options, nextFence });
  }

  start(): void {
    const { clock } = this.#options;
    this.#startedAtMs = clock.nowMs();
    this.#pace = every(clock, PLAN_EVERY_MS, () => this.poke());
    this.poke();
  }

  stop(): void {
    this.#pace?.cancel();
    this.#timer?.cancel();
    this.#pace = undefined;
  }

  poke(): void {
    if (this.#timer !== undefined || this.#pace === undefined) return;
    const { clock } = this.#options;
    const waitMs = Math.max(PLAN_WITHIN_MS, this.#restUntilMs - clock.nowMs());
    this.#timer = clock.after(waitMs, () => {
      this.#timer = undefined;
      this.#runOnce();
    });
  }

  isComplete = () => this.#isComplete;
  decisionOf = (model: string) => this.#decisions.get(model);
  viewOf = (model: string) => this.#shown.viewOf(model);
  lackingIn = (pool: string) => this.#lacking.get(pool) ?? [];
  noteMade(pool: string, flavour: string | undefined): void {
    const flavours = this.lackingIn(pool);
    const at = flavours.indexOf(flavour);
    if (at >= 0) this.#lacking = new Map(this.#lacking).set(pool, flavours.toSpliced(at, 1));
  }

  isGivenUp = (slot: string) => this.#givenUp.has(slot);
  awakeIn = (slot: string) => this.#shown.awakeIn(slot);
  isKept = (slot: string) => this.#shown.isKept(slot);
  asleepBytesOf = (revision: string) => this.#sleepMemory.bytesOf(revision);
  world = () => this.#world;

  #runOnce(): void {
    const { clock, log } = this.#options;
    const beganMs = clock.nowMs();
    try {
      this.#run();
    } catch (error) {
      log.error({ error: String(error) }, 'a plan broke a promise and was not carried out');
    }
    const endedMs = clock.nowMs();
    this.#restUntilMs = endedMs + Math.min(PLAN_REST_MS_MAX, (endedMs - beganMs) * PLAN_REST_FACTOR);
  }

  #run(): void {
    const { cluster, fleet, clock, ages } = this.#options;
    if (!cluster.isSynced()) return;
    const nowMs = clock.nowMs();
    const ageOf: AgeOf = (pod, saidMs) => Math.min(ages.ageOf(pod, saidMs), nowMs - this.#startedAtMs);
    const time = { nowMs, wallMs: clock.wallMs(), ageOf };
    const seen = noteMissingFiles(observeWorld(cluster, fleet, time), this.#options.places);
    this.#noteCompleteness(seen);
    const scale = this.#decide(seen);
    const base: PlaceSnapshot = {
      slots: seen.slots,
      claims: this.#sleepMemory.weigh(
        seen,
        listClaims(seen, {
          decisions: scale,
          trials: this.#options.trials,
          places: this.#options.places,
          givesWay: this.#options.staging.givesWay,
        }),
      ),
      pools: listPools(seen),
      isComplete: this.#isComplete,
    };
    const snapshot = this.#isComplete ? this.#addCopies(seen, base) : base;
    const placement = planPlacement(snapshot);
    this.#releaseCopies(placement.adopted ?? []);
    this.#assign(snapshot, placement, time.nowMs);
    this.#noteLacking(placement, seen);
    if (this.#isComplete) this.#noteSpare({ world: seen, snapshot, placement });
    // Read again: slots are assigned something else now.
    const world = observeWorld(cluster, fleet, time);
    this.#world = world;
    this.#noteUse(world);
    this.#changeKeys(world);
    this.#tellRouters(this.#renderTable(world, snapshot));
    this.#tellAgents(world);
    this.#withdraw(world.nowMs);
    this.#shown.noteSlots(world);
    this.#options.onPlanned();
  }

  /** What had to wait for the whole picture is looked at again when it is there. */
  #noteCompleteness({ isEverybodyHeard, nowMs }: World): void {
    if (this.#isComplete || !(isEverybodyHeard || nowMs - this.#startedAtMs >= PICTURE_MS_MAX)) return;
    this.#isComplete = true;
    this.#options.log.info({ isEverybodyHeard }, 'the picture is complete');
    this.#options.onComplete();
  }

  #addCopies(world: World, snapshot: PlaceSnapshot): PlaceSnapshot {
    const savings = this.#options.scaling.copyModels(world.nowMs);
    this.#copies = this.#liveCopies.plan({ ...snapshot, world, savings });
    return { ...snapshot, copies: this.#copies };
  }

  /** What is to serve answers an order from now on. */
  #releaseCopies(podUids: readonly string[]): void {
    if (podUids.length === 0) return;
    this.#liveCopies.release(podUids);
    this.#copies = new Map([...this.#copies].filter(([podUid]) => !podUids.includes(podUid)));
  }

  #decide(world: World): ReadonlyMap<string, LiveDecision> {
    const decisions = this.#options.scaling.decide(world, this.#copies);
    for (const [model, { decision }] of decisions) {
      const before = this.#decisions.get(model)?.decision;
      if (before?.action !== decision.action || before.desired !== decision.desired) {
        this.#options.metrics.count('scaleDecisions', { model, action: decision.action });
      }
      this.#decisions.set(model, { decision, atMs: world.nowMs });
    }
    for (const model of this.#decisions.keys()) if (!decisions.has(model)) this.#decisions.delete(model);
    return decisions;
  }

  /** What the linter finds fault with is not carried out: a slot keeps what it has, and everybody can see why. */
  #assign(snapshot: PlaceSnapshot, placement: Placement, nowMs: number): void {
    const { fleet, log } = this.#options;
    const findings = checkPlacement(snapshot, placement);
    const held = this.#churn.check(nowMs, snapshot, placement);
    this.#noteFound(findings, held);
    if (findings.some((finding) => finding.podUid === undefined)) return;
    const refused = new Set([...findings, ...held].map(({ podUid }) => podUid));
    const allowed = new Map([...placement.assigned].filter(([podUid]) => !refused.has(podUid)));
    this.#churn.note(nowMs, snapshot, allowed);
    for (const [podUid, assigned] of allowed) {
      const record = fleet.agents.get(podUid);
      if (record !== undefined) record.assigned = assigned;
    }
    const kept = new Set(snapshot.slots.flatMap(({ podUid, name }) => (refused.has(podUid) ? [name] : [])));
    for (const { slot, model, revision, to, reason } of placement.moves) {
      if (!kept.has(slot)) log.info({ slot, model, revision, to, reason }, 'an instance is moved');
    }
  }

  /** Each is counted at every plan, and said once as long as it lasts. */
  #noteFound(findings: readonly Finding[], held: readonly HeldBack[]): void {
    const { log, metrics } = this.#options;
    const before = this.#found;
    this.#found = new Set([...findings, ...held].map(({ sentence }) => sentence));
    for (const { rule, sentence } of findings) {
      metrics.count('planFindings', { rule });
      if (!before.has(sentence)) log.error({ rule, sentence }, 'a plan was not carried out');
    }
    for (const { pool, sentence } of held) {
      metrics.count('wakesHeldBack', { pool });
      if (!before.has(sentence)) log.info({ pool, sentence }, 'nothing is woken in a slot ahead of need');
    }
  }

  #noteLacking(placement: Placement, world: World): void {
    const before = this.#lacking;
    const givenUp = this.#givenUp;
    this.#lacking = listLackingSlots(placement, world.slotCounts);
    this.#givenUp = new Set(placement.givenUp);
    for (const [pool, flavours] of this.#lacking) {
      const isNews =
        before.get(pool)?.join() !== flavours.join() || placement.givenUp.some((slot) => !givenUp.has(slot));
      if (flavours.length > 0 && isNews) this.#options.onChange('Pool', pool);
    }
  }

  #noteSpare(planned: PlannedSlots): void {
    for (const pool of this.#options.spare.note(planned)) this.#options.onChange('Pool', pool);
  }

  #noteUse(world: World): void {
    for (const slot of world.slots) {
      const record = this.#options.fleet.agents.get(slot.podUid);
      if (record === undefined) continue;
      notePlaces(record, slot, this.#options.cluster);
      const isUsed = awakeIn(slot) !== undefined || slot.instances.some(({ rung }) => residentRungs.has(rung));
      record.unusedSinceMs = isUsed ? undefined : (record.unusedSinceMs ?? world.nowMs);
      record.leavingSinceMs = slot.isLeaving ? (record.leavingSinceMs ?? world.nowMs) : undefined;
    }
  }

  /** Before anybody is told: tables and targets of one run go by the same step. */
  #changeKeys({ slots, nowMs }: World): void {
    const { ring, metrics } = this.#options;
    const podUids = slots.map(({ podUid }) => podUid);
    this.#keys.step(podUids, { seq: this.#seq, nowMs });
    metrics.set('slotKeyVersion', {}, ring.wanted());
    metrics.set('slotKeyChanges', {}, this.#keys.changing());
  }

  #renderTable(world: World, snapshot: PlaceSnapshot) {
    const { fleet, upstreams } = this.#options;
    const waits = estimateWaits(
      world,
      new Map(snapshot.pools.map(({ name, room, isLate }) => [name, isLate === true ? 0 : room])),
    );
    const wallMs = this.#options.clock.wallMs();
    const { simulatedClimb, staging } = this.#options;
    const facts = { world, fleet, waits, wallMs, simulatedClimb, stagingLeftMs: staging.leftMsOf };
    const routed = world.models.map((live) => routeModel(live, facts));
    const remote = new Map(world.models.flatMap(({ name, stable }) => (stable?.spec.remote ? [[name, stable]] : [])));
    const warmth = routed.map((model) => {
      const revision = remote.get(model.model);
      return revision === undefined
        ? describeModel(model, world)
        : describeUpstream(model.model, upstreams.stateOf(revision));
    });
    this.#shown.noteModels(
      world,
      new Map(warmth.map((row) => [row.model, row])),
      (model) => this.#decisions.get(model)?.decision.sentence,
    );
    return {
      policy: world.models.map(renderPolicy),
      open: listOpenInstances(world.slots, routed),
      upstreams: listUpstreams(world.models, upstreams),
      warmth,
      keys: world.slots.flatMap(({ podUid }) => this.#keys.carried(podUid).map((key) => ({ podUid, ...key }))),
      isComplete: this.#isComplete,
      turn: Math.floor(world.nowMs / 1000),
    };
  }
}

/** An engine is started for as many requests as its Model says then. */
function notePlaces({ places }: AgentRecord, slot: SlotView, cluster: Cluster): void {
  for (const { id, rung, model } of slot.instances) {
    const concurrency = cluster.get(kinds.Model, model)?.spec.serving.concurrency;
    if (rung === 'Starting' && concurrency !== undefined && !places.has(id)) places.set(id, concurrency);
  }
  if (places.size <= slot.instances.length) return;
  const ids = new Set(slot.instances.map(({ id }) => id));
  for (const id of places.keys()) if (!ids.has(id)) places.delete(id);
}

// The controller: the hub's handlers, the work queue and the planning loop, put together. Owns when each of them runs, and
// nothing of what they decide. Nothing is decided before the cluster's cache is synced and the slot keys are there.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ClusterObject } from '../api/group.ts';
import { kinds } from '../api/kinds.ts';
import type { Demand } from '../api/link.ts';
import { assert } from '../lib/assert.ts';
import { every, type Timer } from '../lib/clock.ts';
import type { Hub, HubHandlers, RouterSession } from '../ports/link.ts';
import { createAdminHandler } from './admin.ts';
import { RECONCILES_MAX, RECONCILES_OF_KIND_MAX, RESYNC_MS } from './bounds.ts';
import type { BufferContext } from './capacity-buffer.ts';
import { createDoor } from './door.ts';
import { createFleet, type Fleet } from './fleet.ts';
import { createKeyRing, type KeyRing } from './key-ring.ts';
import { createLearnedStates, type LearnedStates } from './learned-state.ts';
import { createLiveScaling, type LiveScaling } from './live-scaling.ts';
import { reconcileModel } from './model-reconciler.ts';
import { createObjectWatch, type ObjectWatch } from './object-watch.ts';
import { createObjectives, type Objectives } from './objectives.ts';
import type { ControllerOptions } from './options.ts';
import type { SeenChildren } from './owned-child.ts';
import { createPins, type Pins } from './pins.ts';
import { createPodAges, type PodAges } from './pod-ages.ts';
import type { PoolSetbacks } from './pool-context.ts';
import { reconcilePool } from './pool-reconciler.ts';
import { type Refusal, refusalOf } from './refusals.ts';
import { createRevisionHold, type RevisionHold } from './revision-hold.ts';
import { reconcileRevision } from './revision-reconciler.ts';
import { loadKeySource } from './slot-keys.ts';
import { type SlotTemplate, stokerImage } from './slot-pod.ts';
import { reconcileSlot } from './slot-reconciler.ts';
import { createSpare } from './spare.ts';
import { createStaging, type Staging } from './staging.ts';
import { createSteering, type Steering } from './steering.ts';
import { createTrials, type Trials } from './trials.ts';
import { createUpstreams, type Upstreams } from './upstreams.ts';
import { WantedFiles } from './wanted-files.ts';
import { KIND_OF, type Kind } from './work-kinds.ts';
import { createWorkQueue, type Outcome, type WorkKey, type WorkQueue } from './work-queue.ts';

export interface Controller {
  /** Starts the hub and the loops; resolves with the port of the link. Rejects when the port is taken. */
  start(): Promise<{ readonly port: number }>;
  handleAdmin(request: IncomingMessage, response: ServerResponse): void;
  /** Ends every loop: nothing is decided, written or commanded from then on. Sessions stay open. */
  quiesce(): Promise<void>;
  /** Ends every session, too. Slots keep what they have. */
  stop(): Promise<void>;
}

export function createController(options: ControllerOptions): Controller {
  return new RunningController(options);
}

class RunningController implements Controller {
  readonly #options: ControllerOptions;
  readonly #fleet: Fleet;
  readonly #ages: PodAges;
  readonly #trials: Trials = createTrials();
  readonly #scaling: LiveScaling;
  readonly #learned: LearnedStates;
  readonly #pins: Pins;
  readonly #hold: RevisionHold;
  readonly #upstreams: Upstreams;
  readonly #steering: Steering;
  readonly #objectives: Objectives;
  readonly #staging: Staging;
  readonly #queue: WorkQueue<Kind>;
  readonly #hub: Hub;
  readonly #stopping = new AbortController();
  readonly #made = new Map<string, Map<string, number>>();
  readonly #setbacks = new Map<string, PoolSetbacks>();
  readonly #spare = createSpare();
  readonly #ring: KeyRing;
  readonly #files: WantedFiles;
  readonly #objects: ObjectWatch;
  readonly handleAdmin: (request: IncomingMessage, response: ServerResponse) => void;
  readonly #children: SeenChildren = new Map();
  readonly #buffers: BufferContext['buffers'] = new Map();
  #linkUrl: string | undefined;
  #linkPort = 0;
  #resync: Timer | undefined;
  #unwatch: (() => void) | undefined;

  constructor(options: ControllerOptions) {
    this.#options = options;
    const { clock, log, metrics, epoch, cluster, engineBuilds, simulatedClimb } = options;
    this.#fleet = createFleet(clock);
    this.#ages = createPodAges(clock);
    this.#scaling = this.#createScaling();
    this.#learned = createLearnedStates({
      options,
      memoryOf: (model) => this.#scaling.memoryOf(model),
      onMemory: (model, memory) => this.#scaling.remember(model, memory),
    });
    this.#objectives = createObjectives({
      cluster,
      climbTimes: (revision) => this.#fleet.climbTimes(revision),
      memoryOf: (model) => this.#scaling.memoryOf(model),
    });
    this.#pins = createPins(options, (model) => this.#queue.add('Model', model));
    this.#hold = createRevisionHold(options);
    this.#upstreams = createUpstreams(cluster, (model) => this.#onKey(model));
    this.#ring = createKeyRing({
      cluster,
      rotationMs: options.slotKeyRotationMs,
      clock,
      log,
      onChange: () => this.#steering.poke(),
    });
    this.#queue = this.#createQueue();
    this.#steering = createSteering({
      cluster,
      fleet: this.#fleet,
      trials: this.#trials,
      scaling: this.#scaling,
      upstreams: this.#upstreams,
      engineBuilds,
      simulatedClimb,
      places: options,
      spare: this.#spare,
      ages: this.#ages,
      epoch,
      staging: {
        givesWay: (revision) => this.#staging.givesWay(revision),
        leftMsOf: (revision) => this.#staging.leftMsOf(revision),
      },
      ring: this.#ring,
      clock,
      log,
      metrics,
      onChange: (kind, name) => this.#queue.add(kind, name),
      onComplete: () => this.#lookAtAll(),
      onPlanned: () => this.#files.lookAgain(),
    });
    const add = (kind: Kind, name: string) => this.#queue.add(kind, name);
    this.#files = new WantedFiles({ cluster, steering: this.#steering, add });
    this.#objects = this.#watchObjects();
    this.#staging = createStaging(options, () => ({ ...options, image: stokerImage(this.#template()) }), {
      world: () => this.#steering.world(),
      isComplete: () => this.#steering.isComplete(),
      isWanted: (model, revision) => this.#files.isWanted(model, revision),
      ageOf: this.#ages.ageOf,
    });
    this.#hub = options.createHub(this.#handlers());
    this.handleAdmin = createAdminHandler({
      token: options.adminToken,
      metrics,
      clock,
      missing: () => this.#missing(),
      decisionOf: (model) => this.#steering.decisionOf(model),
    });
  }

  #createQueue(): WorkQueue<Kind> {
    const { clock, rng, log } = this.#options;
    return createWorkQueue<Kind>({
      reconcile: (key, signal) => this.#reconcile(key, signal),
      onOutcome: (key, outcome) => this.#onOutcome(key, outcome),
      concurrencyMax: RECONCILES_MAX,
      kindMax: RECONCILES_OF_KIND_MAX,
      clock,
      rng,
      log,
    });
  }

  #watchObjects(): ObjectWatch {
    return createObjectWatch({
      cluster: this.#options.cluster,
      places: this.#options,
      add: (kind, name) => this.#queue.add(kind, name),
      renew: (kind, name) => this.#queue.renew(kind, name),
      onSlotGone: (podUid) => this.#forgetSlot(podUid),
    });
  }

  #createScaling(): LiveScaling {
    const { clock, log, metrics, simulatedClimb, planner } = this.#options;
    return createLiveScaling({
      fleet: this.#fleet,
      simulatedClimb,
      startedWallMs: clock.wallMs(),
      planner,
      onFinding: ({ rule, sentence }) => {
        metrics.count('planFindings', { rule });
        log.error({ rule, sentence }, 'an order to scale was not carried out');
      },
      onPlanned: (model) => this.#queue.add('Learned', model),
    });
  }

  async start(): Promise<{ port: number }> {
    const { cluster, clock, rng, log } = this.#options;
    const onTrouble = (sentence: string) => this.#options.onStartTrouble?.(sentence);
    this.#ring.start(await loadKeySource(cluster, { clock, rng, log, onTrouble }, this.#stopping.signal));
    const { port } = await this.#hub.start();
    this.#linkPort = port;
    this.#linkUrl = this.#options.linkUrlForSlots(port);
    this.#unwatch = cluster.onChange((kind, name) => {
      this.#steering.poke();
      this.#objects.changed(kind, name);
    });
    // From now on the figure says that a controller leads, and that nobody came yet.
    this.#countSessions();
    this.#steering.start();
    this.#resync = every(clock, RESYNC_MS, () => this.#lookAtAll());
    this.#lookAtAll();
    return { port };
  }

  async quiesce(): Promise<void> {
    this.#stopping.abort(new Error('the controller stops'));
    this.#unwatch?.();
    this.#resync?.cancel();
    this.#ring.stop();
    this.#steering.stop();
    await this.#queue.stop();
  }

  async stop(): Promise<void> {
    await this.quiesce();
    await this.#hub.stop();
  }

  #handlers(): HubHandlers {
    const { cluster, routerUsername, slotServiceAccount, epoch, log } = this.#options;
    const slotUsername = `system:serviceaccount:${cluster.namespace}:${slotServiceAccount}`;
    return {
      ...createDoor({ cluster, routerUsername, slotUsername, epoch, log }),
      onOpen: (session) => {
        if (session.role === 'agent') this.#fleet.openAgent(session);
        else this.#onRouter(session);
        this.#countSessions();
        this.#steering.poke();
      },
      onClose: (session) => {
        if (session.role === 'agent') this.#fleet.closeAgent(session);
        else this.#fleet.closeRouter(session);
        this.#countSessions();
        this.#steering.poke();
      },
      onAgentMessage: (session, message) => {
        const { isNews, revisions, climbs } = this.#fleet.report(session, message);
        for (const { model, climb } of climbs) this.#scaling.heardClimb(model, climb.from, climb.totalMs);
        if (!isNews) return;
        this.#files.noteNews(revisions);
        this.#steering.poke();
      },
      onRouterMessage: (session, message) => {
        if (message.type === 'acknowledge') this.#fleet.acknowledge(session, message);
        else if (!this.#onDemand(session, message)) return;
        this.#steering.poke();
      },
    };
  }

  #onRouter(session: RouterSession): void {
    this.#fleet.openRouter(session);
    this.#scaling.heardHello(session.hello, this.#options.clock.nowMs());
  }

  /** Whether it changes anything. */
  #onDemand(session: RouterSession, demand: Demand): boolean {
    const isNews = this.#fleet.demand(session, demand);
    this.#scaling.heardDemand(session.hello.name, demand, this.#options.clock.nowMs());
    return isNews;
  }

  #countSessions(): void {
    const { agents, routers } = this.#fleet;
    const connected = [...agents.values()].filter(({ session }) => session !== undefined).length;
    this.#options.metrics.set('linkSessions', { role: 'agent' }, connected);
    this.#options.metrics.set('linkSessions', { role: 'router' }, routers.size);
  }

  /** What was read of an upstream's key is something else now. */
  #onKey(model: string): void {
    this.#queue.add('Model', model);
    this.#steering.poke();
  }

  #forgetSlot(podUid: string): void {
    this.#fleet.forgetAgent(podUid);
    this.#ring.forget(podUid);
  }

  /** Level-driven: whatever was missed is seen here, and what belongs to nobody any more is forgotten. */
  #lookAtAll(): void {
    const { cluster } = this.#options;
    if (!cluster.isSynced()) return;
    this.#objects.lookAtAll();
    const revisions = new Set(cluster.list(kinds.ModelRevision).map(({ metadata }) => metadata.name));
    this.#learned.forgetExcept(new Set(cluster.list(kinds.Model).map(({ metadata }) => metadata.name)));
    this.#upstreams.forgetExcept(revisions);
    this.#fleet.forgetRevisionsExcept(revisions);
    this.#trials.forgetExcept(revisions);
    this.#staging.forgetExcept(revisions);
    this.#ages.forgetExcept(new Set(cluster.list(kinds.Pod).map(({ metadata }) => metadata.uid)));
    this.#steering.poke();
  }

  #reconcile({ kind, name }: WorkKey<Kind>, signal: AbortSignal): Promise<Outcome> {
    const options = this.#options;
    const [fleet, steering] = [this.#fleet, this.#steering];
    switch (kind) {
      case 'Pool':
        return reconcilePool(
          name,
          {
            options,
            fleet,
            steering,
            ages: this.#ages,
            template: () => this.#template(),
            linkPort: this.#linkPort,
            made: this.#made,
            children: this.#children,
            buffers: this.#buffers,
            setbacks: this.#setbacks,
            spare: this.#spare,
          },
          signal,
        );
      case 'Model': {
        const [pins, trials, upstreams] = [this.#pins, this.#trials, this.#upstreams];
        const startPin = (model: string) => this.#queue.add('Pin', model);
        const [objectives, children, hold] = [this.#objectives, this.#children, this.#hold];
        const context = { options, fleet, pins, trials, upstreams, steering, objectives, children, hold, startPin };
        return reconcileModel(name, context, signal);
      }
      case 'Pin':
        return this.#pins.reconcile(name, signal);
      case 'ModelRevision':
        return reconcileRevision(name, { options, steering, staging: this.#staging, hold: this.#hold }, signal);
      case 'Upstream':
        return this.#upstreams.reconcile(name, signal);
      case 'Learned':
        return this.#learned.reconcile(name, signal);
      case 'Slot':
        return reconcileSlot(name, { options, steering }, signal);
    }
  }

  #onOutcome({ kind, name }: WorkKey<Kind>, outcome: Outcome): void {
    const { metrics, log } = this.#options;
    metrics.count('reconciles', { kind, outcome: outcome.type });
    if (outcome.type !== 'failed') return;
    log.warn({ kind, name, error: outcome.sentence }, 'an object could not be brought up to date and is tried again');
    const refusal = refusalOf(outcome);
    if (refusal !== undefined) this.#tellRefusal(kind, name, refusal);
  }

  /** For whoever looks at the object. Equal Events are counted up. */
  #tellRefusal(kind: Kind, name: string, { reason, message }: Refusal): void {
    const { cluster, log } = this.#options;
    log.error({ kind, name, reason }, message);
    const regarding = cluster.get<ClusterObject>(kinds[KIND_OF[kind]], name);
    if (regarding !== undefined) cluster.recordEvent({ regarding, type: 'Warning', reason, message });
  }

  #template(): SlotTemplate {
    const { slotServiceAccount, linkCaConfigMap, slotPods, release, localWeightsFolder, allowsHostPath } =
      this.#options;
    assert(this.#linkUrl !== undefined, 'objects are looked at after the hub listens');
    const own = { linkUrl: this.#linkUrl, serviceAccount: slotServiceAccount, release };
    return { ...own, linkCaConfigMap, slotPods, localWeightsFolder, allowsHostPath };
  }

  #missing(): string | undefined {
    if (this.#linkUrl === undefined) return 'The link does not listen yet.';
    return this.#options.cluster.isSynced() ? undefined : 'The objects have not been read yet.';
  }
}

// A controller with everything around it in memory: objects, a hub whose sessions tests open, agents that follow targets on a
// manual clock, routers that hold their last table. For tests of the whole controller without processes or sockets.
import { setImmediate } from 'node:timers/promises';
import type { TaggedImage } from '../../src/api/engine-image.ts';
import type { FileSet } from '../../src/api/file-set.ts';
import { kinds, type Pod } from '../../src/api/kinds.ts';
import {
  type Demand,
  type HubToRouter,
  type ModelDemand,
  ROUTER_SERVICE_ACCOUNT,
  type RouterHello,
  type Table,
} from '../../src/api/link.ts';
import { modelSpecSchema } from '../../src/api/model.ts';
import { poolSpecSchema } from '../../src/api/pool.ts';
import { SIMULATED_BUILD } from '../../src/api/simulated-weights.ts';
import type { WeightSource } from '../../src/api/weight-sources.ts';
import { type Controller, createController } from '../../src/controller/controller.ts';
import type { SlotPods } from '../../src/controller/slot-pod.ts';
import { stagedRevisionOf } from '../../src/controller/stager-pod.ts';
import type { FleetPlanner } from '../../src/core/plan/pool/fleet-planner.ts';
import { applyTable, emptyTable, type RoutingTable } from '../../src/core/route/table.ts';
import { createManualClock, every, type ManualClock, type Timer } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { fail, ok, type Result } from '../../src/lib/result.ts';
import { createRng } from '../../src/lib/rng.ts';
import type { TokenIdentity } from '../../src/ports/cluster.ts';
import type { ImageError, RegistryLogin } from '../../src/ports/images.ts';
import type { HubHandlers, RouterSession } from '../../src/ports/link.ts';
import type { StagerProgress } from '../../src/ports/stager-progress.ts';
import type { ResolvedSource, SourceError, WeightsResolver } from '../../src/ports/weights.ts';
import { createMetrics, type Metrics } from '../../src/telemetry/metrics.ts';
import { BUILD, FollowingAgent, type LabAgent, type LabWorld, openSession } from './lab-agent.ts';
import { createMemoryCluster, type MemoryCluster } from './memory-cluster.ts';

export interface LabRouter {
  readonly name: string;
  table(): RoutingTable;
  readonly tables: Table[];
  /** Says its demand again every second until it is told another one. */
  demand(models: readonly Partial<ModelDemand>[]): void;
  silence(): void;
  setAcknowledges(on: boolean): void;
  /** What its next hello says came in the last ten minutes. */
  setHistory(history: RouterHello['history']): void;
  connect(): void;
  disconnect(): void;
}

type SourceAnswerer = (source: WeightSource) => Result<FileSet & Pick<ResolvedSource, 'description'>, SourceError>;
type ImageAnswer = Result<string, ImageError>;
type RegistryAnswerer = (image: TaggedImage, login: RegistryLogin | undefined) => ImageAnswer | Promise<ImageAnswer>;

export interface Lab {
  /** What sources answer from now on. */
  answerSources(answer: SourceAnswerer): void;
  /** What registries answer from now on. */
  answerRegistries(answer: RegistryAnswerer): void;
  /** By Pod name: what a stager says when it is asked how far it is. */
  readonly stagerProgress: Map<string, StagerProgress>;
  /** Stagers on these nodes do not go, for nobody answers there. */
  readonly lostNodes: Set<string>;
  readonly cluster: MemoryCluster;
  readonly clock: ManualClock;
  readonly metrics: Metrics;
  readonly weights: Map<string, { sha256: string; sizeBytes: number; trainedContextLength: number } | string>;
  readonly agents: ReadonlyMap<string, LabAgent>;
  controller(): Controller;
  pool(name: string, spec?: object): void;
  model(name: string, spec?: object): void;
  /** Lets promises settle, and time pass in small steps: of 10 ms, or of as much when nothing happens that is looked at. */
  pass(ms: number, stepMs?: number): Promise<void>;
  settle(): Promise<void>;
  /** One with a uid runs in that Pod. */
  router(name?: string, podUid?: string): LabRouter;
  /** A slot is gone, with all that was in it. */
  lose(slot: string): void;
  /** Another controller takes over: sessions end and come back. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export interface LabOptions {
  readonly startsPods?: boolean;
  /** Made anew for every controller. Default: the product's own. */
  readonly createPlanner?: () => FleetPlanner;
  /** Default: a day. */
  readonly slotKeyRotationMs?: number;
  /** As on a cluster. */
  readonly slotPods?: SlotPods;
  readonly localWeightsFolder?: string;
  readonly allowsHostPath?: boolean;
  /** How far the controller's wall clock goes before that of the API server. */
  readonly aheadMs?: number;
  /** Pods are bound to these in turn. */
  readonly nodes?: readonly string[];
}

export async function createLab(options: LabOptions = {}): Promise<Lab> {
  const clock = createManualClock();
  const cluster = createMemoryCluster(() => clock.wallMs() - (options.aheadMs ?? 0));
  const weights: Lab['weights'] = new Map([
    ['demo.gguf', { sha256: 'a'.repeat(64), sizeBytes: 1_000_000, trainedContextLength: 2048 }],
  ]);
  let answerSource: SourceAnswerer = () => fail({ reason: 'FilesMissing', message: 'There is no source.' });
  let answerRegistry: RegistryAnswerer = () => fail({ type: 'NotFound', message: 'There is no image.' });
  const stagerProgress: Lab['stagerProgress'] = new Map();
  const lostNodes: Lab['lostNodes'] = new Set();
  const agents = new Map<string, FollowingAgent>();
  const routers: Router[] = [];
  const metrics = createMetrics();
  let handlers: HubHandlers | undefined;
  let epoch = 0;
  const hubPort = 4000;
  const startController = async () => {
    epoch += 1;
    const controller = createController({
      cluster,
      createHub(given) {
        handlers = given;
        return { start: async () => ({ port: hubPort }), stop: async () => {}, sessions: () => [] };
      },
      weights: resolverOf(weights),
      sources: {
        async resolveSource(source) {
          const answer = answerSource(source);
          if (!answer.ok) return answer;
          const { description, ...fileSet } = answer.value;
          return ok({ fileSet, description });
        },
      },
      images: { resolveImage: async (image, login) => answerRegistry(image, login) },
      progress: { read: async ({ pod }) => stagerProgress.get(pod.metadata.name) },
      allowsHostPath: options.allowsHostPath,
      ...(options.localWeightsFolder === undefined ? {} : { localWeightsFolder: options.localWeightsFolder }),
      engineBuilds: { Llama: BUILD, Sim: SIMULATED_BUILD },
      simulatedClimb: () => ({ stagedMs: 45_000, asleepMs: 900 }),
      epoch,
      linkUrlForSlots: (port) => `ws://127.0.0.1:${port}`,
      slotPods: options.slotPods,
      routerUsername: 'router',
      slotServiceAccount: 'stoker-slot',
      slotKeyRotationMs: options.slotKeyRotationMs ?? 86_400_000,
      planner: options.createPlanner?.(),
      release: 'test',
      adminToken: 'secret',
      metrics,
      clock,
      rng: createRng(1),
      log: silentLog,
    });
    await controller.start();
    return controller;
  };
  let controller = await startController();
  const hub = () => handlers;
  const isStarting = options.startsPods !== false;
  let bound = 0;
  const bind = ({ metadata, spec }: Pod) => {
    const nodeName = options.nodes?.[bound++ % options.nodes.length];
    if (nodeName !== undefined) cluster.change(kinds.Pod, metadata.name, { spec: { ...spec, nodeName } });
  };
  /** One whose Pod never began has nothing to end. */
  const endPod = ({ metadata: { name } }: Pod) => {
    const known = agents.get(name);
    if (known !== undefined) known.terminate();
    else if (isStarting) cluster.endPod(name);
  };
  const runNode = () => {
    for (const pod of endStagers(cluster, lostNodes)) {
      const { name, deletionTimestamp } = pod.metadata;
      if (deletionTimestamp !== undefined) endPod(pod);
      else if (isStarting && !agents.has(name)) {
        bind(pod);
        cluster.setPodStatus(name, runningStatus);
        const agent = new FollowingAgent(pod, { clock, hub, cluster });
        agents.set(name, agent);
        agent.connect();
      }
    }
  };
  const settle = async () => {
    for (let turn = 0; turn < 6; turn += 1) await setImmediate();
  };
  const lab: Lab = {
    answerSources(answer) {
      answerSource = answer;
    },
    answerRegistries(answer) {
      answerRegistry = answer;
    },
    stagerProgress,
    lostNodes,
    cluster,
    clock,
    metrics,
    weights,
    agents,
    controller: () => controller,
    pool: (name, spec = {}) => void cluster.put(kinds.Pool, name, poolSpecSchema.parse(spec)),
    model(name, spec = {}) {
      const version = { weights: { file: { path: 'demo.gguf' } } };
      cluster.put(kinds.Model, name, modelSpecSchema.parse({ servedName: name, version, ...spec }));
    },
    async pass(ms, stepMs = 10) {
      for (let left = ms; left > 0; left -= stepMs) {
        clock.advance(Math.min(stepMs, left));
        await settle();
        runNode();
        for (const agent of agents.values()) agent.work();
        await settle();
      }
    },
    settle,
    router(name = 'router-1', podUid?: string) {
      const router = new Router(podUid === undefined ? { username: 'router' } : { username: 'router', podUid }, name, {
        clock,
        hub,
      });
      routers.push(router);
      router.connect();
      return router;
    },
    lose(slot) {
      cluster.drop(kinds.Pod, slot);
      agents.get(slot)?.end();
      agents.delete(slot);
    },
    async restart() {
      const [gone, stopped] = [
        [...agents.values()].filter((agent) => agent.isConnected()),
        routers.filter((router) => router.isConnected()),
      ];
      await controller.stop();
      for (const spoke of [...gone, ...stopped]) spoke.disconnect();
      controller = await startController();
      for (const spoke of [...gone, ...stopped]) spoke.connect();
    },
    async stop() {
      for (const agent of agents.values()) agent.end();
      for (const router of routers) router.disconnect();
      await controller.stop();
    },
  };
  return lab;
}

const runningStatus: Pod['status'] = {
  phase: 'Running',
  podIP: '127.0.0.1',
  conditions: [{ type: 'Ready', status: 'True' }],
};

function resolverOf(files: Lab['weights']): WeightsResolver {
  return {
    async resolve({ path, expectedSha256 }) {
      const file = files.get(path);
      if (file === undefined) return fail({ reason: 'WeightsMissing', message: `There is no file ${path}.` });
      if (typeof file === 'string') return fail({ reason: 'WeightsInvalid', message: file });
      if (expectedSha256 !== undefined && expectedSha256 !== file.sha256)
        return fail({ reason: 'HashMismatch', message: `${path} has another sha256.` });
      return ok({ path: `/models/${path}`, ...file });
    },
  };
}

class Router implements LabRouter {
  readonly name: string;
  readonly tables: Table[] = [];
  readonly #identity: TokenIdentity;
  readonly #world: Omit<LabWorld, 'cluster'>;
  #table = emptyTable;
  #session: RouterSession | undefined;
  #demand: readonly Partial<ModelDemand>[] | undefined;
  #acknowledges = true;
  #history: RouterHello['history'] = [];
  #sessions = 0;
  #pace: Timer | undefined;

  constructor(identity: TokenIdentity, name: string, world: Omit<LabWorld, 'cluster'>) {
    this.#identity = identity;
    this.name = name;
    this.#world = world;
  }

  table = () => this.#table;
  isConnected = () => this.#session !== undefined;

  connect(): void {
    const { epoch, seq } = this.#table;
    const session: RouterSession = {
      id: `${this.name}-${++this.#sessions}`,
      role: 'router',
      identity: this.#identity,
      hello: {
        type: 'hello',
        role: 'router',
        name: this.name,
        release: 'test',
        versions: { min: 1, max: 1 },
        fence: { epoch, seq },
        history: this.#history,
      },
      send: (message) => this.#obey(message),
      close: () => this.disconnect(),
    };
    openSession(session, this.#world);
    this.#session = session;
    this.#say();
    this.#pace = every(this.#world.clock, 1000, () => this.#say());
  }

  disconnect(): void {
    this.#pace?.cancel();
    const session = this.#session;
    this.#session = undefined;
    if (session !== undefined) this.#world.hub()?.onClose(session, 'gone');
  }

  demand(models: readonly Partial<ModelDemand>[]): void {
    this.#demand = models;
    this.#say();
  }

  silence(): void {
    this.#demand = undefined;
  }

  setHistory(history: RouterHello['history']): void {
    this.#history = history;
  }

  setAcknowledges(on: boolean): void {
    this.#acknowledges = on;
  }

  #say(): void {
    if (this.#session === undefined || this.#demand === undefined) return;
    const empty = { queued: 0, queuedTokens: 0, oldestQueuedMs: 0, inFlight: 0, arrivals: 0, wakeLeaseMs: 0 };
    const demand: Demand = { type: 'demand', models: this.#demand.map((row) => ({ model: 'demo', ...empty, ...row })) };
    this.#world.hub()?.onRouterMessage(this.#session, demand);
  }

  #obey(message: HubToRouter): boolean {
    if (message.type === 'welcome' || message.type === 'moved') return true;
    this.tables.push(message);
    this.#table = applyTable(this.#table, message);
    const { epoch, seq, versions } = this.#table;
    queueMicrotask(() => {
      if (this.#session === undefined || !this.#acknowledges) return;
      this.#world.hub()?.onRouterMessage(this.#session, { type: 'acknowledge', epoch, seq, versions });
    });
    return true;
  }
}

/** What a stager does is for the test to say; here it only goes when it has to. Returns the other Pods. */
function endStagers(cluster: MemoryCluster, lostNodes: ReadonlySet<string>): readonly Pod[] {
  const pods = Map.groupBy(cluster.list(kinds.Pod), (pod) => stagedRevisionOf(pod) !== undefined);
  for (const { metadata, spec } of pods.get(true) ?? []) {
    if (metadata.deletionTimestamp !== undefined && !lostNodes.has(spec.nodeName ?? '')) cluster.endPod(metadata.name);
  }
  // Routers are the test's to connect.
  return (pods.get(false) ?? []).filter(({ spec }) => spec.serviceAccountName !== ROUTER_SERVICE_ACCOUNT);
}

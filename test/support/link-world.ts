// A controller with a real hub on a free port, objects in memory, and spokes of whatever version a test wants. For tests of how
// releases of different age get on with each other.
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { kinds, type Pod } from '../../src/api/kinds.ts';
import {
  type AgentHello,
  type AgentReport,
  type Demand,
  type HubToAgent,
  type HubToRouter,
  LINK_PATH,
  type RouterHello,
} from '../../src/api/link.ts';
import { modelSpecSchema } from '../../src/api/model.ts';
import { poolSpecSchema } from '../../src/api/pool.ts';
import { SIMULATED_BUILD } from '../../src/api/simulated-weights.ts';
import { createController } from '../../src/controller/controller.ts';
import { type Clock, systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { ok } from '../../src/lib/result.ts';
import { createRng } from '../../src/lib/rng.ts';
import { createHub } from '../../src/link/hub.ts';
import { createAgentSpoke, createRouterSpoke, type SpokeOptions } from '../../src/link/spoke.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { createMemoryCluster, type MemoryCluster } from './memory-cluster.ts';
import { until } from './until.ts';

export interface VersionRange {
  readonly min: number;
  readonly max: number;
}

export interface WorldAgent {
  readonly pod: Pod;
  readonly messages: HubToAgent[];
  report(instances: AgentReport['instances']): void;
}

export interface WorldRouter {
  readonly messages: HubToRouter[];
  demand(models: readonly (Partial<Demand['models'][number]> & { readonly model: string })[]): void;
}

export interface LinkWorld {
  readonly cluster: MemoryCluster;
  pool(name: string, slots?: number): void;
  model(name: string, spec?: object): void;
  /** The agent of a slot that the controller made and that has none yet. */
  agent(versions: VersionRange): Promise<WorldAgent>;
  /** The same over a socket that takes whatever the hub says. */
  bareAgent(versions: VersionRange): Promise<WorldAgent>;
  router(versions: VersionRange): Promise<WorldRouter>;
  /** For agents and routers of the test's own: a slot that has none yet, and how they dial. */
  takeSlot(): Promise<{ readonly name: string; readonly podUid: string }>;
  dial(token: string): Pick<SpokeOptions<never>, 'url' | 'token'>;
  stop(): Promise<void>;
}

export interface LinkWorldOptions {
  /** The controller's own; the link goes by the system's. */
  readonly clock?: Clock;
  readonly slotKeyRotationMs?: number;
}

export async function createLinkWorld(options: LinkWorldOptions = {}): Promise<LinkWorld> {
  const clock = options.clock ?? systemClock;
  const cluster = createMemoryCluster(() => clock.wallMs());
  const common = { clock: systemClock, rng: createRng(3), log: silentLog };
  const epoch = 1;
  const controller = createController({
    cluster,
    createHub: (handlers) => createHub({ host: '127.0.0.1', port: 0, epoch, release: 'test', ...common }, handlers),
    progress: { read: async () => undefined },
    sources: {
      resolveSource: async () => ({ ok: false, error: { reason: 'FilesMissing', message: 'There is no source.' } }),
    },
    images: { resolveImage: async () => ({ ok: false, error: { type: 'NotFound', message: 'There is no image.' } }) },
    weights: {
      resolve: async ({ path }) =>
        ok({ path: `/models/${path}`, sizeBytes: 1000, sha256: 'a'.repeat(64), trainedContextLength: 2048 }),
    },
    engineBuilds: { Llama: 'builtin:0123456789ab', Sim: SIMULATED_BUILD },
    simulatedClimb: () => ({ stagedMs: 1000, asleepMs: 100 }),
    epoch,
    linkUrlForSlots: (port) => `ws://127.0.0.1:${port}`,
    routerUsername: 'router',
    slotServiceAccount: 'stoker-slot',
    slotKeyRotationMs: options.slotKeyRotationMs ?? 86_400_000,
    release: 'test',
    adminToken: 'secret',
    metrics: createMetrics(),
    ...common,
    clock,
  });
  cluster.tokens.set('router', { username: 'router' });
  const { port } = await controller.start();
  const spokes: { stop(): Promise<void> }[] = [];
  const taken = new Set<string>();
  const dial = (token: string) => ({ url: () => `ws://127.0.0.1:${port}`, token: async () => token, ...common });
  const takeSlot = async () => {
    const free = () => cluster.list(kinds.Pod).find(({ metadata }) => !taken.has(metadata.name));
    await until(() => free() !== undefined, 'a slot');
    const { name } = free()?.metadata ?? { name: '' };
    taken.add(name);
    cluster.setPodStatus(name, {
      phase: 'Running',
      podIP: '127.0.0.1',
      conditions: [{ type: 'Ready', status: 'True' }],
    });
    const pod = cluster.must(kinds.Pod, name);
    const podUid = pod.metadata.uid ?? '';
    cluster.tokens.set(name, { username: 'system:serviceaccount:default:stoker-slot', podUid, podName: name });
    return { pod, name, podUid };
  };
  return {
    cluster,
    takeSlot,
    dial,
    pool: (name, slots = 1) =>
      void cluster.put(kinds.Pool, name, poolSpecSchema.parse({ ...pool, slots: { min: slots, max: slots } })),
    model(name, spec = {}) {
      const version = { weights: { file: { path: 'demo.gguf' } } };
      cluster.put(kinds.Model, name, modelSpecSchema.parse({ servedName: name, version, ...spec }));
    },
    async agent(versions) {
      const { pod, name, podUid } = await takeSlot();
      const messages: HubToAgent[] = [];
      const spoke = createAgentSpoke(
        { ...dial(name), hello: () => ({ ...agentHello, name, podUid, versions }) },
        { onOpen: () => {}, onMessage: (message) => void messages.push(message), onClose: () => {} },
      );
      spokes.push(spoke);
      spoke.start();
      await until(() => spoke.isConnected(), `the session of ${name}`);
      const report: WorldAgent['report'] = (instances) => void spoke.send({ ...emptyReport, instances });
      report([]);
      return { pod, messages, report };
    },
    async bareAgent(versions) {
      const { pod, name, podUid } = await takeSlot();
      const messages: HubToAgent[] = [];
      const socket = new WebSocket(`ws://127.0.0.1:${port}${LINK_PATH}`, {
        headers: { authorization: `Bearer ${name}` },
      });
      socket.on('message', (bytes: Buffer) => messages.push(JSON.parse(bytes.toString('utf8'))));
      spokes.push({ stop: async () => socket.terminate() });
      await once(socket, 'open');
      socket.send(JSON.stringify({ ...agentHello, name, podUid, versions }));
      await until(() => messages.length > 0, 'its welcome');
      return { pod, messages, report: (instances) => socket.send(JSON.stringify({ ...emptyReport, instances })) };
    },
    async router(versions) {
      const messages: HubToRouter[] = [];
      const spoke = createRouterSpoke(
        { ...dial('router'), hello: () => ({ ...routerHello, name: `router-${spokes.length}`, versions }) },
        { onOpen: () => {}, onMessage: (message) => void messages.push(message), onClose: () => {} },
      );
      spokes.push(spoke);
      spoke.start();
      await until(() => spoke.isConnected(), 'the session of a router');
      return {
        messages,
        demand: (models) => void spoke.send({ type: 'demand', models: models.map((row) => ({ ...noDemand, ...row })) }),
      };
    },
    async stop() {
      await Promise.all(spokes.map((spoke) => spoke.stop()));
      await controller.stop();
    },
  };
}

const pool = { accelerator: { resourceName: 'stoker.dev/sim-gpu', className: 'sim' } };
const emptyReport: AgentReport = {
  ...{ type: 'report', fence: { epoch: 0, seq: 0 }, keyVersions: [1], terminating: false },
  instances: [],
};
const noDemand = { queued: 0, queuedTokens: 0, oldestQueuedMs: 0, inFlight: 0, arrivals: 0, wakeLeaseMs: 0 };
const hello = { type: 'hello', release: 'other', fence: { epoch: 0, seq: 0 } } as const;
const agentHello: Omit<AgentHello, 'name' | 'podUid' | 'versions'> = { ...hello, role: 'agent', dataPort: 9000 };
const routerHello: Omit<RouterHello, 'name' | 'versions'> = { ...hello, role: 'router', history: [] };

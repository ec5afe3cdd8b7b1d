// Composition of the controller process: Kubernetes, the hub, the reconcilers and the administration port.
import { createServer } from 'node:http';
import { hostname } from 'node:os';
import { resourceDefinitions } from '../api/crd.ts';
import { kinds } from '../api/kinds.ts';
import type { Settings } from '../api/settings.ts';
import { SIMULATED_BUILD, type SimulatedWeights } from '../api/simulated-weights.ts';
import { type AdminHandler, createStandbyHandler } from '../controller/admin.ts';
import { createController } from '../controller/controller.ts';
import { llamaBuild } from '../engine/llama-build.ts';
import { createLlamaWeights } from '../engine/llama-weights.ts';
import { simulatedProfiles } from '../engine/sim/profile.ts';
import { createKubeClient, type KubeClient } from '../kube/client.ts';
import { createKubeCluster } from '../kube/cluster.ts';
import { loadConnection } from '../kube/connection.ts';
import { campaign } from '../kube/election.ts';
import { guardCluster } from '../kube/guarded-cluster.ts';
import { createLeaseStore } from '../kube/lease-store.ts';
import { checkServer } from '../kube/server-check.ts';
import { systemClock } from '../lib/clock.ts';
import { uuid } from '../lib/ids.ts';
import type { Log } from '../lib/log.ts';
import { systemRng } from '../lib/rng.ts';
import { createHub } from '../link/hub.ts';
import type { HubHandlers } from '../ports/link.ts';
import { createLog } from '../telemetry/log.ts';
import { createMetrics } from '../telemetry/metrics.ts';
import { readOrMakeToken } from './data-folder.ts';
import { listening, type Part, type StartedPart, unlessStopped } from './part.ts';
import { release } from './version.ts';

const HOST = '127.0.0.1';
const LEASE_NAME = 'stoker-controller';

export function controllerPart(settings: Settings): Part {
  const log = createLog('controller', settings.logLevel ?? 'info');
  return {
    name: 'controller',
    log,
    stopMsMax: 4000,
    start: (stopping) => startController({ settings, log, stopping, endings: [] }),
  };
}

interface Start {
  readonly settings: Settings;
  readonly log: Log;
  readonly stopping: AbortSignal;
  /** What ends the things that were started; the last one goes first. */
  readonly endings: (() => Promise<void>)[];
}

/** Stands by with a warm cache until it leads; only then is there anything that acts. */
async function startController(start: Start): Promise<StartedPart> {
  const { settings, log, endings } = start;
  const stop = async () => {
    for (const end of endings.reverse()) await end();
  };
  try {
    const common = { clock: systemClock, rng: systemRng, log };
    const connection = await loadConnection(
      settings.kubeconfig === undefined ? {} : { kubeconfigPath: settings.kubeconfig },
    );
    const namespace = settings.namespace ?? 'default';
    const watch = [kinds.Pool, kinds.Model, kinds.ModelRevision, kinds.Pod];
    const cluster = createKubeCluster({ connection, namespace, watch, component: 'stoker-controller', ...common });
    endings.push(() => cluster.stop());
    const adminToken = settings.adminTokenFile === undefined ? uuid() : readOrMakeToken(settings.adminTokenFile);
    const metrics = createMetrics();
    const standby = createStandbyHandler({ metrics, isSynced: () => cluster.isSynced() });
    const at = { host: settings.adminHost ?? HOST, port: settings.adminPort ?? 8081 };
    const admin = await listenAdmin(at, standby);
    endings.push(admin.close);
    log.info({ adminPort: admin.port }, 'health and metrics are served');
    const client = createKubeClient(connection);
    endings.push(() => client.close());
    await checkServer({ client, definitions: resourceDefinitions(), ...common }, start.stopping);
    await unlessStopped(start.stopping, cluster.start());
    const leadership = await lead(start, client, namespace);
    const controller = createController({
      ...(await controllerOptions(settings, { namespace, epoch: leadership.epoch, log })),
      cluster: guardCluster(cluster, () => leadership.isHeld()),
      adminToken,
      metrics,
      ...common,
    });
    endings.push(() => controller.stop());
    const linkPort = { flag: 'link-port', variable: 'STOKER_LINK_PORT', port: linkPortOf(settings) };
    const link = await listening(linkPort, () => unlessStopped(start.stopping, controller.start()));
    admin.answerWith((request, response) => controller.handleAdmin(request, response));
    const facts = { linkPort: link.port, adminPort: admin.port, adminUrl: `http://${HOST}:${admin.port}` };
    return { facts, stop, ended: leadership.lost };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function lead({ settings, log, stopping, endings }: Start, client: KubeClient, namespace: string) {
  const options = {
    store: createLeaseStore(client, { namespace, name: LEASE_NAME }),
    leaseName: LEASE_NAME,
    holder: settings.leaseHolder ?? `${hostname()}-${uuid()}`,
    clock: systemClock,
    rng: systemRng,
    log,
  };
  const leadership = await campaign(options, stopping);
  endings.push(() => leadership.release());
  log.info({ epoch: leadership.epoch, holder: options.holder }, 'this controller leads');
  return leadership;
}

function linkPortOf(settings: Settings): number {
  return settings.linkPort ?? 8083;
}

async function controllerOptions(
  settings: Settings,
  { namespace, epoch, log }: { namespace: string; epoch: number; log: Log },
) {
  const hub = { host: HOST, port: linkPortOf(settings), epoch, release, clock: systemClock, log };
  return {
    createHub: (handlers: HubHandlers) => createHub(hub, handlers),
    weights: createLlamaWeights(),
    engineBuilds: { Llama: await llamaBuild(), Sim: SIMULATED_BUILD },
    simulatedClimb({ profile }: SimulatedWeights) {
      const { loadMs, wakeLevel1Ms } = simulatedProfiles[profile];
      return { stagedMs: loadMs, asleepMs: wakeLevel1Ms };
    },
    epoch,
    linkUrlForSlots: (port: number) => settings.linkUrl ?? `ws://${HOST}:${port}`,
    routerUsername: `system:serviceaccount:${namespace}:stoker-router`,
    slotServiceAccount: 'stoker-slot',
    release,
  };
}

interface Admin {
  readonly port: number;
  /** From now on. */
  answerWith(handle: AdminHandler): void;
  close(): Promise<void>;
}

/** The port is there from the start, so that probes see a replica that stands by. */
async function listenAdmin(
  { host, port }: { readonly host: string; readonly port: number },
  first: AdminHandler,
): Promise<Admin> {
  let handle = first;
  const server = createServer({ requestTimeout: 10_000, maxHeaderSize: 16_384 }, (request, response) =>
    handle(request, response),
  );
  const setting = { flag: 'admin-port', variable: 'STOKER_ADMIN_PORT', port };
  await listening(
    setting,
    () =>
      new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, host, resolve);
      }),
  );
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    answerWith(next) {
      handle = next;
    },
    async close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

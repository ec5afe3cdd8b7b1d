// Composition of the controller process: Kubernetes, the hub, the reconcilers and the administration port.
import { createServer, type Server } from 'node:http';
import { hostname } from 'node:os';
import { kinds } from '../api/kinds.ts';
import type { Settings } from '../api/settings.ts';
import { SIMULATED_BUILD } from '../api/simulated-weights.ts';
import { createController } from '../controller/controller.ts';
import { llamaBuild } from '../engine/llama-build.ts';
import { createLlamaWeights } from '../engine/llama-weights.ts';
import { simulatedProfiles } from '../engine/sim/profile.ts';
import { createKubeCluster } from '../kube/cluster.ts';
import { loadConnection } from '../kube/connection.ts';
import { acquireEpoch } from '../kube/epoch.ts';
import { systemClock } from '../lib/clock.ts';
import { uuid } from '../lib/ids.ts';
import { systemRng } from '../lib/rng.ts';
import { createHub } from '../link/hub.ts';
import { createLog } from '../telemetry/log.ts';
import { createMetrics } from '../telemetry/metrics.ts';
import { readOrMakeToken } from './data-folder.ts';
import { listening, type Part, type StartedPart } from './part.ts';
import { release } from './version.ts';

const HOST = '127.0.0.1';

export function controllerPart(settings: Settings): Part {
  const log = createLog('controller', settings.logLevel ?? 'info');
  return { name: 'controller', log, stopMsMax: 4000, start: () => startController(settings, log) };
}

async function startController(settings: Settings, log: ReturnType<typeof createLog>): Promise<StartedPart> {
  const connection = await loadConnection(
    settings.kubeconfig === undefined ? {} : { kubeconfigPath: settings.kubeconfig },
  );
  const namespace = settings.namespace ?? 'default';
  const common = { clock: systemClock, rng: systemRng, log };
  const epoch = await acquireEpoch(connection, {
    namespace,
    leaseName: 'stoker-controller',
    holder: `${hostname()}-${uuid()}`,
  });
  const watch = [kinds.Pool, kinds.Model, kinds.ModelRevision, kinds.Pod];
  const cluster = createKubeCluster({ connection, namespace, watch, component: 'stoker-controller', ...common });
  const metrics = createMetrics();
  const adminToken = settings.adminTokenFile === undefined ? uuid() : readOrMakeToken(settings.adminTokenFile);
  const linkPort = settings.linkPort ?? 8083;
  const controller = createController({
    cluster,
    createHub: (handlers) =>
      createHub({ host: HOST, port: linkPort, epoch, release, clock: systemClock, log }, handlers),
    weights: createLlamaWeights(),
    engineBuilds: { Llama: await llamaBuild(), Sim: SIMULATED_BUILD },
    simulatedClimb({ profile }) {
      const { loadMs, wakeLevel1Ms } = simulatedProfiles[profile];
      return { stagedMs: loadMs, asleepMs: wakeLevel1Ms };
    },
    epoch,
    linkUrlForSlots: (port) => settings.linkUrl ?? `ws://${HOST}:${port}`,
    routerUsername: `system:serviceaccount:${namespace}:stoker-router`,
    slotServiceAccount: 'stoker-slot',
    release,
    adminToken,
    metrics,
    ...common,
  });
  await cluster.start();
  const link = await listening({ flag: 'link-port', variable: 'STOKER_LINK_PORT', port: linkPort }, () =>
    controller.start(),
  );
  const admin = await listenAdmin(settings.adminPort ?? 8081, (request, response) =>
    controller.handleAdmin(request, response),
  );
  return {
    facts: { linkPort: link.port, adminPort: admin.port, adminUrl: `http://${HOST}:${admin.port}` },
    async stop() {
      admin.server.close();
      admin.server.closeAllConnections();
      await controller.stop();
      await cluster.stop();
    },
  };
}

type AdminHandler = Parameters<typeof createServer>[1];

function listenAdmin(port: number, handle: NonNullable<AdminHandler>): Promise<{ server: Server; port: number }> {
  const server = createServer({ requestTimeout: 10_000, maxHeaderSize: 16_384 }, handle);
  const setting = { flag: 'admin-port', variable: 'STOKER_ADMIN_PORT', port };
  return listening(
    setting,
    () =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, HOST, () => {
          const address = server.address();
          resolve({ server, port: typeof address === 'object' && address !== null ? address.port : port });
        });
      }),
  );
}

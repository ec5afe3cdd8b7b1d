// Composition of the controller process: Kubernetes, the hub, the reconcilers and the administration port.
import { createServer } from 'node:http';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { renderAccesses } from '../api/controller-rights.ts';
import { resourceDefinitions } from '../api/crd.ts';
import { kinds } from '../api/kinds.ts';
import { LINK_CA_CONFIG_MAP, LINK_SERVICE, ROUTER_SERVICE_ACCOUNT } from '../api/link.ts';
import type { Settings } from '../api/settings.ts';
import { SIMULATED_BUILD, type SimulatedWeights } from '../api/simulated-weights.ts';
import { type AdminHandler, createStandbyHandler } from '../controller/admin.ts';
import { createController } from '../controller/controller.ts';
import { createLeaderStart, type LeaderStart } from '../controller/leader-start.ts';
import type { SlotPods } from '../controller/slot-pod.ts';
import { PROGRESS_PORT } from '../controller/stager-pod.ts';
import type { FleetPlanner } from '../core/plan/pool/fleet-planner.ts';
import { createFolderWeights } from '../engine/folder-weights.ts';
import { llamaBuild } from '../engine/llama-build.ts';
import { createLlamaWeights } from '../engine/llama-weights.ts';
import { simulatedProfiles } from '../engine/sim/profile.ts';
import { createKubeClient, type KubeClient } from '../kube/client.ts';
import { createKubeCluster } from '../kube/cluster.ts';
import { loadConnection } from '../kube/connection.ts';
import { campaign, type Leadership } from '../kube/election.ts';
import { guardCluster } from '../kube/guarded-cluster.ts';
import { createLeaseStore } from '../kube/lease-store.ts';
import { findMissingRights } from '../kube/rights-check.ts';
import { checkServer } from '../kube/server-check.ts';
import { systemClock } from '../lib/clock.ts';
import { uuid } from '../lib/ids.ts';
import type { Log } from '../lib/log.ts';
import { systemRng } from '../lib/rng.ts';
import { type CertifiedHub, createHub } from '../link/hub.ts';
import type { Cluster } from '../ports/cluster.ts';
import type { HubHandlers } from '../ports/link.ts';
import type { WeightsResolver } from '../ports/weights.ts';
import { createFileProgress, createServedProgress } from '../stager/progress.ts';
import { createImageResolver } from '../stager/resolve-image.ts';
import { createSourceResolver } from '../stager/resolve-source.ts';
import { createLog } from '../telemetry/log.ts';
import { createMetrics } from '../telemetry/metrics.ts';
import { readOrMakeToken } from './data-folder.ts';
import { listening, type Part, StartError, type StartedPart, unlessStopped } from './part.ts';
import { release } from './version.ts';

const HOST = '127.0.0.1';
const LEASE_NAME = 'stoker-controller';

/** Comparisons bring a planner of their own. */
export function controllerPart(settings: Settings, planner?: FleetPlanner): Part {
  const log = createLog('controller', settings.logLevel ?? 'info');
  return {
    name: 'controller',
    log,
    stopMsMax: 4000,
    start: (stopping) => startController({ settings, planner, log, stopping, endings: [] }),
  };
}

interface Start {
  readonly settings: Settings;
  readonly planner: FleetPlanner | undefined;
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
    let leader: string | undefined;
    const isSynced = () => cluster.isSynced();
    const starting = createLeaderStart({ clock: systemClock, onLate: (message) => tellStuck(start, cluster, message) });
    const standby = createStandbyHandler({ metrics, isSynced, starting: starting.state, leader: () => leader });
    const at = { host: settings.adminHost ?? HOST, port: settings.adminPort ?? 8081 };
    const admin = await listenAdmin(at, standby);
    endings.push(admin.close);
    log.info({ adminPort: admin.port }, 'health and metrics are served');
    const client = createKubeClient(connection);
    endings.push(() => client.close());
    checkLink(settings);
    await checkServer({ client, definitions: resourceDefinitions(), ...common }, start.stopping);
    await unlessStopped(start.stopping, tellMissingRights({ client, namespace, log }, start.stopping));
    await unlessStopped(start.stopping, cluster.start());
    const leadership = await lead(start, client, {
      namespace,
      onHolder(holder) {
        leader = holder;
      },
    });
    starting.begin();
    const guarded = guardCluster(cluster, () => leadership.isHeld());
    // One that no longer leads could write nothing, and would wait for ever.
    const leading = AbortSignal.any([start.stopping, lossOf(leadership)]);
    const door = await unlessStopped(
      leading,
      openDoor({ ...start, stopping: leading }, { cluster: guarded, starting }),
    );
    const controller = createController({
      ...(await controllerOptions(settings, { namespace, epoch: leadership.epoch })),
      createHub: (handlers) => door.createHub(handlers, leadership.epoch),
      cluster: guarded,
      planner: start.planner,
      onStartTrouble: starting.troubled,
      adminToken,
      metrics,
      ...common,
    });
    // The next one need not wait for the last spoke to say goodbye: nothing is commanded any more by then.
    endings.push(async () => {
      await controller.quiesce();
      await Promise.all([controller.stop(), leadership.release()]);
    });
    const linkPort = { flag: 'link-port', variable: 'STOKER_LINK_PORT', port: linkPortOf(settings) };
    const link = await listening(linkPort, () => unlessStopped(leading, controller.start()));
    door.announce(link.port);
    admin.answerWith((request, response) => controller.handleAdmin(request, response));
    const facts = { linkPort: link.port, adminPort: admin.port, adminUrl: `http://${HOST}:${admin.port}` };
    return { facts, stop, ended: leadership.lost };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Once, before anything is tried: what is missing is named in one line, and what it hinders tells itself later. */
async function tellMissingRights(
  { client, namespace, log }: { client: KubeClient; namespace: string; log: Log },
  signal: AbortSignal,
): Promise<void> {
  const missing = await findMissingRights({ client, namespace }, signal);
  if (missing === undefined || missing.length === 0) return;
  const remedy = 'Install the chart with rbac.create=true, or bind a Role with these to its ServiceAccount.';
  log.error(
    { namespace, missing: renderAccesses(missing), count: missing.length },
    `This controller lacks rights, and goes on with what it may do. ${remedy}`,
  );
}

/** For whoever looks at the Pod, because a leader that is stuck has nothing else to say it at. */
function tellStuck({ settings, log }: Start, cluster: Cluster, message: string): void {
  log.error({ reason: 'LeaderStuck' }, message);
  const regarding = cluster.get(kinds.Pod, settings.podName ?? '');
  if (regarding !== undefined) cluster.recordEvent({ regarding, type: 'Warning', reason: 'LeaderStuck', message });
}

function lossOf({ lost }: Leadership): AbortSignal {
  const loss = new AbortController();
  void lost.then((sentence) => loss.abort(new StartError(sentence)));
  return loss.signal;
}

async function lead(
  { settings, log, stopping, endings }: Start,
  client: KubeClient,
  { namespace, onHolder }: { readonly namespace: string; onHolder(holder: string | undefined): void },
) {
  const options = {
    store: createLeaseStore(client, { namespace, name: LEASE_NAME }),
    leaseName: LEASE_NAME,
    holder: settings.leaseHolder ?? `${hostname()}-${uuid()}`,
    clock: systemClock,
    rng: systemRng,
    log,
    onHolder,
  };
  const leadership = await campaign(options, stopping);
  endings.push(() => leadership.release());
  log.info({ epoch: leadership.epoch, holder: options.holder }, 'this controller leads');
  return leadership;
}

interface Door {
  createHub(handlers: HubHandlers, epoch: number): CertifiedHub;
  /** Spokes on a cluster find the link from now on. */
  announce(port: number): void;
}

/** Plain on loopback; beyond it with a certificate, and known to the cluster. */
async function openDoor(
  { settings, log, stopping, endings }: Start,
  { cluster, starting }: { readonly cluster: Cluster; readonly starting: LeaderStart },
): Promise<Door> {
  const hub = { host: settings.linkHost ?? HOST, port: linkPortOf(settings), release, clock: systemClock, log };
  if (isLoopback(hub.host)) {
    return { createHub: (handlers, epoch) => createHub({ ...hub, epoch }, handlers), announce: () => undefined };
  }
  // Certificates come with a library that one machine has no use for: a tenth of a second of its start.
  const { createLinkIdentity } = await import('../controller/link-identity.ts');
  const ending = new AbortController();
  endings.push(async () => ending.abort(new Error('stopping')));
  const signal = AbortSignal.any([stopping, ending.signal]);
  let made: CertifiedHub | undefined;
  const identity = createLinkIdentity({
    cluster,
    names: linkNames(settings, cluster.namespace),
    pod: { name: settings.podName ?? '', ip: settings.podIp ?? '' },
    onCertificate: (tls) => made?.useCertificate(tls),
    onTrouble: starting.troubled,
    clock: systemClock,
    rng: systemRng,
    log,
  });
  const tls = await identity.prepare(signal);
  return {
    createHub(handlers, epoch) {
      made = createHub({ ...hub, epoch, tls }, handlers);
      return made;
    },
    announce: (port) => identity.announce(port, signal),
  };
}

/** Throws StartError when the link is to be reached from elsewhere and what that needs is missing. */
function checkLink({ linkHost = HOST, podName, podIp, linkUrl }: Settings): void {
  if (isLoopback(linkHost)) return;
  const missing = [
    ...(podName === undefined ? ['STOKER_POD_NAME'] : []),
    ...(podIp === undefined ? ['STOKER_POD_IP'] : []),
    ...(linkUrl === undefined ? ['STOKER_LINK_URL'] : []),
  ];
  if (missing.length > 0) {
    throw new StartError(`The link is to listen on ${linkHost}, so ${missing.join(' and ')} must be set, too.`);
  }
  if (linkUrl?.startsWith('wss:') !== true) {
    throw new StartError(
      `The link on ${linkHost} speaks TLS, so STOKER_LINK_URL must begin with wss://, not be ${linkUrl}.`,
    );
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}

/** What spokes may call the hub: the Service in every form, and the host of the address that they are told. */
function linkNames({ linkUrl = '', podIp }: Settings, namespace: string): string[] {
  const service = [LINK_SERVICE, `${LINK_SERVICE}.${namespace}`, `${LINK_SERVICE}.${namespace}.svc`];
  const told = new URL(linkUrl).hostname.replace(/^\[|\]$/g, '');
  return [...new Set([...service, `${LINK_SERVICE}.${namespace}.svc.cluster.local`, told, podIp ?? told])];
}

function linkPortOf(settings: Settings): number {
  return settings.linkPort ?? 8083;
}

async function controllerOptions(settings: Settings, { namespace, epoch }: { namespace: string; epoch: number }) {
  const isLocal = isLoopback(settings.linkHost ?? HOST);
  const localWeightsFolder = settings.localWeightsFolder && resolve(settings.localWeightsFolder);
  return {
    weights: createWeights(),
    sources: createSourceResolver(systemClock),
    images: createImageResolver(systemClock),
    localWeightsFolder,
    progress:
      localWeightsFolder === undefined
        ? createServedProgress(systemClock, PROGRESS_PORT)
        : createFileProgress(localWeightsFolder),
    allowsHostPath: settings.allowHostPath === true,
    allowsInstalledEngines: settings.allowCommands === true,
    engineBuilds: { Llama: await llamaBuild(), Sim: SIMULATED_BUILD },
    simulatedClimb({ profile }: SimulatedWeights) {
      const { loadMs, wakeLevel1Ms } = simulatedProfiles[profile];
      return { stagedMs: loadMs, asleepMs: wakeLevel1Ms };
    },
    epoch,
    linkUrlForSlots: (port: number) => settings.linkUrl ?? `ws://${HOST}:${port}`,
    routerUsername: `system:serviceaccount:${namespace}:${ROUTER_SERVICE_ACCOUNT}`,
    slotServiceAccount: 'stoker-slot',
    linkCaConfigMap: isLocal ? undefined : LINK_CA_CONFIG_MAP,
    slotPods: slotPodsOf(settings),
    slotKeyRotationMs: 1000 * (settings.slotKeyRotationSeconds ?? 86_400),
    release,
  };
}

function slotPodsOf(settings: Settings): SlotPods | undefined {
  const { slotImage, slotPullPolicy = 'IfNotPresent', slotPullSecrets, releaseLabels, dnsTo, dnsPorts } = settings;
  if (slotImage === undefined) return undefined;
  const pullSecrets = slotPullSecrets === undefined ? [] : slotPullSecrets.split(',');
  return {
    image: slotImage,
    pullPolicy: slotPullPolicy,
    pullSecrets,
    releaseLabels: parseLabels(releaseLabels),
    dnsTo,
    dnsPorts,
    bindHost: isLoopback(settings.linkHost ?? HOST) ? undefined : settings.linkHost,
    logLevel: settings.logLevel,
  };
}

/** Settings are checked already. */
function parseLabels(text: string | undefined): Readonly<Record<string, string>> | undefined {
  if (text === undefined) return undefined;
  return Object.fromEntries(text.split(',').map((label) => label.split('=') as [string, string]));
}

/** A GGUF file or a folder. */
function createWeights(): WeightsResolver {
  const [file, folder] = [createLlamaWeights(), createFolderWeights()];
  return { resolve: (wanted, signal) => (wanted.form === 'Folder' ? folder : file).resolve(wanted, signal) };
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

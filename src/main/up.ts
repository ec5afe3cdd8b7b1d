// `stoker up`: the whole product on one machine. Starts the embedded API, the node, the controller and the router as
// children, applies the demo once, prints one screen, and ends everything on Ctrl-C.
import { join } from 'node:path';
import { request } from 'undici';
import type { Addresses } from '../api/addresses.ts';
import type { Settings } from '../api/settings.ts';
import { delay, systemClock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { systemRng } from '../lib/rng.ts';
import { createLog } from '../telemetry/log.ts';
import { chooseApiKeysFile } from './api-keys-file.ts';
import { type DataFolder, lockDataFolder, openDataFolder, writePrivateFile } from './data-folder.ts';
import { applyDemoOnce } from './demo.ts';
import { chooseLinkPort, rememberLinkPort } from './link-port.ts';
import { openRotatingFile } from './log-file.ts';
import { type Facts, type Part, type StartedPart, unlessStopped } from './part.ts';
import { renderClusterScreen, renderScreen } from './screen.ts';
import { type ChildSpec, type Supervised, stokerCommand, supervise } from './supervisor.ts';

/** The router is ready a moment after it started, unless something is wrong. */
const ROUTER_READY_MS_MAX = 10_000;
const ROUTER_POLL_MS = 20;
/** Where parts that are started apart find the controller, unless another port was chosen. */
const LINK_PORT = 8083;

export function upPart(settings: Settings, write: (text: string) => void): Part {
  const folder = openDataFolder(dataDirOf(settings));
  const file = openRotatingFile(`${folder.logs}/up.log`);
  const log = createLog('up', settings.logLevel ?? 'info', (line) => file.write(line));
  return {
    name: 'up',
    log,
    stopMsMax: 40_000,
    start: (stopping) => startAll({ settings, folder, log, write, stopping }),
  };
}

interface UpContext {
  readonly settings: Settings;
  readonly folder: DataFolder;
  readonly log: Log;
  readonly write: (text: string) => void;
  readonly stopping: AbortSignal;
}

async function startAll(context: UpContext): Promise<StartedPart> {
  const { settings, folder, write, stopping } = context;
  const startedMs = systemClock.nowMs();
  const unlock = lockDataFolder(folder);
  const children: Supervised[] = [];
  const stopAll = async () => {
    await stopInOrder(children);
    unlock();
  };
  try {
    const start = (spec: ChildSpec) => startChild(context, spec, children);
    const screen = settings.clusterOnly === true ? startCluster(context, start) : startParts(context, start);
    write((await unlessStopped(stopping, screen))(() => systemClock.nowMs() - startedMs));
  } catch (error) {
    await stopAll();
    throw error;
  }
  return {
    facts: {},
    async stop() {
      write('Stopping…\n');
      await stopAll();
    },
  };
}

/** Registers the child before it starts, so that it is stopped however far it came. */
function startChild({ folder, log, write }: UpContext, spec: ChildSpec, children: Supervised[]): Promise<Facts> {
  const child = supervise(spec, {
    program: stokerCommand,
    logFolder: folder.logs,
    clock: systemClock,
    rng: systemRng,
    log,
    onRestart: (name) => write(`The ${name} ended by itself and is being restarted. See ${folder.logs}/${name}.log\n`),
  });
  children.push(child);
  return child.start();
}

/** Callers are told first, then nobody starts slots anew, then the slots end, and the objects go last. */
const stopOrder = ['router', 'controller', 'local-node', 'local-api'];

async function stopInOrder(children: readonly Supervised[]): Promise<void> {
  for (const name of stopOrder) {
    for (const child of children.filter((one) => one.name === name)) await child.stop();
  }
}

type Start = (spec: ChildSpec) => Promise<Facts>;
/** The screen, once it is known how long the start took. */
type Screen = (startMs: () => number) => string;

async function startParts({ settings, folder, stopping }: UpContext, start: Start): Promise<Screen> {
  const api = await start(apiSpec(settings, folder));
  const linkPort = await chooseLinkPort(settings.linkPort ?? 0, folder);
  const [models, controller] = await Promise.all([
    applyDemoOnce(folder, stopping),
    start(controllerSpec(settings, folder, linkPort)),
    start(nodeSpec(settings, folder)),
  ]);
  rememberLinkPort(Number(controller.linkPort), folder);
  const keys = chooseApiKeysFile(settings, folder);
  const linkUrl = `ws://127.0.0.1:${controller.linkPort}`;
  const router = await start(routerSpec(settings, folder, { linkUrl, apiKeysFile: keys.file }));
  const reached = { openai: String(router.url), status: String(router.adminUrl) };
  writeAddresses(folder, { ...reached, kubernetes: String(api.url), controller: String(controller.adminUrl) });
  const isReady = await becomesReady(reached.status, stopping);
  const facts = { ...reached, kubernetes: String(api.url), models, keys, isReady, dataDir: dataDirOf(settings) };
  return (startMs) => renderScreen({ ...facts, startMs: startMs() });
}

/** The API and the node: what the other parts stand on. */
async function startCluster({ settings, folder, stopping }: UpContext, start: Start): Promise<Screen> {
  const api = await start(apiSpec(settings, folder));
  const [models] = await Promise.all([applyDemoOnce(folder, stopping), start(nodeSpec(settings, folder))]);
  writeAddresses(folder, { kubernetes: String(api.url) });
  const linkPort = settings.linkPort || LINK_PORT;
  const facts = {
    kubernetes: String(api.url),
    models,
    linkPort,
    secretFile: folder.secretFile,
    dataDir: dataDirOf(settings),
  };
  return (startMs) => renderClusterScreen({ ...facts, startMs: startMs() });
}

function dataDirOf(settings: Settings): string {
  return settings.dataDir ?? '.stoker';
}

function writeAddresses(folder: DataFolder, reached: Omit<Addresses, 'controllerTokenFile'>): void {
  const addresses: Addresses = { ...reached, controllerTokenFile: folder.secretFile('controller-admin-token') };
  writePrivateFile(folder.addressesFile, `${JSON.stringify(addresses, null, 2)}\n`);
}

/** Whether the router got its first table in time. The line on the screen can be pasted at once then. */
async function becomesReady(statusUrl: string, stopping: AbortSignal): Promise<boolean> {
  const untilMs = systemClock.nowMs() + ROUTER_READY_MS_MAX;
  while (systemClock.nowMs() < untilMs) {
    const response = await request(`${statusUrl}/readyz`, { signal: stopping });
    await response.body.dump();
    if (response.statusCode === 200) return true;
    await delay(systemClock, ROUTER_POLL_MS, stopping);
  }
  return false;
}

/** A port by setting; once a free one was picked, a restart keeps it. */
function keptPort(setting: number | undefined, last: string | number | undefined): string {
  return String(setting === 0 && last !== undefined ? last : (setting ?? 0));
}

function apiSpec(settings: Settings, folder: DataFolder): ChildSpec {
  return {
    name: 'local-api',
    args: (last) => [
      'local-api',
      ...['--data-dir', folder.path, '--port', keptPort(settings.apiPort, last?.port)],
      ...['--log-level', settings.logLevel ?? 'info'],
    ],
    stopMsMax: 5000,
  };
}

function nodeSpec(settings: Settings, folder: DataFolder): ChildSpec {
  return {
    name: 'local-node',
    args: () => [
      'local-node',
      ...['--data-dir', folder.path, '--engine-threads', String(settings.engineThreads ?? 1)],
      ...(settings.allowCommands === true ? ['--allow-commands'] : []),
      ...['--log-level', settings.logLevel ?? 'info'],
    ],
    stopMsMax: 15_000,
  };
}

function controllerSpec(settings: Settings, folder: DataFolder, linkPort: number): ChildSpec {
  return {
    name: 'controller',
    args: (last) => [
      'controller',
      ...['--kubeconfig', folder.secretFile('controller.kubeconfig')],
      ...['--link-port', keptPort(linkPort, last?.linkPort)],
      ...['--admin-port', keptPort(0, last?.adminPort)],
      ...['--admin-token-file', folder.secretFile('controller-admin-token')],
      ...(settings.allowCommands === true ? ['--allow-commands'] : []),
      ...['--local-weights-folder', join(folder.path, 'weights')],
      // The lock of the data folder keeps it the only one: a restarted controller need not wait for the Lease.
      ...['--lease-holder', 'local'],
      ...['--log-level', settings.logLevel ?? 'info'],
    ],
    stopMsMax: 5000,
  };
}

function routerSpec(
  settings: Settings,
  folder: DataFolder,
  { linkUrl, apiKeysFile }: { linkUrl: string; apiKeysFile: string | undefined },
): ChildSpec {
  return {
    name: 'router',
    args: (last) => [
      'router',
      ...['--host', settings.host ?? '127.0.0.1', '--port', keptPort(settings.port, last?.port)],
      ...['--admin-port', keptPort(settings.adminPort, last?.adminPort)],
      ...['--link-url', linkUrl, '--link-token-file', folder.secretFile('router-token')],
      // A person waits for Ctrl-C.
      ...['--drain-seconds', '8'],
      ...(apiKeysFile === undefined ? [] : ['--api-keys-file', apiKeysFile]),
      ...['--log-level', settings.logLevel ?? 'info'],
    ],
    stopMsMax: 12_000,
  };
}

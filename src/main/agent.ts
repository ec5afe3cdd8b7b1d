// Composition of the agent process, which runs in a slot's Pod: the link, the engines and the data path.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createAgent } from '../agent/agent.ts';
import type { Settings } from '../api/settings.ts';
import { createEngines } from '../engine/engines.ts';
import { systemClock } from '../lib/clock.ts';
import { systemRng } from '../lib/rng.ts';
import { createAgentSpoke } from '../link/spoke.ts';
import { createLog } from '../telemetry/log.ts';
import { createMetrics } from '../telemetry/metrics.ts';
import { writePrivateFile } from './data-folder.ts';
import { linkCredentials } from './link-credentials.ts';
import { type Part, StartError, type StartedPart } from './part.ts';
import { release } from './version.ts';

/** What the Pod's environment says beside the settings. */
interface SlotEnvironment {
  readonly podUid: string;
  readonly podName: string;
  readonly mountRoot: string;
  readonly portsFile: string | undefined;
  readonly graceMs: number;
}

export function agentPart(settings: Settings): Part {
  const log = createLog('agent', settings.logLevel ?? 'info');
  const slot = slotEnvironment();
  return { name: 'agent', log, stopMsMax: slot.graceMs + 5000, start: () => startAgent(settings, slot, log) };
}

async function startAgent(
  settings: Settings,
  slot: SlotEnvironment,
  log: ReturnType<typeof createLog>,
): Promise<StartedPart> {
  const common = { clock: systemClock, rng: systemRng, log };
  const linkUrl = required(settings.linkUrl, 'STOKER_LINK_URL');
  const mounted = (path: string) => join(slot.mountRoot, path);
  const tokenFile = mounted(required(settings.linkTokenFile, 'STOKER_LINK_TOKEN_FILE'));
  const caFile = settings.linkCaFile === undefined ? undefined : mounted(settings.linkCaFile);
  const credentials = linkCredentials(linkUrl, { tokenFile, caFile });
  const stateDir = join(settings.dataDir ?? '.stoker', 'agent');
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  const agent = createAgent({
    podUid: slot.podUid,
    podName: slot.podName,
    release,
    connectLink: (handlers, hello) =>
      createAgentSpoke({ url: () => linkUrl, ...credentials, hello, ...common }, handlers),
    engines: createEngines({
      stateDir,
      threads: settings.engineThreads ?? 1,
      environment: engineEnvironment(process.env),
      compileCacheDir: settings.compileCacheDir,
      ...common,
    }),
    stateDir,
    bindHost: settings.bindHost ?? '0.0.0.0',
    dataPort: settings.dataPort ?? 8000,
    adminPort: settings.adminPort ?? 8001,
    metrics: createMetrics(),
    ...common,
  });
  const ports = await agent.start();
  if (slot.portsFile !== undefined) {
    writePrivateFile(slot.portsFile, JSON.stringify({ data: ports.dataPort, admin: ports.adminPort }));
  }
  return { facts: { ...ports }, stop: () => agent.stop(slot.graceMs) };
}

/** In an image that is not ours the agent came with libraries of its own (bin/carried-agent.sh): they are nothing for its engine. */
function engineEnvironment(own: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { STOKER_IMAGE_LIBRARY_PATH: path, LD_LIBRARY_PATH: _ours, ...rest } = own;
  if (path === undefined) return own;
  return path === '' ? rest : { ...rest, LD_LIBRARY_PATH: path };
}

function slotEnvironment(): SlotEnvironment {
  const { env } = process;
  return {
    podUid: required(env.STOKER_POD_UID, 'STOKER_POD_UID'),
    podName: required(env.STOKER_POD_NAME, 'STOKER_POD_NAME'),
    mountRoot: env.STOKER_MOUNT_ROOT ?? '/',
    portsFile: env.STOKER_PORTS_FILE,
    graceMs: 1000 * Number(env.STOKER_DRAIN_SECONDS ?? 60),
  };
}

function required(value: string | undefined, name: string): string {
  if (value === undefined || value === '') {
    throw new StartError(
      `${name} is missing. The agent runs in a Pod that the controller makes; it is not started by hand.`,
    );
  }
  return value;
}

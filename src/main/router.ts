// Composition of the router process: the link, the API keys and the router. It has no Kubernetes credentials.
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import type { Settings } from '../api/settings.ts';
import { systemClock } from '../lib/clock.ts';
import { systemRng } from '../lib/rng.ts';
import { createRouterSpoke } from '../link/spoke.ts';
import { type ApiKeys, parseApiKeysFile } from '../router/api-keys.ts';
import { createRouter } from '../router/router.ts';
import { createLog } from '../telemetry/log.ts';
import { createMetrics } from '../telemetry/metrics.ts';
import { watchApiKeys } from './api-keys-watch.ts';
import { linkCredentials } from './link-credentials.ts';
import { listening, type Part, type PortSetting, StartError, type StartedPart } from './part.ts';
import { release } from './version.ts';

/** After the cut: what is left of the answers, the ports and the link. */
const CLOSE_MS_MAX = 3000;

export function routerPart(settings: Settings): Part {
  const log = createLog('router', settings.logLevel ?? 'info');
  return {
    name: 'router',
    log,
    stopMsMax: drainMsOf(settings) + CLOSE_MS_MAX,
    start: () => startRouter(settings, log),
  };
}

/** What running answers get when the router is asked to stop. */
function drainMsOf({ drainSeconds = 8 }: Settings): number {
  return 1000 * drainSeconds;
}

async function startRouter(settings: Settings, log: ReturnType<typeof createLog>): Promise<StartedPart> {
  const common = { clock: systemClock, rng: systemRng, log };
  const name = `router-${hostname()}-${process.pid}`;
  const linkUrl = required(settings.linkUrl, '--link-url');
  const tokenFile = required(settings.linkTokenFile, '--link-token-file');
  const credentials = linkCredentials(linkUrl, { tokenFile, caFile: settings.linkCaFile });
  const keysFile = settings.apiKeysFile === undefined ? undefined : readApiKeys(settings.apiKeysFile);
  const host = settings.host ?? '127.0.0.1';
  const router = createRouter({
    name,
    release,
    host,
    port: settings.port ?? 8080,
    adminHost: settings.adminHost ?? '127.0.0.1',
    adminPort: settings.adminPort ?? 8081,
    ...(keysFile === undefined ? {} : { apiKeys: keysFile.keys }),
    connectLink: (handlers, hello) =>
      createRouterSpoke({ url: () => linkUrl, ...credentials, hello, ...common }, handlers),
    metrics: createMetrics(),
    ...common,
  });
  const started = await listening(ports(settings), () => router.start());
  const watch =
    keysFile === undefined
      ? undefined
      : watchApiKeys({ ...keysFile, clock: systemClock, log, onChange: (keys) => router.replaceApiKeys(keys) });
  return {
    facts: {
      port: started.port,
      adminPort: started.adminPort,
      url: `http://${host.includes(':') ? `[${host}]` : host}:${started.port}`,
      adminUrl: `http://127.0.0.1:${started.adminPort}`,
    },
    stop() {
      watch?.cancel();
      return router.stop(drainMsOf(settings));
    },
  };
}

function ports(settings: Settings): PortSetting[] {
  return [
    { flag: 'port', variable: 'STOKER_PORT', port: settings.port ?? 8080 },
    { flag: 'admin-port', variable: 'STOKER_ADMIN_PORT', port: settings.adminPort ?? 8081 },
  ];
}

interface KeysFile {
  readonly path: string;
  readonly text: string;
  readonly keys: ApiKeys;
}

function readApiKeys(path: string): KeysFile {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new StartError(
      `The API keys file ${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  const parsed = parseApiKeysFile(text);
  if (!parsed.ok) throw new StartError(`The API keys file ${path} is not usable: ${parsed.error}`);
  return { path, text, keys: parsed.value };
}

function required(value: string | undefined, flag: string): string {
  if (value === undefined) throw new StartError(`${flag} is missing.`);
  return value;
}

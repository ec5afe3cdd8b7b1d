// Where the API server is and how we prove who we are: from a kubeconfig, or from the Pod we run in. Plain credentials
// are read here; the foreign client (0.8 s and 110 MB to load) is only loaded for credential plugins.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, systemClock } from '../lib/clock.ts';
import { FILE_TOKEN_MS_MAX, PLUGIN_TOKEN_MS_MAX } from './bounds.ts';
import { type PlainKubeconfig, readKubeconfig, type TlsMaterial } from './kubeconfig.ts';

type Headers = Readonly<Record<string, string>>;

export interface Connection {
  /** https://host:port, with a path where the server is behind one. */
  readonly server: string;
  readonly tls: TlsMaterial;
  /** The namespace that the kubeconfig's context or the Pod names. */
  readonly namespace?: string;
  /** The headers that authenticate the next call. Rejects with a sentence without secrets. */
  authorize(): Promise<Headers>;
}

export interface ConnectionSource {
  readonly kubeconfigPath?: string;
  /** Used without a kubeconfig. `folder` holds token, ca.crt and namespace. */
  readonly inCluster?: { readonly host?: string; readonly port?: string; readonly folder?: string };
  readonly clock?: Clock;
}

const SERVICE_ACCOUNT_FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';
/** The name that every cluster's DNS and certificate know. */
const IN_CLUSTER_HOST = 'kubernetes.default.svc';

/** Rejects with a sentence that says which file cannot be used and why. */
export async function loadConnection(source: ConnectionSource): Promise<Connection> {
  const clock = source.clock ?? systemClock;
  if (source.kubeconfigPath === undefined) return connectionOfPod(source.inCluster ?? {}, clock);
  const config = await readKubeconfig(source.kubeconfigPath);
  if (config.kind === 'plugin') return connectionOfPlugin(source.kubeconfigPath, clock);
  return {
    server: config.server,
    tls: config.tls,
    ...(config.namespace === undefined ? {} : { namespace: config.namespace }),
    authorize: plainAuthorization(config, clock),
  };
}

async function connectionOfPod(place: NonNullable<ConnectionSource['inCluster']>, clock: Clock): Promise<Connection> {
  const folder = place.folder ?? SERVICE_ACCOUNT_FOLDER;
  let ca: string;
  let namespace: string;
  try {
    ca = await readFile(join(folder, 'ca.crt'), 'utf8');
    namespace = (await readFile(join(folder, 'namespace'), 'utf8')).trim();
  } catch {
    throw new Error(
      `There is no kubeconfig, and ${folder} does not exist, so this is not a Pod with a service account. Name a kubeconfig.`,
    );
  }
  const host = place.host ?? IN_CLUSTER_HOST;
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${place.port ?? '443'}`,
    tls: { ca },
    namespace,
    authorize: plainAuthorization({ tokenFile: join(folder, 'token') }, clock),
  };
}

function plainAuthorization(
  config: Pick<PlainKubeconfig, 'token' | 'tokenFile' | 'basic'>,
  clock: Clock,
): () => Promise<Headers> {
  const { token, tokenFile, basic } = config;
  if (tokenFile !== undefined) {
    return remembered(clock, FILE_TOKEN_MS_MAX, async () => bearer((await readFile(tokenFile, 'utf8')).trim()));
  }
  let headers: Headers = {};
  if (token !== undefined) headers = bearer(token);
  else if (basic !== undefined) headers = { authorization: `Basic ${basic}` };
  return () => Promise.resolve(headers);
}

function bearer(token: string): Headers {
  return { authorization: `Bearer ${token}` };
}

/** Asks again when the answer is older than `msMax`; while asking fails, the last answer is used. */
function remembered<T>(clock: Clock, msMax: number, ask: () => Promise<T>): () => Promise<T> {
  let last: { readonly value: T; readonly atMs: number } | undefined;
  return async () => {
    if (last !== undefined && clock.nowMs() - last.atMs < msMax) return last.value;
    try {
      last = { value: await ask(), atMs: clock.nowMs() };
    } catch (error) {
      if (last === undefined) throw error;
      last = { value: last.value, atMs: clock.nowMs() };
    }
    return last.value;
  };
}

/** Client certificates of a plugin are taken once; its tokens are asked for again and again (it caches them itself). */
async function connectionOfPlugin(path: string, clock: Clock): Promise<Connection> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  config.loadFromFile(path);
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw new Error(`The kubeconfig ${path} cannot be used: it has no current cluster`);
  const ask = async () => {
    const options: Parameters<typeof config.applyToHTTPSOptions>[0] = {};
    await config.applyToHTTPSOptions(options);
    return options;
  };
  const first = await ask();
  const namespace = config.getContextObject(config.getCurrentContext())?.namespace;
  return {
    server: cluster.server,
    tls: {
      ...pemOption('ca', first.ca),
      ...pemOption('cert', first.cert),
      ...pemOption('key', first.key),
      ...(cluster.tlsServerName === undefined ? {} : { servername: cluster.tlsServerName }),
      ...(cluster.skipTLSVerify ? { rejectUnauthorized: false } : {}),
    },
    ...(namespace === undefined ? {} : { namespace }),
    authorize: remembered(clock, PLUGIN_TOKEN_MS_MAX, async () => authorizationOf((await ask()).headers)),
  };
}

function pemOption(name: 'ca' | 'cert' | 'key', value: unknown): TlsMaterial {
  if (typeof value === 'string') return { [name]: value };
  return Buffer.isBuffer(value) ? { [name]: value.toString('utf8') } : {};
}

function authorizationOf(headers: unknown): Headers {
  if (typeof headers !== 'object' || headers === null) return {};
  for (const [name, value] of Object.entries(headers)) {
    if (name.toLowerCase() === 'authorization' && typeof value === 'string') return { authorization: value };
  }
  return {};
}

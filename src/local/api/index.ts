// The embedded Kubernetes API server of local mode: puts store, history, watches, identity and HTTPS together, and leaves
// a kubeconfig in the data folder. The only entrance to this folder.
import { join } from 'node:path';
import { KUBECONFIG_FILE } from '../../api/addresses.ts';
import { LINK_AUDIENCE } from '../../api/link.ts';
import { type Clock, deadlineSignal } from '../../lib/clock.ts';
import { type Log, silentLog } from '../../lib/log.ts';
import { loadServerIdentity } from './authority.ts';
import { type CallerTokens, createAuthenticator, loadCallerTokens } from './caller.ts';
import { startCollector } from './collector.ts';
import type { ResourceDefinition } from './definition.ts';
import { renderDiscovery } from './discovery.ts';
import { createHistory } from './history.ts';
import type { Answer, Handler, HttpCall } from './http-call.ts';
import { createKindRegistry, type KindRegistry } from './kind-registry.ts';
import { builtInKinds } from './kinds/cluster-kinds.ts';
import { writeKubeconfig } from './kubeconfig-file.ts';
import { type ObjectStore, openObjectStore } from './object-store.ts';
import { type OpenApiDocument, renderOpenApi } from './openapi.ts';
import { loadPodTokenKey } from './pod-tokens.ts';
import { makePrivateFolder } from './private-file.ts';
import { parseResourcePath } from './request-path.ts';
import { type ResourceContext, serveResource } from './resource-routes.ts';
import { type ReviewContext, serveReview } from './reviews.ts';
import { startHttpsServer } from './server.ts';
import { ensureStartingObjects } from './starting-objects.ts';
import { methodNotAllowed, pathNotFound } from './status-error.ts';
import { createTableRenderer, type TableRenderer } from './table.ts';
import { createWatchHub } from './watch-hub.ts';

export type { ResourceDefinition } from './definition.ts';

export interface ApiServerOptions {
  /** Everything that is kept is below it; the kubeconfig is `kubeconfig` in it. */
  readonly dataDir: string;
  /** 0: any free one. */
  readonly port: number;
  readonly host?: string;
  readonly clock: Clock;
  /** The kinds beside those of Kubernetes that are built in. */
  readonly definitions: readonly ResourceDefinition[];
  readonly log?: Log;
}

export interface ApiServer {
  readonly url: string;
  readonly port: number;
  readonly caPem: string;
  /** Bearer tokens, one for each kind of caller. The router's opens nothing here: it is for the link. */
  readonly tokens: CallerTokens;
  readonly kubeconfigPath: string;
  /** Ends watches and connections and closes the file. Everything that was answered is kept. */
  close(): Promise<void>;
}

const HOST = '127.0.0.1';
const HOSTS = ['127.0.0.1', 'localhost', '::1'];
/** Answers under way have this long when the server stops. */
const CLOSE_MS_MAX = 2000;

/** Rejects with a sentence when the data folder cannot be used, and with the system's error when the port is taken. */
export async function createApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const { clock, log = silentLog, host = HOST } = options;
  const folder = join(options.dataDir, 'api');
  makePrivateFolder(folder);
  const registry = createKindRegistry([...builtInKinds, ...options.definitions]);
  const store = openObjectStore(join(folder, 'objects.sqlite'), new Set(registry.byName.keys()), log);
  let parts: Parts | undefined;
  try {
    const tokens = loadCallerTokens(folder);
    const identity = loadServerIdentity(folder, [...new Set([...HOSTS, host])], clock.wallMs());
    await store.transact((transaction) => ensureStartingObjects(transaction, clock.wallMs()));
    parts = startParts({ store, registry, clock, log });
    const { context, stop } = parts;
    const authenticate = createAuthenticator(tokens);
    const reviews = { store, clock, authenticate, podTokenKey: loadPodTokenKey(folder), linkAudience: LINK_AUDIENCE };
    const handle = createHandler({ ...context, ...reviews });
    const server = await startHttpsServer({ host, port: options.port, identity, authenticate, handle, log });
    const url = `https://${host}:${server.port}`;
    const kubeconfigPath = join(options.dataDir, KUBECONFIG_FILE);
    writeKubeconfig(kubeconfigPath, { url, caPem: identity.caPem, token: tokens.person });
    const close = async () => {
      stop();
      const late = deadlineSignal(clock, CLOSE_MS_MAX, { reason: new Error('the server stops') });
      await server.close(late.signal);
      late.cancel();
      store.close();
    };
    return { url, port: server.port, caPem: identity.caPem, tokens, kubeconfigPath, close };
  } catch (error) {
    parts?.stop();
    store.close();
    throw error;
  }
}

interface Parts {
  readonly context: ResourceContext;
  stop(): void;
}

function startParts({
  store,
  registry,
  clock,
  log,
}: {
  store: ObjectStore;
  registry: KindRegistry;
  clock: Clock;
  log: Log;
}): Parts {
  const history = createHistory(clock, store.version());
  const hub = createWatchHub(clock, () => store.version());
  store.onCommit((changes) => {
    history.add(changes);
    hub.publish(changes);
  });
  const stopCollector = startCollector({ store, registry, clock, log });
  const tables = new Map<ResourceDefinition, TableRenderer>(
    registry.definitions.map((definition) => [definition, createTableRenderer(definition)]),
  );
  const tableOf = (definition: ResourceDefinition) => tables.get(definition) ?? createTableRenderer(definition);
  return {
    context: { store, history, clock, registry, hub, tableOf },
    stop() {
      stopCollector();
      hub.stop();
    },
  };
}

function createHandler(context: ResourceContext & ReviewContext): Handler {
  const pages = renderDiscovery(context.registry);
  const documents = renderOpenApi(context.registry);
  return async (call) => {
    const page = servePage(call, pages, documents) ?? (await serveReview(context, call));
    if (page !== undefined) return page;
    const path = parseResourcePath(call.pathname);
    if (path === undefined) throw pathNotFound();
    return serveResource(context, call, path);
  };
}

const healthPaths = new Set(['/healthz', '/livez', '/readyz']);

/** What is the same for everybody: health, discovery, documents. */
function servePage(
  call: HttpCall,
  pages: ReadonlyMap<string, object>,
  documents: ReadonlyMap<string, OpenApiDocument>,
): Answer | undefined {
  const path = call.pathname.length > 1 ? call.pathname.replace(/\/$/, '') : call.pathname;
  const page = pages.get(path);
  const document = documents.get(path);
  const isHealth = healthPaths.has(path);
  if (page === undefined && document === undefined && !isHealth) return undefined;
  if (call.method !== 'GET' && call.method !== 'HEAD') throw methodNotAllowed();
  if (isHealth) return { code: 200, body: 'ok', headers: { 'content-type': 'text/plain; charset=utf-8' } };
  if (document !== undefined) return { code: 200, body: document.text, headers: { etag: `"${document.etag}"` } };
  return { code: 200, body: page ?? {} };
}

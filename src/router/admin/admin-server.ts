// The router's administration port: health, readiness, metrics, and one page for people with the state of every model and
// a chat box. Denies by default (door.ts), answers a closed list of paths, and holds no key and no conversation.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Log } from '../../lib/log.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import type { ModelState } from '../model-state.ts';
import { type Answer, json, openAiError, send, sentence } from './answers.ts';
import { judgeDoor } from './door.ts';
import { type PageFile, readPageFiles } from './page-files.ts';

const HEADER_BYTES_MAX = 16 * 1024;
const HEAD_MS_MAX = 10_000;
const BODY_MS_MAX = 30_000;
const CHECK_EVERY_MS = 1000;
const SOCKETS_MAX = 200;
const REQUESTS_PER_SOCKET_MAX = 128;
const CHAT_PATH = '/v1/chat/completions';
const NOT_READY = 'Not ready: no routing table has come from the controller yet.';

export interface AdminServerOptions {
  readonly host: string;
  readonly port: number;
  readonly metrics: Metrics;
  readonly log: Log;
  /** Whether a routing table is there. */
  isReady(): boolean;
  models(): readonly ModelState[];
  /** The entry of the OpenAI API; it gets the chat requests of the page, and checks them like anybody's. */
  readonly openAiHandler: (request: IncomingMessage, response: ServerResponse) => void;
}

export interface AdminServer {
  /** Resolves with the port that it listens on. Rejects with Node's EADDRINUSE error, which has the port, when it is taken. */
  start(): Promise<{ readonly port: number }>;
  /** Ends every connection. Chat streams have their own end: let the router stop first. */
  stop(): Promise<void>;
}

export function createAdminServer(options: AdminServerOptions): AdminServer {
  let page: ReadonlyMap<string, PageFile> = new Map();
  const server = createServer(
    {
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: HEAD_MS_MAX,
      requestTimeout: BODY_MS_MAX,
      connectionsCheckingInterval: CHECK_EVERY_MS,
    },
    (request, response) => void answer({ request, response, options, page }),
  );
  server.maxConnections = SOCKETS_MAX;
  server.maxRequestsPerSocket = REQUESTS_PER_SOCKET_MAX;
  return {
    async start() {
      page = await readPageFiles();
      return { port: await listen(server, options) };
    },
    async stop() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

interface Call {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly options: AdminServerOptions;
  readonly page: ReadonlyMap<string, PageFile>;
}

async function answer(call: Call): Promise<void> {
  const { request, response, options } = call;
  // A connection that breaks ends the response; there is nobody to tell.
  request.on('error', () => {});
  response.on('error', () => {});
  const method = request.method ?? '';
  const path = (request.url ?? '').split('?', 1)[0] ?? '';
  const { host, origin } = request.headers;
  const refusal = judgeDoor({ method, path, host, origin, peer: request.socket.remoteAddress }, options.host);
  if (refusal === undefined && method === 'POST' && path === CHAT_PATH) {
    options.openAiHandler(request, response);
    return;
  }
  const found =
    refusal === undefined ? await answerTo({ ...call, method, path }) : openAiError('origin_not_allowed', refusal);
  send(response, isRead(method) ? found : { ...found, headers: { ...found.headers, connection: 'close' } });
  // A body that nobody wants is dropped as it comes; the connection ends with the answer.
  if (!request.complete) request.resume();
}

function isRead(method: string): boolean {
  return method === 'GET' || method === 'HEAD';
}

async function answerTo({ method, path, options, page }: Call & { method: string; path: string }): Promise<Answer> {
  if (path === CHAT_PATH) return methodNotAllowed('POST');
  const file = page.get(path);
  const render = file === undefined ? renderers.get(path) : () => ({ status: 200, ...file });
  if (render === undefined) return sentence(404, 'There is /, /status.json, /healthz, /readyz and /metrics.');
  if (!isRead(method)) return methodNotAllowed('GET, HEAD');
  try {
    return await render(options);
  } catch (error) {
    options.log.error({ path, error: error instanceof Error ? error.message : String(error) }, 'An answer failed.');
    return sentence(500, 'This could not be answered. The log of the router says why.');
  }
}

type Render = (options: AdminServerOptions) => Answer | Promise<Answer>;

const renderers: ReadonlyMap<string, Render> = new Map<string, Render>([
  ['/healthz', () => sentence(200, 'ok')],
  ['/readyz', (options) => (options.isReady() ? sentence(200, 'ok') : sentence(503, NOT_READY))],
  [
    '/metrics',
    async ({ metrics }) => ({ status: 200, contentType: metrics.contentType, body: await metrics.render() }),
  ],
  ['/status.json', (options) => json(200, { ready: options.isReady(), models: options.models() })],
]);

function methodNotAllowed(allow: string): Answer {
  return sentence(405, `Only ${allow} is answered here.`, { allow });
}

function listen(server: Server, { host, port }: { host: string; port: number }): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}

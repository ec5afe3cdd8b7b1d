// The OpenAI port: fastify finds the route, everything else is done on the raw request and answer (bodies are bytes,
// streams are ours). Owns the limits of DESIGN §14.8 on sockets and heads.
import type { IncomingMessage, ServerResponse } from 'node:http';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { inferenceRoutes, type RouteName } from '../../core/route/inference-routes.ts';
import type { RouterBounds } from '../bounds.ts';
import type { Call } from '../call.ts';
import type { RouterContext } from '../context.ts';
import { Ending } from '../ending.ts';
import { serveInference } from '../inference.ts';
import { limit } from '../stage/limit.ts';
import { type ChatSockets, createChatSockets } from '../ws/chat-sockets.ts';
import { type ClientErrors, createClientErrors } from './client-errors.ts';
import { MODELS_PATH, serveModel, serveModels } from './models.ts';
import { type Serve, serveExchange } from './serve-exchange.ts';

export interface OpenAiServer {
  /** Resolves with the port. Rejects with Node's EADDRINUSE error, which carries the port, when it is taken. */
  listen(host: string, port: number): Promise<number>;
  /** The same stages for a request that came in elsewhere. */
  handle(request: IncomingMessage, response: ServerResponse): void;
  /** The WebSockets on the same port. */
  readonly sockets: ChatSockets;
  /** Accepts nothing more and ends every connection. */
  close(): Promise<void>;
}

/** How often Node looks for heads that do not come. */
const CHECK_EVERY_MS = 1000;

export function createOpenAiServer(context: RouterContext): OpenAiServer {
  const route =
    (name: string, serve: Serve): Handler =>
    (request, reply) => {
      reply.hijack();
      void serveExchange({ request: request.raw, response: reply.raw }, name, serve, context);
    };
  const clientErrors = createClientErrors((outcome) => context.metrics.count('requests', { model: '', outcome }));
  const app = createApp(context.bounds, clientErrors, route('none', refuseRoute));
  for (const name of httpRoutes) app.post(inferenceRoutes[name].path, route(name, serveBody(name)));
  app.get(MODELS_PATH, route('models', serveModels));
  app.get(`${MODELS_PATH}/*`, route('model', serveModel));
  const { server } = app;
  const sockets = createChatSockets(context);
  server.on('request', clientErrors.onRequest);
  server.on('upgrade', (request, socket, head) => sockets.onUpgrade(request, socket, head));
  server.maxConnections = context.bounds.socketsMax;
  server.on('drop', () => context.metrics.count('refusedSockets', {}));
  return {
    async listen(host, port) {
      await app.listen({ host, port });
      const address = server.address();
      return typeof address === 'object' && address !== null ? address.port : port;
    },
    handle: (request, response) => app.routing(request, response),
    sockets,
    async close() {
      const closed = app.close();
      await sockets.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Those whose body is that of a POST. */
const httpRoutes = ['chat', 'completions', 'embeddings'] as const satisfies readonly RouteName[];
const postPaths: ReadonlySet<string> = new Set(httpRoutes.map((name) => inferenceRoutes[name].path));

function serveBody(route: RouteName): Serve {
  return async (call, context, request) =>
    serveInference(call, context, { route, bytes: await limit(call, request, context) });
}

type Handler = (request: FastifyRequest, reply: FastifyReply) => void;

function createApp(bounds: RouterBounds, clientErrors: ClientErrors, refuse: Handler): FastifyInstance {
  const app = Fastify({
    logger: false,
    http: {
      maxHeaderSize: bounds.headerBytesMax,
      headersTimeout: bounds.headMsMax,
      connectionsCheckingInterval: CHECK_EVERY_MS,
      // Other upgrades (to HTTP/2, say) are offers, and the request is served as it is.
      shouldUpgradeCallback: ({ headers }) => headers.upgrade?.toLowerCase() === 'websocket',
    },
    // The body has its own bound, kept by the stage that reads it.
    requestTimeout: 0,
    keepAliveTimeout: bounds.keepAliveMs,
    maxRequestsPerSocket: bounds.requestsPerSocketMax,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 1024 },
    // A path that cannot be read.
    frameworkErrors: (_error, request, reply) => refuse(request as FastifyRequest, reply as FastifyReply),
    clientErrorHandler: clientErrors.onError,
  });
  // Bodies stay where they are until the stage that limits them.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _body, done) => done(null));
  app.setNotFoundHandler(refuse);
  // Fastify complains of a content type that it cannot read before any handler. Bodies are read as JSON whatever they are
  // said to be.
  app.setErrorHandler((_error, request, reply) => request.routeOptions.handler.call(app, request, reply));
  return app;
}

/** What is not served: another method of a path that is, or nothing at all. */
async function refuseRoute({ head }: Call): Promise<void> {
  const [path = ''] = head.url.split('?', 1);
  const allowed = postPaths.has(path) ? 'POST' : isModelPath(path) ? 'GET, HEAD' : undefined;
  if (allowed === undefined || allowed.includes(head.method)) {
    throw new Ending('route_not_found', `There is nothing at ${path.slice(0, 200)}.`);
  }
  throw new Ending('method_not_allowed', `${path.slice(0, 200)} takes ${allowed}.`, { headers: { allow: allowed } });
}

function isModelPath(path: string): boolean {
  return path === MODELS_PATH || path.startsWith(`${MODELS_PATH}/`);
}

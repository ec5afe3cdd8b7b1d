// The OpenAI port: fastify finds the route, everything else is done on the raw request and answer (bodies are bytes,
// streams are ours). Owns the limits of DESIGN §14.8 on sockets and heads.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { type OutcomeCode, outcomes, renderErrorBody } from '../../api/outcomes.ts';
import { serveChat } from '../chat.ts';
import type { RouterContext } from '../context.ts';
import { Ending } from '../ending.ts';
import { MODELS_PATH, serveModel, serveModels } from './models.ts';
import { type Serve, serveCall } from './serve-call.ts';

export interface OpenAiServer {
  /** Resolves with the port. Rejects with Node's EADDRINUSE error, which carries the port, when it is taken. */
  listen(host: string, port: number): Promise<number>;
  /** The same stages for a request that came in elsewhere. */
  handle(request: IncomingMessage, response: ServerResponse): void;
  /** Accepts nothing more and ends every connection. */
  close(): Promise<void>;
}

const CHAT_PATH = '/v1/chat/completions';
/** How often Node looks for heads that do not come. */
const CHECK_EVERY_MS = 1000;

export function createOpenAiServer(context: RouterContext): OpenAiServer {
  const route =
    (name: string, serve: Serve): Handler =>
    (request, reply) => {
      reply.hijack();
      void serveCall({ request: request.raw, response: reply.raw }, name, serve, context);
    };
  const app = createApp(context, route('none', refuseRoute));
  app.post(CHAT_PATH, route('chat', serveChat));
  app.get(MODELS_PATH, route('models', serveModels));
  app.get(`${MODELS_PATH}/*`, route('model', serveModel));
  const { server } = app;
  server.maxConnections = context.bounds.socketsMax;
  server.on('drop', () => context.metrics.count('refusedSockets', {}));
  return {
    async listen(host, port) {
      await app.listen({ host, port });
      const address = server.address();
      return typeof address === 'object' && address !== null ? address.port : port;
    },
    handle: (request, response) => app.routing(request, response),
    async close() {
      const closed = app.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

type Handler = (request: FastifyRequest, reply: FastifyReply) => void;

function createApp({ bounds, metrics }: RouterContext, refuse: Handler): FastifyInstance {
  const app = Fastify({
    logger: false,
    http: {
      maxHeaderSize: bounds.headerBytesMax,
      headersTimeout: bounds.headMsMax,
      connectionsCheckingInterval: CHECK_EVERY_MS,
    },
    // The body has its own bound, kept by the stage that reads it.
    requestTimeout: 0,
    keepAliveTimeout: bounds.keepAliveMs,
    maxRequestsPerSocket: bounds.requestsPerSocketMax,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 1024 },
    // A path that cannot be read.
    frameworkErrors: (_error, request, reply) => refuse(request as FastifyRequest, reply as FastifyReply),
    clientErrorHandler: (error, socket) => refuseSocket(error, socket, (outcome) => metrics.count('requests', outcome)),
  });
  // Bodies stay where they are until the stage that limits them.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _body, done) => done(null));
  app.setNotFoundHandler(refuse);
  // Fastify's own complaints (a strange content type) come before any handler.
  app.setErrorHandler((_error, request, reply) => refuse(request, reply));
  return app;
}

/** What is not served: another method of a path that is, or nothing at all. */
async function refuseRoute({ request }: { request: IncomingMessage }): Promise<void> {
  const [path = ''] = (request.url ?? '').split('?', 1);
  const allowed = path === CHAT_PATH ? 'POST' : isModelPath(path) ? 'GET, HEAD' : undefined;
  if (allowed === undefined || allowed.includes(request.method ?? '')) {
    throw new Ending('route_not_found', `There is nothing at ${path.slice(0, 200)}.`);
  }
  throw new Ending('method_not_allowed', `${path.slice(0, 200)} takes ${allowed}.`, { headers: { allow: allowed } });
}

function isModelPath(path: string): boolean {
  return path === MODELS_PATH || path.startsWith(`${MODELS_PATH}/`);
}

/** Bytes that are no request: there is no answer object, so the answer is written by hand. */
function refuseSocket(
  error: Error & { code?: string },
  socket: Socket,
  count: (labels: { model: string; outcome: string }) => void,
): void {
  if (socket.destroyed || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const { code, message } = describeClientError(error.code);
  count({ model: '', outcome: code });
  const body = JSON.stringify(renderErrorBody(code, message));
  socket.end(
    [
      `HTTP/1.1 ${outcomes[code].status} ${code}`,
      'content-type: application/json; charset=utf-8',
      `content-length: ${Buffer.byteLength(body)}`,
      'connection: close',
      '',
      body,
    ].join('\r\n'),
  );
}

function describeClientError(code: string | undefined): { code: OutcomeCode; message: string } {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return { code: 'headers_too_large', message: 'The head of the request is too large.' };
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return { code: 'request_timeout', message: 'The head of the request did not come in time.' };
    default:
      return { code: 'invalid_request', message: 'This is not an HTTP request.' };
  }
}

// The HTTPS front of the embedded API: limits, who may speak to it at all, who calls, and which part answers. Answers
// every failure with a Status; never lets one request end the process.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Log } from '../../lib/log.ts';
import type { ServerIdentity } from './authority.ts';
import type { Authenticate, Caller } from './caller.ts';
import { createHttpCall, type Handler, writeAnswer, writeError } from './http-call.ts';
import { ApiError, badRequest, forbidden, internalError, unauthorized } from './status-error.ts';

/** DESIGN §14.8. */
const HEADER_BYTES_MAX = 16 * 1024;
const HEAD_MS_MAX = 10_000;
const BODY_MS_MAX = 30_000;
const SOCKETS_MAX = 2000;
/** Longer than clients keep an idle connection, so that a call rarely meets one that is being closed. */
const IDLE_MS_MAX = 75_000;

export interface HttpsOptions {
  readonly host: string;
  readonly port: number;
  readonly identity: ServerIdentity;
  readonly authenticate: Authenticate;
  /** Undefined: it answered by itself. */
  readonly handle: Handler;
  readonly log: Log;
}

export interface HttpsServer {
  readonly port: number;
  /** Waits for answers under way, at most until `signal` aborts. */
  close(signal: AbortSignal): Promise<void>;
}

/** Rejects with the system's error when the port cannot be had. */
export async function startHttpsServer(options: HttpsOptions): Promise<HttpsServer> {
  const { identity } = options;
  const server = createServer(
    {
      key: identity.keyPem,
      cert: identity.certificatePem,
      minVersion: 'TLSv1.2',
      ALPNProtocols: ['http/1.1'],
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: HEAD_MS_MAX,
      requestTimeout: BODY_MS_MAX,
      keepAliveTimeout: IDLE_MS_MAX,
      handshakeTimeout: HEAD_MS_MAX,
    },
    (request, response) =>
      void serve(options, request, response).catch((error: unknown) => failLoudly(options.log, response, error)),
  );
  server.maxConnections = SOCKETS_MAX;
  server.on('clientError', (_error, socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, () => {
      server.removeListener('error', reject);
      resolve();
    });
  });
  // A listening TCP server's address is never a string.
  const { port } = server.address() as AddressInfo;
  return { port, close: (signal) => closeServer(server, signal) };
}

async function closeServer(server: Server, signal: AbortSignal): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const cut = () => server.closeAllConnections();
  if (signal.aborted) cut();
  else signal.addEventListener('abort', cut, { once: true });
  await closed;
}

async function serve(options: HttpsOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    assertOwnOrigin(request, options.host);
    const caller = identify(options.authenticate, request);
    const answer = await options.handle(createHttpCall(request, response, caller));
    if (answer !== undefined) writeAnswer(response, answer);
  } catch (error) {
    writeError(response, apiErrorOf(error, options.log));
  }
}

function failLoudly(log: Log, response: ServerResponse, error: unknown): void {
  log.error({ error: String(error) }, 'a request could not be answered');
  response.destroy();
}

/** A web page in the person's browser must not be able to speak to this server, by another name or from another place. */
function assertOwnOrigin({ headers }: IncomingMessage, host: string): void {
  if (headers.origin !== undefined) throw forbidden('requests from web pages are refused');
  const name = (headers.host ?? '').toLowerCase().replace(/:\d{1,5}$/, '');
  if (!['127.0.0.1', 'localhost', '[::1]', host].includes(name))
    throw forbidden(`the host ${JSON.stringify(name.slice(0, 100))} is not served here; use 127.0.0.1 or localhost`);
}

function identify(authenticate: Authenticate, { headers }: IncomingMessage): Caller {
  const token = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1];
  const caller = token === undefined ? undefined : authenticate(token);
  if (caller === undefined) throw unauthorized();
  return caller;
}

function apiErrorOf(error: unknown, log: Log): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof URIError) return badRequest('the path holds a broken escape');
  log.error({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }, 'a request failed');
  return internalError('see the log of the embedded API');
}

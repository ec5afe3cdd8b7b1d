// The data path's HTTP server: from routers to the engines of this slot. Counts what is in flight exactly: a place is taken
// when a request is admitted and given back when it has ended, on every path.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type Clock, every } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import { FLUSH_MS_MAX, HEAD_MS_MAX, HEADER_BYTES_MAX, KEEP_ALIVE_MS, REQUEST_MS_MAX, SOCKETS_MAX } from './bounds.ts';
import { createEngineConnections, type EngineConnections } from './engine-connections.ts';
import { forward } from './forward.ts';
import { sendError, sendRefusal } from './outgoing.ts';
import { type Door, decideHead } from './request-head.ts';

/** Connections are kept alive: those that have become idle are looked for while the server closes. */
const LOOK_IDLE_EVERY_MS = 20;

export interface DataPath {
  /** Resolves with the port. */
  listen(host: string, port: number): Promise<number>;
  /** Accepts nothing more, lets the last bytes leave, then ends every connection that is left. */
  close(): Promise<void>;
}

export interface DataPathOptions {
  readonly door: Door;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly log: Log;
}

export function createDataPath(options: DataPathOptions): DataPath {
  const connections = createEngineConnections();
  const server = createServer(
    { maxHeaderSize: HEADER_BYTES_MAX, headersTimeout: HEAD_MS_MAX, requestTimeout: REQUEST_MS_MAX },
    (request, response) => {
      void serve(request, response, { ...options, connections }).catch((error: unknown) => {
        options.log.error({ error: String(error) }, 'a request could not be served');
        response.destroy();
      });
    },
  );
  server.maxConnections = SOCKETS_MAX;
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  return {
    listen: (host, port) => listen(server, host, port),
    async close() {
      const { clock } = options;
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      const idle = every(clock, LOOK_IDLE_EVERY_MS, () => server.closeIdleConnections());
      const end = clock.after(FLUSH_MS_MAX, () => server.closeAllConnections());
      await closed;
      idle.cancel();
      end.cancel();
      await connections.close();
    },
  };
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  { door, metrics, clock, connections }: DataPathOptions & { connections: EngineConnections },
): Promise<void> {
  // A connection that breaks ends the response; there is nobody to tell.
  request.on('error', () => {});
  response.on('error', () => {});
  const decision = decideHead(request, door);
  if (decision.type === 'refused') {
    metrics.count('agentRefusals', { reason: decision.refusal });
    sendRefusal(response, decision.refusal);
    return;
  }
  if (decision.type === 'wrong') {
    sendError(response, decision.code, decision.message);
    return;
  }
  const { head, flight } = decision;
  try {
    await forward({ request, response, head, flight, clock, pool: connections.to(flight.process) });
  } finally {
    flight.ticket.release();
    // What is left of a body would hold up the connection's next request.
    if (!request.complete) request.resume();
  }
}

/** Listens; resolves with the port, rejects when it is taken. */
export function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}

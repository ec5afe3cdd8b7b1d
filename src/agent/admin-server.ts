// The agent's administration port: health, readiness and metrics. Read only, holds no secrets, never touches an engine.
import { createServer, type ServerResponse } from 'node:http';
import type { Metrics } from '../telemetry/metrics.ts';
import { listen } from './data-path/server.ts';

const HEADER_BYTES_MAX = 16 * 1024;
const REQUEST_MS_MAX = 10_000;
const SOCKETS_MAX = 200;

export interface AdminServer {
  /** Resolves with the port. */
  listen(host: string, port: number): Promise<number>;
  close(): Promise<void>;
}

export interface AdminOptions {
  /** Undefined when ready; otherwise what is missing, as a sentence. */
  missing(): string | undefined;
  readonly metrics: Metrics;
}

export function createAdminServer({ missing, metrics }: AdminOptions): AdminServer {
  const server = createServer(
    { maxHeaderSize: HEADER_BYTES_MAX, requestTimeout: REQUEST_MS_MAX },
    (request, response) => {
      if (request.method !== 'GET' && request.method !== 'HEAD') {
        send(response, 405, 'Only GET is answered here.');
        return;
      }
      const [path] = (request.url ?? '').split('?', 1);
      if (path === '/healthz') send(response, 200, 'ok');
      else if (path === '/readyz') send(response, missing() === undefined ? 200 : 503, missing() ?? 'ok');
      else if (path === '/metrics') void sendMetrics(response, metrics);
      else send(response, 404, 'There is /healthz, /readyz and /metrics.');
    },
  );
  server.maxConnections = SOCKETS_MAX;
  return {
    listen: (host, port) => listen(server, host, port),
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function sendMetrics(response: ServerResponse, metrics: Metrics): Promise<void> {
  try {
    const text = await metrics.render();
    response.writeHead(200, { 'content-type': metrics.contentType }).end(text);
  } catch (error) {
    send(response, 500, error instanceof Error ? error.message : String(error));
  }
}

function send(response: ServerResponse, status: number, sentence: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(`${sentence}\n`);
}

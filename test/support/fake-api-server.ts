// A scripted HTTP server that answers like an API server, for faults that a real one gives only rarely: cuts, 410,
// ERROR events, slow chunks, closing at once, 429. It keeps no objects: each test says what is answered.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Connection } from '../../src/kube/connection.ts';

export interface FakeCall {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: unknown;
  /** The caller's port: equal for calls over one connection. */
  readonly fromPort: number;
}

export interface FakeAnswer {
  readonly status?: number;
  readonly headers?: Record<string, string>;
  readonly body?: unknown;
}

export interface FakeWatch {
  readonly query: URLSearchParams;
  /** One event with its newline. */
  send(type: string, object: object): void;
  raw(bytes: string | Buffer): Promise<void>;
  end(): void;
  /** Cuts the connection in the middle. */
  cut(): void;
  isClosed(): boolean;
}

export interface FakeApiServer {
  readonly connection: Connection;
  readonly calls: FakeCall[];
  readonly watches: FakeWatch[];
  /** Answers everything but watches. `hang` never answers. */
  onCall: (call: FakeCall) => FakeAnswer | 'hang';
  /** Called when a watch opens; an answer refuses it. */
  onWatch: (watch: FakeWatch, serial: number) => FakeAnswer | undefined;
  stop(): Promise<void>;
}

export async function startFakeApiServer(): Promise<FakeApiServer> {
  const calls: FakeCall[] = [];
  const watches: FakeWatch[] = [];
  const fake: { -readonly [Key in keyof FakeApiServer]: FakeApiServer[Key] } = {
    connection: { server: '', tls: {}, authorize: async () => ({ authorization: 'Bearer test' }) },
    calls,
    watches,
    onCall: () => ({ body: list([], '1') }),
    onWatch: () => undefined,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? '/', 'http://fake');
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString('utf8');
    const body = text === '' ? undefined : JSON.parse(text);
    const call = {
      method: request.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers,
      fromPort: request.socket.remotePort ?? 0,
      body,
    };
    calls.push(call);
    if (url.searchParams.get('watch') !== 'true') {
      reply(response, fake.onCall(call));
      return;
    }
    const watch = createWatch(response, url.searchParams);
    watches.push(watch);
    const refusal = fake.onWatch(watch, watches.length);
    if (refusal !== undefined) reply(response, refusal);
    else if (!response.headersSent && !response.destroyed)
      response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  fake.connection = { ...fake.connection, server: `http://127.0.0.1:${port}` };
  return fake;
}

function createWatch(response: ServerResponse, query: URLSearchParams): FakeWatch {
  let isClosed = false;
  response.on('close', () => {
    isClosed = true;
  });
  return {
    query,
    send: (type, object) => void response.write(`${JSON.stringify({ type, object })}\n`),
    raw: (bytes) => new Promise((resolve) => response.write(bytes, () => resolve())),
    end: () => void response.end(),
    cut: () => void response.destroy(),
    isClosed: () => isClosed,
  };
}

function reply(response: ServerResponse, answer: FakeAnswer | 'hang'): void {
  if (answer === 'hang') return;
  response.writeHead(answer.status ?? 200, { 'content-type': 'application/json', ...answer.headers });
  response.end(answer.body === undefined ? '{}' : JSON.stringify(answer.body));
}

export function list(items: readonly object[], resourceVersion: string, continueToken?: string): object {
  return {
    kind: 'List',
    apiVersion: 'v1',
    metadata: { resourceVersion, ...(continueToken === undefined ? {} : { continue: continueToken }) },
    items,
  };
}

export function pod(name: string, resourceVersion: string, metadata: object = {}): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'ns', uid: `uid-${name}`, resourceVersion, ...metadata },
    spec: { containers: [] },
  };
}

export function failure(code: number, reason: string, message: string): FakeAnswer & { body: object } {
  return { status: code, body: { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message } };
}

export const bookmark = (resourceVersion: string): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { resourceVersion },
});

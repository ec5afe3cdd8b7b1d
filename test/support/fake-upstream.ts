// Somebody else's OpenAI-compatible API, scripted: each request is handed to the test, which answers as it likes.
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Table } from '../../src/api/link.ts';

export interface UpstreamCall {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly response: ServerResponse;
}

export interface FakeUpstream {
  /** With the path before /chat/completions. */
  readonly baseUrl: string;
  readonly calls: UpstreamCall[];
  /** Connections that were opened. */
  connections(): number;
  onCall: (call: UpstreamCall) => void;
  close(): Promise<void>;
}

export async function startFakeUpstream(): Promise<FakeUpstream> {
  let connections = 0;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString('utf8');
      const call = { path: request.url ?? '', headers: request.headers, body, response };
      upstream.calls.push(call);
      upstream.onCall(call);
    });
  });
  server.on('connection', () => {
    connections += 1;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const upstream: FakeUpstream = {
    baseUrl: `http://127.0.0.1:${port}/openai/v1`,
    calls: [],
    connections: () => connections,
    onCall: () => {},
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
  return upstream;
}

export const upstreamAnswer = {
  id: 'theirs-1',
  object: 'chat.completion',
  created: 1,
  model: 'their-model-2026',
  system_fingerprint: 'fp_theirs',
  choices: [{ index: 0, message: { role: 'assistant', content: 'Hello.' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 },
};

export function answerJson({ response }: UpstreamCall, answer: object = upstreamAnswer): void {
  response.writeHead(200, { 'content-type': 'application/json', 'x-request-id': 'theirs', 'set-cookie': 'a=b' });
  response.end(JSON.stringify(answer));
}

export function answerError(
  { response }: UpstreamCall,
  status: number,
  error: object = {},
  headers: object = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify({ error: { message: 'So it is.', type: 'x', param: null, code: null, ...error } }));
}

function event(data: object | string): string {
  return `data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`;
}

const chunk = (delta: object, finish: string | null = null) => ({
  id: 'theirs-1',
  object: 'chat.completion.chunk',
  created: 1,
  model: 'their-model-2026',
  choices: [{ index: 0, delta, finish_reason: finish }],
});

/** Opens a stream and sends a chunk for each text. */
export function openUpstreamStream({ response }: UpstreamCall, ...texts: string[]): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.write(event(chunk({ role: 'assistant', content: '' })));
  for (const content of texts) response.write(event(chunk({ content })));
}

export function endUpstreamStream({ response }: UpstreamCall): void {
  response.write(event(chunk({}, 'stop')));
  response.write(event({ ...chunk({}), choices: [], usage: upstreamAnswer.usage }));
  response.end(event('[DONE]'));
}

/** The table with one model `demo` that this upstream serves. */
export function upstreamTable(
  version: number,
  upstream: { readonly baseUrl: string; readonly share?: number; readonly key?: string; readonly keyOrigin?: string },
): Table {
  const section = <T>(data: T) => ({ version, hash: `h${version}`, data });
  const { baseUrl, share = 4, key = '', keyOrigin } = upstream;
  const row = { upstream: 'remote:demo-1', model: 'demo', revision: 'demo-1', baseUrl, upstreamModel: 'their-model' };
  const stable = { revision: 'demo-1', digest: 'v1:sha256:0' };
  const model = { model: 'demo', servedName: 'demo', createdSeconds: 1, stable, contextLength: 0, concurrency: share };
  return {
    type: 'table',
    epoch: 1,
    seq: version,
    policy: section({ models: [model] }),
    endpoints: section({
      endpoints: [],
      warmth: [{ model: 'demo', rung: 'Awake' as const, etaMs: 0 }],
      upstreams: [{ ...row, share, ...(keyOrigin === undefined ? {} : { keyOrigin }) }],
    }),
    keys: section({ slots: [], upstreams: [{ upstream: row.upstream, key }] }),
  };
}

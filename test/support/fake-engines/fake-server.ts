// The HTTP frame that the fakes share: routes, bodies, answers that notice when the caller is gone. Knows no engine.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';

export interface Call {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly authorization: string | undefined;
  readonly body: Record<string, unknown>;
  readonly response: ServerResponse;
  /** Aborts when the caller is gone or the engine drops the request. */
  readonly gone: AbortController;
}

export type Handle = (call: Call) => void | Promise<void>;

export function createFakeServer(handle: Handle): Server {
  return createServer((request, response) => {
    void readBody(request).then(async (text) => {
      const url = new URL(request.url ?? '/', 'http://127.0.0.1');
      const gone = new AbortController();
      response.on('close', () => gone.abort());
      response.on('error', () => {});
      const { method = 'GET', headers } = request;
      const { authorization } = headers;
      const call = {
        method,
        path: url.pathname,
        query: url.searchParams,
        authorization,
        body: parse(text),
        response,
        gone,
      };
      await handle(call);
    });
  });
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  request.on('error', () => {});
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}

export function json(response: ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

export function text(response: ServerResponse, body: string, status = 200): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' });
  response.end(body);
}

export function empty(response: ServerResponse, status = 200): void {
  response.writeHead(status, { 'content-length': 0 });
  response.end();
}

export function openEvents(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
  response.flushHeaders();
}

export function event(response: ServerResponse, data: object | '[DONE]'): void {
  response.write(`data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`);
}

/** One after the other, `tokenMs` apart; ends early when the caller is gone. False then. */
export async function pace<T>(
  items: readonly T[],
  tokenMs: number,
  gone: AbortSignal,
  each: (item: T) => void,
): Promise<boolean> {
  for (const item of items) {
    if (gone.aborted) return false;
    each(item);
    await wait(tokenMs, undefined, { signal: gone }).catch(() => {});
  }
  return !gone.aborted;
}

/** Never, or until the caller is gone. */
export async function hang(gone: AbortSignal): Promise<void> {
  if (!gone.aborted) await new Promise<void>((resolve) => gone.addEventListener('abort', () => resolve()));
}

/** The question of a chat as one text, good enough for counting and for telling prompts apart. */
export function promptOf(body: Record<string, unknown>): string {
  if (typeof body.prompt === 'string') return body.prompt;
  if (typeof body.text === 'string') return body.text;
  return JSON.stringify(body.messages ?? '');
}

export function numberOf(value: unknown, otherwise: number): number {
  return typeof value === 'number' ? value : otherwise;
}

/** `--flag=value`, `--flag value` is not split here. Throws the name of a flag that is not known. */
export function parseFlags(args: readonly string[], known: ReadonlySet<string>): Map<string, string> {
  const flags = new Map<string, string>();
  for (const argument of args) {
    const at = argument.indexOf('=');
    const name = at === -1 ? argument : argument.slice(0, at);
    if (!known.has(name)) throw new Error(name);
    flags.set(name, at === -1 ? '' : argument.slice(at + 1));
  }
  return flags;
}

// One HTTP request as the handlers see it, and how its answer goes out. Reads bodies within a bound; knows nothing of
// objects.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Caller } from './caller.ts';
import { isTooDeep } from './json-value.ts';
import { parseBodyFormat } from './media-type.ts';
import { decodeProtobufBody } from './protobuf-body.ts';
import { type ApiError, badRequest, bodyTooLarge, renderStatus } from './status-error.ts';

export const BODY_BYTES_MAX = 3 * 1024 * 1024;
const WARNINGS_MAX = 20;

export interface HttpCall {
  readonly method: string;
  readonly pathname: string;
  readonly query: URLSearchParams;
  readonly accept: string | undefined;
  readonly contentType: string | undefined;
  readonly caller: Caller;
  /** Throws ApiError: too large, or not what it says it is. Undefined when there is no body. */
  readBody(): Promise<unknown>;
  readonly response: ServerResponse;
}

export interface Answer {
  readonly code: number;
  /** A value, or text that is JSON already. */
  readonly body: object | string;
  readonly warnings?: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
}

/** Undefined: the handler answers by itself, as watches do. */
export type Handler = (call: HttpCall) => Promise<Answer | undefined>;

export function createHttpCall(request: IncomingMessage, response: ServerResponse, caller: Caller): HttpCall {
  const url = parseTarget(request.url ?? '/');
  const contentType = request.headers['content-type'];
  return {
    method: request.method ?? 'GET',
    pathname: url.pathname,
    query: url.searchParams,
    accept: request.headers.accept,
    contentType,
    caller,
    response,
    readBody: async () => parseBody(await readBytes(request), contentType),
  };
}

/** The host was judged before; only path and query count here. */
function parseTarget(target: string): URL {
  const url = URL.parse(target, 'https://localhost');
  if (url === null) throw badRequest('the path cannot be read');
  return url;
}

async function readBytes(request: IncomingMessage): Promise<Buffer> {
  if (Number(request.headers['content-length'] ?? 0) > BODY_BYTES_MAX) throw bodyTooLarge(BODY_BYTES_MAX);
  const chunks: Buffer[] = [];
  let bytes = 0;
  // Giving up on the body must leave the connection open for the refusal.
  const body: AsyncIterable<Buffer> = request.iterator({ destroyOnReturn: false });
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) throw bodyTooLarge(BODY_BYTES_MAX);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function parseBody(bytes: Buffer, contentType: string | undefined): unknown {
  if (bytes.length === 0) return undefined;
  // A patch is JSON, whatever else its type says.
  const format = /patch\+json/i.test(contentType ?? '') ? 'json' : parseBodyFormat(contentType);
  const value = format === 'protobuf' ? decodeProtobufBody(bytes) : parseJson(bytes.toString('utf8'));
  if (isTooDeep(value)) throw badRequest('the body is nested too deep');
  return value;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw badRequest(`the body is not JSON: ${sentenceWithoutContent(error)}`);
  }
}

/** The engine's sentence quotes the text, which may be a Secret. */
function sentenceWithoutContent(error: unknown): string {
  const [, place] = /(at position \d+(?: \(line \d+ column \d+\))?)/.exec(String(error)) ?? [];
  return place === undefined ? 'it ends too early or holds a wrong character' : `there is a wrong character ${place}`;
}

export function writeAnswer(response: ServerResponse, { code, body, warnings = [], headers = {} }: Answer): void {
  if (response.headersSent || response.destroyed) return;
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const shown = warnings.slice(0, WARNINGS_MAX).map((warning) => `299 - ${JSON.stringify(asciiOnly(warning))}`);
  if (shown.length > 0) response.setHeader('warning', shown);
  response.writeHead(code, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-cache, private',
    'x-content-type-options': 'nosniff',
    ...headers,
  });
  response.end(text);
}

/** Headers hold no other letters. */
function asciiOnly(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 500);
}

export function writeError(response: ServerResponse, error: ApiError): void {
  const seconds = error.details?.retryAfterSeconds;
  const headers = {
    ...(seconds === undefined ? {} : { 'retry-after': String(seconds) }),
    // What is left of the body is not read.
    ...(error.code === 413 ? { connection: 'close' } : {}),
  };
  writeAnswer(response, { code: error.code, body: renderStatus(error), headers });
}

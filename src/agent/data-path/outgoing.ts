// Answers to the router: whole ones, and pieces of a stream with backpressure. Every wait for room also ends when the
// connection closes or the request's time is over, so that a request never hangs on a router that does not read.
import type { ServerResponse } from 'node:http';
import { REFUSAL_STATUS, type Refusal, SLOT_HEADERS } from '../../api/data-path.ts';
import { type OutcomeCode, outcomes, renderErrorBody } from '../../api/outcomes.ts';

export function sendJson(response: ServerResponse, status: number, body: string | Buffer): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

/** A JSON body in parts, none of which is copied. */
export function sendParts(response: ServerResponse, status: number, parts: readonly Buffer[]): void {
  if (response.headersSent || response.destroyed) return;
  const bytes = parts.reduce((sum, part) => sum + part.length, 0);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': bytes });
  for (const part of parts) response.write(part);
  response.end();
}

export function sendError(response: ServerResponse, code: OutcomeCode, message: string): void {
  // Outcomes that are only recorded have no status; whoever would read it is gone.
  sendJson(response, outcomes[code].status || 500, JSON.stringify(renderErrorBody(code, message)));
}

export function sendRefusal(response: ServerResponse, refusal: Refusal): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(REFUSAL_STATUS, { [SLOT_HEADERS.refusal]: refusal, 'content-length': 0 });
  response.end();
}

export function openStream(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' });
  response.flushHeaders();
}

/** Resolves when more may be written, when the connection is closed, or when the signal aborts. */
export function sendPiece(response: ServerResponse, piece: string, signal: AbortSignal): Promise<void> {
  if (piece === '' || response.destroyed || response.write(piece) || signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done);
      response.off('close', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    response.on('drain', done);
    response.on('close', done);
    signal.addEventListener('abort', done, { once: true });
  });
}

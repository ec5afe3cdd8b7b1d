// Whole answers to a caller: JSON, errors in OpenAI's shape, nothing. Headers that are known go out with each of them.
// Never sends a second head.
import { type OutcomeCode, outcomes, renderErrorBody } from '../../api/outcomes.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Call } from '../call.ts';
import type { Ending } from '../ending.ts';

export interface Sending {
  readonly clock: Clock;
  /** How long the rest of a body that nobody wants is read, so that the caller sees the answer. */
  readonly lingerMsMax: number;
}

export function sendJson(call: Call, body: string | Uint8Array, sending: Sending): void {
  sendWhole(call, { status: 200, body, headers: {} }, sending);
}

/** Answers with the ending's status and error body. */
export function sendError(call: Call, ending: Ending, sending: Sending): void {
  const { code, details } = ending;
  const status = details.passed?.status ?? outcomes[code].status;
  const body = details.passed?.body ?? JSON.stringify(renderErrorBody(code, ending.message, details.param ?? null));
  sendWhole(call, { status, body, headers: { ...retryHeader(code), ...details.headers } }, sending);
}

export function sendEmpty(call: Call, status: number, headers: Readonly<Record<string, string>>): void {
  if (call.response.headersSent || call.response.destroyed) return;
  call.response.writeHead(status, { ...Object.fromEntries(call.headers), ...headers });
  call.response.end();
}

function retryHeader(code: OutcomeCode): Record<string, string> {
  const outcome = outcomes[code];
  return 'shouldRetry' in outcome ? { 'x-should-retry': String(outcome.shouldRetry) } : {};
}

interface Whole {
  readonly status: number;
  readonly body: string | Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
}

function sendWhole(call: Call, whole: Whole, sending: Sending): void {
  const { response } = call;
  if (response.headersSent || response.destroyed) return;
  response.writeHead(whole.status, {
    ...Object.fromEntries(call.headers),
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(whole.body),
    ...whole.headers,
  });
  response.end(whole.body);
  readTheRest(call, sending);
}

/** Closing at once would reset a connection that the caller still writes to, and the answer would be lost. */
function readTheRest({ request }: Call, { clock, lingerMsMax }: Sending): void {
  if (request.complete || request.destroyed) return;
  const timer = clock.after(lingerMsMax, () => request.socket.destroy(), { background: true });
  request.once('close', () => timer.cancel());
  request.resume();
}

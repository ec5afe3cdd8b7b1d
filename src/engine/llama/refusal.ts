// Every answer that is not 200: an outcome code of src/api/outcomes.ts, a sentence, and the field that was wrong.
// Must never carry prompts, answers or keys.
import type { ServerResponse } from 'node:http';
import { type ErrorBody, type Outcome, type OutcomeCode, outcomes, renderErrorBody } from '../../api/outcomes.ts';

const RETRY_AFTER_SECONDS = '1';

export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly code: OutcomeCode;
  readonly param: string | null;

  constructor(code: OutcomeCode, sentence: string, param: string | null = null) {
    super(sentence);
    this.code = code;
    this.param = param;
  }
}

/** An order to the server itself that cannot be carried out now (sleep or probe while requests run): HTTP 409. */
export class Busy extends Error {
  override readonly name = 'Busy';
}

/** What any thrown value is to the caller. Unknown ones say nothing of their inside. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  return new Refusal('internal_error', 'The model server failed while it worked on the request.');
}

export function renderRefusal(refusal: Refusal): ErrorBody {
  return renderErrorBody(refusal.code, refusal.message, refusal.param);
}

/** Sends the whole error answer. Does nothing when the head is gone or the caller has hung up. */
export function sendRefusal(response: ServerResponse, refusal: Refusal): void {
  if (response.headersSent || response.destroyed) return;
  const outcome: Outcome = outcomes[refusal.code];
  const body = JSON.stringify(renderRefusal(refusal));
  const headers: Record<string, string | number> = {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
  };
  if (outcome.shouldRetry !== undefined) headers['x-should-retry'] = String(outcome.shouldRetry);
  if (outcome.shouldRetry === true) headers['retry-after'] = RETRY_AFTER_SECONDS;
  response.writeHead(outcome.status, headers);
  response.end(body);
}

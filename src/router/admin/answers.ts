// How the administration port answers: every response carries the same headers, which tell a browser to run nothing but
// the page's own files and to lend nothing to other pages.
import type { ServerResponse } from 'node:http';
import { type OutcomeCode, outcomes, renderErrorBody } from '../../api/outcomes.ts';

/** No inline script or style, no other address, no frames, no forms that leave the page. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const everyAnswer = {
  'content-security-policy': contentSecurityPolicy,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'cache-control': 'no-store',
} as const;

export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Node leaves the body out by itself when the request was a HEAD. */
export function send(response: ServerResponse, answer: Answer): void {
  response.writeHead(answer.status, {
    ...everyAnswer,
    ...answer.headers,
    'content-type': answer.contentType,
    'content-length': Buffer.byteLength(answer.body),
  });
  response.end(answer.body);
}

/** One sentence as text. */
export function sentence(status: number, text: string, headers: Readonly<Record<string, string>> = {}): Answer {
  return { status, contentType: 'text/plain; charset=utf-8', body: `${text}\n`, headers };
}

export function json(status: number, value: unknown): Answer {
  return { status, contentType: 'application/json', body: JSON.stringify(value) };
}

/** An error in OpenAI's shape, so that the chat box reads refusals and errors of the API in one way. */
export function openAiError(code: OutcomeCode, message: string): Answer {
  return json(outcomes[code].status, renderErrorBody(code, message));
}

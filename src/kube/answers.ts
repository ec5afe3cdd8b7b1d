// What the server's refusals mean: HTTP status and Status object to ClusterError, once, here. Keeps the server's
// sentence. Never decides what happens next.
import type { ClusterError, ClusterErrorReason } from '../ports/cluster.ts';

export interface KubeAnswer {
  readonly status: number;
  /** Parsed JSON, or the text when it is none. */
  readonly body: unknown;
  /** What the server warned about, for people. */
  readonly warnings: readonly string[];
  /** Of the Retry-After header. */
  readonly retryAfterMs?: number;
}

const reasonByStatus: Readonly<Record<number, ClusterErrorReason>> = {
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  408: 'Timeout',
  409: 'Conflict',
  410: 'Gone',
  429: 'Throttled',
  504: 'Timeout',
};

/** The error that an answer of 300 or more stands for. */
export function errorOfAnswer(answer: KubeAnswer): ClusterError {
  return errorOfStatus(answer.body, answer.status, answer.retryAfterMs);
}

/** `body` is a metav1.Status or whatever came instead. */
export function errorOfStatus(body: unknown, code: number, headerRetryMs?: number): ClusterError {
  const status = record(body);
  const seconds = record(status.details).retryAfterSeconds;
  const retryAfterMs = headerRetryMs ?? (typeof seconds === 'number' && seconds > 0 ? seconds * 1000 : undefined);
  const message =
    typeof status.message === 'string' && status.message !== '' ? status.message : `the API server answered ${code}`;
  const reason =
    status.reason === 'AlreadyExists'
      ? 'AlreadyExists'
      : (reasonByStatus[code] ?? (code >= 500 ? 'Unavailable' : 'Invalid'));
  return { reason, message, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}

/** Reads `retry-after: 5`. Dates are not used by API servers. */
export function parseRetryAfterMs(header: string | readonly string[] | undefined): number | undefined {
  const text = typeof header === 'string' ? header : header?.[0];
  return text !== undefined && /^\d{1,6}$/.test(text) ? Number(text) * 1000 : undefined;
}

/** Reads `warning: 299 - "text"`; there may be several. */
export function parseWarnings(header: string | readonly string[] | undefined): string[] {
  const lines = header === undefined ? [] : typeof header === 'string' ? [header] : header;
  return lines.flatMap((line) =>
    [...line.matchAll(/299 \S+ "((?:[^"\\]|\\.)*)"/g)].map((match) => (match[1] ?? '').replace(/\\(.)/g, '$1')),
  );
}

/** The value as a record to look into; empty when it is none. */
export function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

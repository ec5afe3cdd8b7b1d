// Every way a request can end (DESIGN §14.4). This closed list is the metric label, the log field and the HTTP mapping.
// Adding a row means: a test, a line in docs/reference/outcomes.md, and a caller that produces it.

export interface Outcome {
  /** HTTP status when the head has not been sent; 0 for outcomes that are only recorded. */
  readonly status: number;
  /** OpenAI's error type. */
  readonly type: string;
  /** The x-should-retry header: whether the official clients may try again. Undefined leaves it to the status. */
  readonly shouldRetry?: boolean;
}

export const outcomes = {
  served: { status: 200, type: '' },
  invalid_request: { status: 400, type: 'invalid_request_error' },
  context_length_exceeded: { status: 400, type: 'invalid_request_error' },
  invalid_api_key: { status: 401, type: 'authentication_error' },
  origin_not_allowed: { status: 403, type: 'permission_error' },
  model_not_found: { status: 404, type: 'invalid_request_error' },
  route_not_found: { status: 404, type: 'invalid_request_error' },
  method_not_allowed: { status: 405, type: 'invalid_request_error' },
  body_too_large: { status: 413, type: 'invalid_request_error' },
  headers_too_large: { status: 431, type: 'invalid_request_error' },
  request_timeout: { status: 408, type: 'invalid_request_error' },
  rate_limited: { status: 429, type: 'rate_limit_error', shouldRetry: true },
  queue_full: { status: 429, type: 'rate_limit_error', shouldRetry: true },
  upstream_failed: { status: 502, type: 'server_error', shouldRetry: false },
  upstream_garbled: { status: 502, type: 'server_error', shouldRetry: false },
  model_warming: { status: 503, type: 'server_error', shouldRetry: true },
  draining: { status: 503, type: 'server_error', shouldRetry: true },
  model_failed: { status: 503, type: 'server_error', shouldRetry: false },
  deadline_exceeded: { status: 504, type: 'server_error', shouldRetry: false },
  client_gone: { status: 0, type: '' },
  slow_consumer: { status: 0, type: 'invalid_request_error' },
  internal_error: { status: 500, type: 'server_error', shouldRetry: false },
} as const satisfies Record<string, Outcome>;

export type OutcomeCode = keyof typeof outcomes;
export const outcomeCodes = Object.keys(outcomes) as readonly OutcomeCode[];

/** OpenAI's error body. All four keys are always there. */
export interface ErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string;
  };
}

export function renderErrorBody(code: OutcomeCode, message: string, param: string | null = null): ErrorBody {
  return { error: { message, type: outcomes[code].type, param, code } };
}

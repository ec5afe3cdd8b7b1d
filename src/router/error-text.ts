// An ending as its caller is told it: the error body on one line, the status, the headers that go with it. An engine's own
// words are kept when they are JSON; whatever else it wrote is replaced by ours.
import { outcomes, renderErrorBody } from '../api/outcomes.ts';
import type { Ending } from './ending.ts';

/** `{"error":{…}}` without a line end in it, also when an engine wrote it on several lines. */
export function renderErrorLine({ code, message, details }: Ending): string {
  const own = renderErrorBody(code, message, details.param ?? null);
  if (details.passed === undefined) return JSON.stringify(own);
  try {
    const passed: unknown = JSON.parse(Buffer.from(details.passed.body).toString('utf8'));
    return isErrorBody(passed) ? JSON.stringify({ error: passed.error }) : JSON.stringify(own);
  } catch {
    return JSON.stringify(own);
  }
}

export function endingStatus({ code, details }: Ending): number {
  return details.passed?.status ?? outcomes[code].status;
}

/** With what the official clients obey. */
export function renderEndingHeaders({ code, details }: Ending): Record<string, string> {
  const outcome = outcomes[code];
  const retry = 'shouldRetry' in outcome ? { 'x-should-retry': String(outcome.shouldRetry) } : {};
  return { ...retry, ...details.headers };
}

function isErrorBody(value: unknown): value is { readonly error: object } {
  return typeof value === 'object' && value !== null && 'error' in value && typeof value.error === 'object';
}

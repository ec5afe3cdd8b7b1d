// A request to somebody else's OpenAI-compatible API. Nothing of ours goes there but the body and the key; nothing of theirs
// comes back but an answer in our form. Redirects are not followed. Decides nothing about retries but whether one could help.
import { inferencePaths } from '../../api/data-path.ts';
import { renderErrorBody } from '../../api/outcomes.ts';
import type { RemoteTarget } from '../../core/route/table.ts';
import type { AttemptPlan, GivenAnswer } from '../stage/attempt-plan.ts';
import { ERROR_BYTES_MAX, readBounded } from '../stage/attempt-plan.ts';
import type { AttemptEnd } from '../stage/judge.ts';
import { AddressRefused } from './guarded-lookup.ts';
import { passRemoteJson, passRemoteStream } from './remote-answer.ts';
import { type EngineError, readError } from './usage.ts';

const OWN_PREFIX = '/v1';
/** Longer than this nobody is kept waiting for an upstream that takes no more requests. */
const LIMITED_MS_MAX = 20_000;
const LIMITED_MS_DEFAULT = 1000;
/** The caller's own mistakes: telling it again would not help. */
const declinedStatuses = new Set([400, 413, 422]);

/** Paths that the caller cannot choose are the only ones: those of the agents, below the base URL. */
export async function askRemote(plan: AttemptPlan, { baseUrl, model }: RemoteTarget): Promise<GivenAnswer> {
  const { pathname } = new URL(baseUrl);
  if (!inferencePaths.has(plan.path)) throw new Error('the path is not one that is passed on');
  return plan.pool.request({
    method: 'POST',
    path: pathname.replace(/\/$/, '') + plan.path.slice(OWN_PREFIX.length),
    headers: {
      ...(plan.grant.key === '' ? {} : { authorization: `Bearer ${plan.grant.key}` }),
      'content-type': 'application/json',
      accept: plan.relay === undefined ? 'application/json' : 'text/event-stream',
      'user-agent': 'stoker',
    },
    body: plan.bodyFor(model),
    signal: plan.call.signal,
  });
}

export async function readRemoteAnswer(
  plan: AttemptPlan,
  target: RemoteTarget,
  given: GivenAnswer,
): Promise<AttemptEnd> {
  const { statusCode, headers } = given;
  if (statusCode >= 300 && statusCode < 400) return final(target, 'answered with a redirect, which is not followed');
  if (statusCode !== 200) return readFailure(plan, target, given);
  const type = String(headers['content-type'] ?? '');
  if (plan.relay !== undefined && type.startsWith('text/event-stream')) {
    return passRemoteStream(plan, plan.relay, given);
  }
  if (plan.relay === undefined && type.startsWith('application/json')) return passRemoteJson(plan, given);
  return {
    kind: 'Failed',
    code: 'upstream_garbled',
    message: 'The upstream answered in a form that was not asked for.',
  };
}

async function readFailure(plan: AttemptPlan, target: RemoteTarget, given: GivenAnswer): Promise<AttemptEnd> {
  const { statusCode, headers } = given;
  const body = await readBounded(given, ERROR_BYTES_MAX);
  const error = body === undefined ? undefined : readError(body.toString('utf8'));
  if (declinedStatuses.has(statusCode)) return decline(statusCode, error);
  if (statusCode === 429 && error?.code !== 'insufficient_quota') return limited(plan, headers['retry-after']);
  const said = error === undefined ? '' : ` It said: ${error.message}`;
  const what = operatorsStatuses[statusCode]?.(target);
  if (what !== undefined) return final(target, what, isAboutKey(statusCode) ? '' : said);
  return { kind: 'Failed', code: 'upstream_failed', message: `The upstream failed with status ${statusCode}.${said}` };
}

/** What nobody but the operator can mend. */
const operatorsStatuses: Readonly<Record<number, (target: RemoteTarget) => string>> = {
  401: (target) => `refused ${describeKey(target)} with status 401`,
  402: () => 'asks for payment',
  403: (target) => `refused ${describeKey(target)} with status 403`,
  404: ({ model }) => `has no model ${model}, or no such path`,
  429: () => 'says that its quota is used up',
};

/** Upstreams write parts of a key into their errors about it. */
function isAboutKey(statusCode: number): boolean {
  return statusCode === 401 || statusCode === 403;
}

function decline(status: number, error: EngineError | undefined): AttemptEnd {
  const message = error?.message ?? `The upstream refused the request with status ${status}.`;
  const code = error?.code === 'context_length_exceeded' ? error.code : 'invalid_request';
  return { kind: 'Declined', status, body: Buffer.from(JSON.stringify(renderErrorBody(code, message))), code };
}

function describeKey({ keyOrigin }: RemoteTarget): string {
  const [secret, entry] = keyOrigin?.split('/') ?? [];
  if (secret === undefined) return 'a request without a key';
  return `the key of the Secret ${secret} (entry ${entry ?? ''})`;
}

function final({ baseUrl }: RemoteTarget, what: string, said = ''): AttemptEnd {
  const message = `${baseUrl}, which serves this model, ${what}.${said}`;
  return { kind: 'Failed', code: 'upstream_failed', message, isFinal: true };
}

/** Back into the queue while the wait is short; told to the caller when it is not. */
function limited({ remainingMs }: AttemptPlan, retryAfter: string | string[] | undefined): AttemptEnd {
  const seconds = typeof retryAfter === 'string' && /^[0-9]{1,6}$/.test(retryAfter) ? Number(retryAfter) : undefined;
  const waitMs = seconds === undefined ? LIMITED_MS_DEFAULT : Math.max(LIMITED_MS_DEFAULT, seconds * 1000);
  if (waitMs <= Math.min(LIMITED_MS_MAX, remainingMs())) return { kind: 'Limited', waitMs };
  const headers = { 'retry-after': String(Math.ceil(waitMs / 1000)) };
  const message = 'The upstream takes no more requests now.';
  return { kind: 'Failed', code: 'rate_limited', message, isFinal: true, headers };
}

/** An answer that did not come, in words. The key is in no error of a connection. */
export function describeRemoteError(error: unknown, { baseUrl }: RemoteTarget): AttemptEnd {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (cause instanceof AddressRefused) {
    return { kind: 'Failed', code: 'upstream_failed', message: cause.message, isFinal: true };
  }
  const code = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : '';
  return { kind: 'Failed', code: 'upstream_failed', message: `${baseUrl} did not answer${code}.` };
}

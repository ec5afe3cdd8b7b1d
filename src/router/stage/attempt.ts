// One attempt: the request to one agent or upstream, and its answer to the caller. Ends with what happened, and leaves what it
// means to the judge. Throws the call's own ending when the call ends meanwhile; the other side then sees its connection close.
import { REFUSAL_STATUS, type Refusal, refusals, SLOT_HEADERS } from '../../api/data-path.ts';
import { scanObject } from '../../core/route/json-scan.ts';
import { reasonOf } from '../call.ts';
import type { Relay } from '../stream/relay.ts';
import { createFrameReader, FrameError } from '../upstream/frames.ts';
import { askRemote, describeRemoteError, readRemoteAnswer } from '../upstream/remote.ts';
import { readError, readUsageMember } from '../upstream/usage.ts';
import {
  type AttemptPlan,
  declineLarge,
  ERROR_BYTES_MAX,
  endOfStream,
  type GivenAnswer,
  readBounded,
} from './attempt-plan.ts';
import { type AttemptEnd, failureCodeOf } from './judge.ts';

/** The caller's own mistakes: telling another engine would not help. */
const declinedStatuses = new Set([400, 413, 422]);

export async function attempt(plan: AttemptPlan): Promise<AttemptEnd> {
  const { call } = plan;
  const { remote } = plan.grant.endpoint;
  const lost = watchSlot(plan);
  let given: GivenAnswer | undefined;
  let isAnswered = false;
  try {
    given = remote === undefined ? await ask(plan, lost.signal) : await askRemote(plan, remote);
    const end = remote === undefined ? await readAnswer(plan, given) : await readRemoteAnswer(plan, remote, given);
    isAnswered = end.kind === 'Answered';
    return end;
  } catch (error) {
    if (call.signal.aborted) throw reasonOf(call);
    if (lost.signal.aborted) return lostSlot;
    if (error instanceof FrameError) return { kind: 'Failed', code: 'upstream_garbled', message: error.message };
    return remote === undefined ? failed(error) : describeRemoteError(error, remote);
  } finally {
    lost.end();
    if (given !== undefined) leave(given, isAnswered, plan);
  }
}

/** After a whole answer: time for the other side to end its own, so that the connection can be used again. */
const LINGER_MS_MAX = 1000;

/** Ends the other side when it is still sending. */
function leave({ body }: GivenAnswer, isAnswered: boolean, { clock }: AttemptPlan): void {
  body.on('error', () => {});
  if (!isAnswered) {
    body.destroy();
    return;
  }
  if (body.closed) return;
  const timer = clock.after(LINGER_MS_MAX, () => body.destroy(), { background: true });
  body.once('close', () => timer.cancel());
  body.resume();
}

const lostSlot: AttemptEnd = {
  kind: 'Failed',
  code: 'upstream_failed',
  message: 'The instance cannot be reached any more.',
};

/** Ends this attempt alone: the request goes to another instance. */
function watchSlot({ onSlotLost }: AttemptPlan): { readonly signal: AbortSignal; end(): void } {
  const controller = new AbortController();
  return { signal: controller.signal, end: onSlotLost(() => controller.abort()) };
}

async function ask(plan: AttemptPlan, lost: AbortSignal): Promise<GivenAnswer> {
  const { call, grant, pool, path, responseId, body, remainingMs } = plan;
  return pool.request({
    method: 'POST',
    path,
    headers: {
      authorization: `Bearer ${grant.key}`,
      'content-type': 'application/json',
      [SLOT_HEADERS.instance]: grant.endpoint.instance,
      [SLOT_HEADERS.responseId]: responseId,
      [SLOT_HEADERS.remainingMs]: String(remainingMs()),
    },
    body,
    signal: AbortSignal.any([call.signal, lost]),
  });
}

async function readAnswer(plan: AttemptPlan, given: GivenAnswer): Promise<AttemptEnd> {
  const type = String(given.headers['content-type'] ?? '');
  if (given.statusCode === REFUSAL_STATUS) {
    const refusal = readRefusal(given);
    await given.body.dump();
    if (refusal !== undefined) return { kind: 'Refused', refusal };
  }
  if (given.statusCode !== 200) return readFailure(given);
  if (plan.relay !== undefined && type.startsWith('text/event-stream')) return readStream(plan, plan.relay, given);
  if (plan.relay === undefined && type.startsWith('application/json')) return readJson(plan, given);
  return { kind: 'Failed', code: 'upstream_garbled', message: 'The engine answered in a form that was not asked for.' };
}

function readRefusal(given: GivenAnswer): Refusal | undefined {
  const name = given.headers[SLOT_HEADERS.refusal];
  return refusals.find((refusal) => refusal === name);
}

async function readFailure(given: GivenAnswer): Promise<AttemptEnd> {
  const body = await readBounded(given, ERROR_BYTES_MAX);
  const error = body === undefined ? undefined : readError(body.toString('utf8'));
  if (body !== undefined && error !== undefined && declinedStatuses.has(given.statusCode)) {
    return { kind: 'Declined', status: given.statusCode, body, code: error.code };
  }
  const message = error?.message ?? `The instance answered with status ${given.statusCode}.`;
  return { kind: 'Failed', code: failureCodeOf(error?.code ?? ''), message };
}

async function readStream(plan: AttemptPlan, relay: Relay, given: GivenAnswer): Promise<AttemptEnd> {
  const reader = createFrameReader();
  // After the last frame the caller waits for nothing more: the other side may end its own while the connection is left to it.
  const chunks: AsyncIterable<Buffer> = given.body.iterator({ destroyOnReturn: false });
  for await (const bytes of chunks) {
    plan.onHeard();
    relay.take(reader.push(bytes));
    if (plan.call.signal.aborted) throw reasonOf(plan.call);
    if (relay.state() !== 'open') break;
  }
  return endOfStream(relay);
}

async function readJson(plan: AttemptPlan, given: GivenAnswer): Promise<AttemptEnd> {
  const body = await readBounded(given, plan.answerBytesMax);
  if (body === undefined) return declineLarge(plan);
  const scan = scanObject(body);
  if (!scan.ok) {
    return { kind: 'Failed', code: 'upstream_garbled', message: 'The engine sent something that is not an answer.' };
  }
  plan.call.record.usage = readUsageMember(body, scan.value);
  plan.sendJson(body);
  return { kind: 'Answered' };
}

/** Errors of a connection that never was: no byte of the request has left. */
const unreachedCodes = new Set(['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT']);

function failed(error: unknown): AttemptEnd {
  const code = error instanceof Error && 'code' in error ? String(error.code) : undefined;
  if (code !== undefined && unreachedCodes.has(code)) return { kind: 'Unreached' };
  const detail = code === undefined ? '' : ` (${code})`;
  return { kind: 'Failed', code: 'upstream_failed', message: `The instance did not answer${detail}.` };
}

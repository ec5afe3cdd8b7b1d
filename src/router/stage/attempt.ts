// One attempt: the request to one agent and its answer to the caller. Ends with what happened, and leaves what it means to
// the judge. Throws the call's own ending when the call ends meanwhile; the agent then sees its connection close.
import type { Dispatcher, Pool } from 'undici';
import { REFUSAL_STATUS, type Refusal, refusals, SLOT_HEADERS } from '../../api/data-path.ts';
import { scanObject } from '../../core/route/json-scan.ts';
import { type Call, reasonOf } from '../call.ts';
import type { Grant } from '../queue/model-queue.ts';
import type { Relay } from '../stream/relay.ts';
import { createFrameReader, FrameError } from '../upstream/frames.ts';
import { readError, readUsageMember } from '../upstream/usage.ts';
import { type AttemptEnd, failureCodeOf } from './judge.ts';

export interface AttemptPlan {
  readonly call: Call;
  readonly grant: Grant;
  readonly pool: Pool;
  readonly responseId: string;
  readonly body: Uint8Array;
  readonly answerBytesMax: number;
  remainingMs(): number;
  /** A piece of the answer came. */
  onHeard(): void;
  /** For a stream: where its frames go. */
  readonly relay: Relay | undefined;
  /** For a JSON answer: called with the whole of it. */
  sendJson(body: Uint8Array): void;
}

type AgentAnswer = Dispatcher.ResponseData;

const PATH = '/v1/chat/completions';
/** The caller's own mistakes: telling another engine would not help. */
const declinedStatuses = new Set([400, 413, 422]);
const ERROR_BYTES_MAX = 64 * 1024;

export async function attempt(plan: AttemptPlan): Promise<AttemptEnd> {
  const { call } = plan;
  let given: AgentAnswer | undefined;
  try {
    given = await ask(plan);
    return await readAnswer(plan, given);
  } catch (error) {
    if (call.signal.aborted) throw reasonOf(call);
    if (error instanceof FrameError) return { kind: 'Failed', code: 'upstream_garbled', message: error.message };
    return failed(error);
  } finally {
    // Ends the agent's side when it is still sending; after a whole answer it does nothing.
    given?.body.on('error', () => {}).destroy();
  }
}

async function ask({ call, grant, pool, responseId, body, remainingMs }: AttemptPlan): Promise<AgentAnswer> {
  return pool.request({
    method: 'POST',
    path: PATH,
    headers: {
      authorization: `Bearer ${grant.key}`,
      'content-type': 'application/json',
      [SLOT_HEADERS.instance]: grant.endpoint.instance,
      [SLOT_HEADERS.responseId]: responseId,
      [SLOT_HEADERS.remainingMs]: String(remainingMs()),
    },
    body,
    signal: call.signal,
  });
}

async function readAnswer(plan: AttemptPlan, given: AgentAnswer): Promise<AttemptEnd> {
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

function readRefusal(given: AgentAnswer): Refusal | undefined {
  const name = given.headers[SLOT_HEADERS.refusal];
  return refusals.find((refusal) => refusal === name);
}

async function readFailure(given: AgentAnswer): Promise<AttemptEnd> {
  const body = await readBounded(given, ERROR_BYTES_MAX);
  const error = body === undefined ? undefined : readError(body.toString('utf8'));
  if (body !== undefined && error !== undefined && declinedStatuses.has(given.statusCode)) {
    return { kind: 'Declined', status: given.statusCode, body, code: error.code };
  }
  const message = error?.message ?? `The instance answered with status ${given.statusCode}.`;
  return { kind: 'Failed', code: failureCodeOf(error?.code ?? ''), message };
}

async function readStream(plan: AttemptPlan, relay: Relay, given: AgentAnswer): Promise<AttemptEnd> {
  const reader = createFrameReader();
  for await (const bytes of given.body as AsyncIterable<Buffer>) {
    plan.onHeard();
    relay.take(reader.push(bytes));
    if (plan.call.signal.aborted) throw reasonOf(plan.call);
    if (relay.state() === 'failed') break;
  }
  if (relay.state() === 'whole') return { kind: 'Answered' };
  const error = relay.error();
  if (error !== undefined) return { kind: 'Failed', code: failureCodeOf(error.code), message: error.message };
  return { kind: 'Failed', code: 'upstream_failed', message: 'The instance broke off the answer.' };
}

async function readJson(plan: AttemptPlan, given: AgentAnswer): Promise<AttemptEnd> {
  const body = await readBounded(given, plan.answerBytesMax);
  const scan = body === undefined ? undefined : scanObject(body);
  if (body === undefined || scan === undefined || !scan.ok) {
    return { kind: 'Failed', code: 'upstream_garbled', message: 'The engine sent something that is not an answer.' };
  }
  plan.call.record.usage = readUsageMember(body, scan.value);
  plan.sendJson(body);
  return { kind: 'Answered' };
}

/** Undefined when there is more. */
async function readBounded(given: AgentAnswer, bytesMax: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of given.body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bytesMax) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function failed(error: unknown): AttemptEnd {
  const code = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : '';
  return { kind: 'Failed', code: 'upstream_failed', message: `The instance did not answer${code}.` };
}

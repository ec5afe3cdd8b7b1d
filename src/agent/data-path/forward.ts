// Sends one admitted request to its engine and its answer back. Whatever ends it (answer, deadline, cut, a router that is gone,
// an engine that dies), the engine's request is aborted and the outcome is told truthfully: a status before the head, an error
// frame after it.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import type { Dispatcher, Pool } from 'undici';
import { ANSWER_BYTES_MAX, EMBEDDINGS_BYTES_MAX, EMBEDDINGS_PATH } from '../../api/data-path.ts';
import { describeLargeAnswer } from '../../core/route/large-answer.ts';
import { type AnswerNames, createFrameStream, engineError, nameChunk } from '../../core/stream/canonical-frames.ts';
import { translateRefusal } from '../../core/stream/engine-refusal.ts';
import { type Clock, deadlineSignal, type Timer } from '../../lib/clock.ts';
import { parseJsonObject } from '../../lib/json-text.ts';
import { RequestCut } from '../in-flight.ts';
import type { Flight } from '../slot.ts';
import { BODY_BYTES_MAX, ERROR_BYTES_MAX, LINGER_MS_MAX } from './bounds.ts';
import { nameEmbeddings } from './embeddings-answer.ts';
import { createMemberScan } from './member-scan.ts';
import { openStream, sendError, sendJson, sendParts, sendPiece, sendRefusal } from './outgoing.ts';
import { checkFields, FieldRefused, sendFieldRefused } from './refused-fields.ts';
import { type RequestHead, tooLarge } from './request-head.ts';

export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly head: RequestHead;
  readonly flight: Flight;
  readonly pool: Pool;
  readonly clock: Clock;
}

type EngineAnswer = Dispatcher.ResponseData;

/** Resolves when the request has ended. Never rejects. Does not release the flight's ticket. */
export async function forward(exchange: Exchange): Promise<void> {
  const { response, flight, head, clock } = exchange;
  const late = new RequestCut('deadline_exceeded', `The request's ${head.remainingMs} ms are over.`);
  const deadline = deadlineSignal(clock, head.remainingMs, { reason: late, parent: flight.ticket.cut });
  const gone = new AbortController();
  const onClose = () => gone.abort(new RequestCut('client_gone', 'The router closed the connection.'));
  response.once('close', onClose);
  const signal = AbortSignal.any([deadline.signal, gone.signal]);
  try {
    await answer(exchange, signal);
  } catch (error) {
    endWithError(response, signal.aborted ? signal.reason : error);
  } finally {
    response.off('close', onClose);
    deadline.cancel();
    // Ends the engine's request when it still runs: nothing after this point reads it.
    gone.abort(new RequestCut('client_gone', 'The request has ended.'));
  }
}

async function answer(exchange: Exchange, signal: AbortSignal): Promise<void> {
  const { response, flight, head } = exchange;
  const names: AnswerNames = {
    id: head.responseId,
    model: flight.launch.servedName,
    systemFingerprint: flight.launch.revision,
  };
  const given = await askEngine(exchange, signal);
  if (given.statusCode !== 200) return passError(given, response);
  const type = String(given.headers['content-type'] ?? '');
  if (head.path === EMBEDDINGS_PATH && type.startsWith('application/json')) {
    return passEmbeddings(given, exchange, names);
  }
  if (type.startsWith('text/event-stream') && head.path !== EMBEDDINGS_PATH)
    return passStream(given, exchange, { names, signal });
  if (type.startsWith('application/json')) return passJson(given, exchange, names);
  throw new RequestCut('upstream_garbled', 'The engine answered in a form that is neither JSON nor a stream.');
}

async function askEngine({ request, head, flight, pool }: Exchange, signal: AbortSignal): Promise<EngineAnswer> {
  const length = head.bodyBytes === undefined ? {} : { 'content-length': String(head.bodyBytes) };
  return pool.request({
    method: 'POST',
    path: head.path,
    headers: { ...flight.process.headers, ...length, 'content-type': 'application/json' },
    body: Readable.from(checkFields(boundedBody(request), flight.process.refusedFields), { objectMode: false }),
    signal,
  });
}

async function* boundedBody(request: IncomingMessage): AsyncGenerator<Buffer> {
  let bytes = 0;
  // An engine may answer before it has read everything: that must not end the connection that the answer goes out on.
  const chunks: AsyncIterable<Buffer> = request.iterator({ destroyOnReturn: false });
  for await (const chunk of chunks) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) throw new RequestCut('body_too_large', tooLarge);
    yield chunk;
  }
}

async function passStream(
  given: EngineAnswer,
  { response, clock }: Exchange,
  { names, signal }: { names: AnswerNames; signal: AbortSignal },
): Promise<void> {
  const frames = createFrameStream(names);
  let linger: Timer | undefined;
  openStream(response);
  try {
    for await (const bytes of given.body as AsyncIterable<Buffer>) {
      await sendPiece(response, frames.push(bytes), signal);
      if (signal.aborted || frames.state() === 'failed') break;
      // Read to its end, the engine's connection serves the next request as well.
      if (frames.state() === 'whole') linger ??= clock.after(LINGER_MS_MAX, () => given.body.destroy());
    }
    if (signal.aborted) throw signal.reason;
    response.end(frames.end());
  } catch (error) {
    const cut = describeCut(signal.aborted ? signal.reason : error);
    response.end(frames.fail(cut.code, cut.message));
  } finally {
    linger?.cancel();
  }
}

async function passJson(given: EngineAnswer, { response, head }: Exchange, names: AnswerNames): Promise<void> {
  const bytes = await readBounded(given.body, ANSWER_BYTES_MAX);
  if (bytes === undefined) return sendLargeAnswer(response, head.path, ANSWER_BYTES_MAX);
  const whole = parseJsonObject(bytes.toString('utf8'));
  const said = whole === undefined ? undefined : engineError(whole);
  if (said !== undefined) throw new RequestCut('upstream_failed', `The engine failed: ${said}`);
  if (whole === undefined || !Array.isArray(whole.choices)) {
    throw new RequestCut('upstream_garbled', 'The engine sent something that is not an answer.');
  }
  sendJson(response, 200, JSON.stringify(nameChunk(whole, names)));
}

async function passEmbeddings(given: EngineAnswer, { response, head }: Exchange, names: AnswerNames): Promise<void> {
  const scan = createMemberScan();
  const bytes = await readBounded(given.body, EMBEDDINGS_BYTES_MAX, (chunk) => scan.push(chunk));
  if (bytes === undefined) return sendLargeAnswer(response, head.path, EMBEDDINGS_BYTES_MAX);
  const parts = nameEmbeddings(bytes, scan, names);
  if (parts !== undefined) return sendParts(response, 200, parts);
  const whole = bytes.length > ERROR_BYTES_MAX ? undefined : parseJsonObject(bytes.toString('utf8'));
  const said = whole === undefined ? undefined : engineError(whole);
  if (said !== undefined) throw new RequestCut('upstream_failed', `The engine failed: ${said}`);
  throw new RequestCut('upstream_garbled', 'The engine sent something that is no list of vectors.');
}

/** As our own engines say it of an answer that grows too large while they write it. */
function sendLargeAnswer(response: ServerResponse, path: string, bytesMax: number): void {
  const { status, body } = describeLargeAnswer(path, bytesMax);
  sendJson(response, status, JSON.stringify(body));
}

/** Whatever status an engine that is not ours chose for it. */
const REFUSED_STATUS = 400;
/** Statuses that mean something to the caller or to the router; any other one says that agent and engine disagree. */
const passedStatuses = new Set([400, 408, 413, 422, 429, 500, 502, 503, 504]);

async function passError(given: EngineAnswer, response: ServerResponse): Promise<void> {
  const bytes = await readBounded(given.body, ERROR_BYTES_MAX);
  const whole = bytes === undefined ? undefined : parseJsonObject(bytes.toString('utf8'));
  if (bytes !== undefined && whole !== undefined && hasErrorShape(whole) && passedStatuses.has(given.statusCode)) {
    sendJson(response, given.statusCode, bytes);
    return;
  }
  const refusal = whole === undefined ? undefined : translateRefusal(given.statusCode, whole);
  if (refusal !== undefined) {
    sendJson(response, REFUSED_STATUS, JSON.stringify(refusal));
    return;
  }
  const said = whole === undefined ? undefined : engineError(whole);
  throw new RequestCut(
    'upstream_failed',
    `The engine answered with status ${given.statusCode}${said ? `: ${said}` : '.'}`,
  );
}

/** The shape and the codes of our own engines. Others number their errors. */
function hasErrorShape(whole: Readonly<Record<string, unknown>>): boolean {
  const { error } = whole;
  return (
    typeof error === 'object' &&
    error !== null &&
    'message' in error &&
    'code' in error &&
    typeof error.code === 'string'
  );
}

/** Undefined when there is more. `onChunk` sees each piece as it comes. */
async function readBounded(
  body: EngineAnswer['body'],
  bytesMax: number,
  onChunk: (chunk: Buffer) => void = () => {},
): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bytesMax) return undefined;
    onChunk(chunk);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Before the head: a status. An engine that could not even be reached did nothing, so that is a refusal. */
function endWithError(response: ServerResponse, error: unknown): void {
  if (isUnreached(error)) {
    sendRefusal(response, 'NotAwake');
    return;
  }
  if (error instanceof FieldRefused) {
    sendFieldRefused(response, error);
    return;
  }
  const { code, message } = describeCut(error);
  sendError(response, code, message);
}

function isUnreached(error: unknown): boolean {
  if (!(error instanceof Error) || !('code' in error)) return false;
  return error.code === 'ECONNREFUSED' || error.code === 'UND_ERR_CONNECT_TIMEOUT';
}

function describeCut(error: unknown): RequestCut {
  if (error instanceof RequestCut) return error;
  const code = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : '';
  return new RequestCut('upstream_failed', `The engine broke off the answer${code}.`);
}

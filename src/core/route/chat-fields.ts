// The fields of a chat request that the router acts on, over HTTP and on a WebSocket, where answers always come in pieces.
// Checks their types and nothing else: what a message may hold is the engine's business.
import { fail, ok } from '../../lib/result.ts';
import type { ObjectScan } from './json-scan.ts';
import {
  CHOICES_MAX,
  type FieldFault,
  isRecord,
  type Read,
  type ReadValue,
  type RequestFields,
  readBoolean,
  readCount,
  readModel,
  readStreamOptions,
  segmentsOf,
  valuesOf,
  wrong,
} from './request-fields.ts';
import { estimateTokens } from './segment.ts';

/** Reads one body that `scanObject` accepted. */
export function readChatFields(bytes: Uint8Array, scan: ObjectScan): Read<RequestFields> {
  return readFields(bytes, scan, (stream) => readBoolean('stream', stream));
}

/** The same for a body that came over a WebSocket: `stream` need not be there, and cannot be false. */
export function readSocketChatFields(bytes: Uint8Array, scan: ObjectScan): Read<RequestFields> {
  return readFields(bytes, scan, (stream) =>
    stream === undefined || stream === null || stream === true
      ? ok(true)
      : wrong('stream', 'On a WebSocket every answer comes in pieces: leave stream out.'),
  );
}

function readFields(
  bytes: Uint8Array,
  scan: ObjectScan,
  readStream: (value: unknown) => Read<boolean>,
): Read<RequestFields> {
  const value = valuesOf(bytes, scan);
  const model = readModel(value('model'));
  if (!model.ok) return model;
  const stream = readStream(value('stream'));
  if (!stream.ok) return stream;
  const includeUsage = readStreamOptions(value('stream_options'), stream.value);
  if (!includeUsage.ok) return includeUsage;
  const answerTokensMax = readAnswerTokensMax(value);
  if (!answerTokensMax.ok) return answerTokensMax;
  const answers = readCount('n', value('n'), { max: CHOICES_MAX, fallback: 1 });
  if (!answers.ok) return answers;
  const fault = checkMessages(value('messages'));
  if (fault !== undefined) return fail(fault);
  const segments = segmentsOf(scan, 'messages');
  return ok({
    model: model.value,
    stream: stream.value,
    includeUsage: includeUsage.value,
    answerTokensMax: answerTokensMax.value,
    answers: answers.value,
    promptTokens: estimateTokens(segments),
    segments,
  });
}

/** Both names are checked; the newer one goes first. */
function readAnswerTokensMax(value: ReadValue): Read<number | undefined> {
  let found: number | undefined;
  for (const param of ['max_tokens', 'max_completion_tokens']) {
    const tokens = readCount(param, value(param), { max: Number.MAX_SAFE_INTEGER, fallback: undefined });
    if (!tokens.ok) return tokens;
    found = tokens.value ?? found;
  }
  return ok(found);
}

function checkMessages(value: unknown): FieldFault | undefined {
  if (value === undefined) return { param: 'messages', message: 'messages is missing: give at least one message.' };
  if (!Array.isArray(value)) return { param: 'messages', message: 'messages must be a list.' };
  if (value.length === 0) return { param: 'messages', message: 'messages is empty: give at least one message.' };
  for (const [index, message] of value.entries()) {
    const fault = checkMessage(`messages[${index}]`, message);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function checkMessage(param: string, message: unknown): FieldFault | undefined {
  if (!isRecord(message)) return { param, message: `${param} must be an object.` };
  const { role, content } = message;
  if (typeof role !== 'string' || role === '') {
    return { param: `${param}.role`, message: `${param}.role must be a text, for example "user".` };
  }
  if (content === undefined || content === null || typeof content === 'string') return undefined;
  if (Array.isArray(content) && content.every(isRecord)) return undefined;
  return { param: `${param}.content`, message: `${param}.content must be a text, a list of parts, or null.` };
}

// Reads the few fields of a chat request that the router acts on, and checks their types. Everything else belongs to
// the engine and passes through untouched. Faults name the field, as OpenAI's errors do.
import { fail, ok, type Result } from '../../lib/result.ts';
import { decodeText, type ObjectScan } from './json-scan.ts';
import type { Segment } from './segment.ts';

export interface ChatFields {
  readonly model: string;
  readonly stream: boolean;
  /** Whether the caller wants the usage chunk at the end of a stream. */
  readonly includeUsage: boolean;
  /** The caller's bound on the answer, from max_completion_tokens or max_tokens. */
  readonly answerTokensMax: number | undefined;
  readonly segments: readonly Segment[];
}

export interface FieldFault {
  readonly param: string | null;
  readonly message: string;
}

const MODEL_CHARS_MAX = 128;

type Read<T> = Result<T, FieldFault>;

/** Reads one body that `scanObject` accepted. */
export function readChatFields(bytes: Uint8Array, scan: ObjectScan): Read<ChatFields> {
  const value = (key: string): unknown => {
    const member = scan.members.get(key);
    return member === undefined ? undefined : JSON.parse(decodeText(bytes, member.valueStart, member.valueEnd));
  };
  const model = readModel(value('model'));
  if (!model.ok) return model;
  const stream = readBoolean('stream', value('stream'));
  if (!stream.ok) return stream;
  const includeUsage = readStreamOptions(value('stream_options'), stream.value);
  if (!includeUsage.ok) return includeUsage;
  const answerTokensMax = readAnswerTokensMax(value);
  if (!answerTokensMax.ok) return answerTokensMax;
  const fault = checkMessages(value('messages'));
  if (fault !== undefined) return fail(fault);
  const messages = scan.members.get('messages');
  const segments: Segment[] =
    messages === undefined ? [] : [{ provenance: 'Caller', start: messages.valueStart, end: messages.valueEnd }];
  return ok({
    model: model.value,
    stream: stream.value,
    includeUsage: includeUsage.value,
    answerTokensMax: answerTokensMax.value,
    segments,
  });
}

function readModel(value: unknown): Read<string> {
  if (value === undefined || value === null || value === '') return wrong('model', 'model is missing: name one model.');
  if (typeof value !== 'string') return wrong('model', 'model must be a text.');
  if (value.length > MODEL_CHARS_MAX) return wrong('model', `model is longer than ${MODEL_CHARS_MAX} characters.`);
  return ok(value);
}

function readBoolean(param: string, value: unknown): Read<boolean> {
  if (value === undefined || value === null) return ok(false);
  return typeof value === 'boolean' ? ok(value) : wrong(param, `${param} must be true or false.`);
}

function readStreamOptions(value: unknown, stream: boolean): Read<boolean> {
  if (value === undefined || value === null) return ok(false);
  if (!isRecord(value)) return wrong('stream_options', 'stream_options must be an object.');
  if (!stream) return wrong('stream_options', 'stream_options is only allowed together with stream: true.');
  return readBoolean('stream_options.include_usage', value.include_usage);
}

function readAnswerTokensMax(value: (key: string) => unknown): Read<number | undefined> {
  let found: number | undefined;
  for (const param of ['max_tokens', 'max_completion_tokens']) {
    const tokens = value(param);
    if (tokens === undefined || tokens === null) continue;
    if (typeof tokens !== 'number' || !Number.isSafeInteger(tokens) || tokens < 1) {
      return wrong(param, `${param} must be a whole number of at least 1.`);
    }
    found = tokens;
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

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function wrong(param: string, message: string): Result<never, FieldFault> {
  return fail({ param, message });
}

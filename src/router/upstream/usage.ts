// Token counts out of an answer's `usage`, and the error out of an engine's error body. What is not there or not a number
// counts as nothing; neither can make an answer fail.
import { decodeText, type ObjectScan } from '../../core/route/json-scan.ts';
import type { Usage } from '../answer-sink.ts';

type JsonObject = Readonly<Record<string, unknown>>;

/** Of a usage frame or any object that has `usage`. */
export function readUsage(text: string): Usage | undefined {
  return usageOf(parseObject(text)?.usage);
}

/** Of a whole answer that was scanned: only the usage is parsed. */
export function readUsageMember(bytes: Uint8Array, scan: ObjectScan): Usage | undefined {
  const member = scan.members.get('usage');
  if (member === undefined) return undefined;
  return usageOf(parseObject(decodeText(bytes, member.valueStart, member.valueEnd)));
}

function usageOf(usage: unknown): Usage | undefined {
  if (!isObject(usage)) return undefined;
  const details = isObject(usage.prompt_tokens_details) ? usage.prompt_tokens_details : {};
  return {
    promptTokens: count(usage.prompt_tokens),
    completionTokens: count(usage.completion_tokens),
    cachedTokens: count(details.cached_tokens),
  };
}

function count(value: unknown): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : 0;
}

export interface EngineError {
  readonly code: string;
  readonly message: string;
}

/** The error of `{"error": {…}}`; undefined when it is none. */
export function readError(text: string): EngineError | undefined {
  const error = parseObject(text)?.error;
  if (!isObject(error)) return undefined;
  const { code, message } = error;
  return {
    code: typeof code === 'string' ? code : '',
    message: typeof message === 'string' ? message.slice(0, 500) : 'It gave no reason.',
  };
}

function parseObject(text: string): JsonObject | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    return isObject(parsed) ? parsed : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

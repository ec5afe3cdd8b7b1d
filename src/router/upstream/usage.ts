// Token counts out of an answer's `usage`, and the error out of an engine's error body. What is not there or not a number
// counts as nothing; neither can make an answer fail.
import { decodeText, type ObjectScan } from '../../core/route/json-scan.ts';
import { isJsonObject, parseJsonObject } from '../../lib/json-text.ts';
import type { Usage } from '../answer-sink.ts';

/** Of a usage frame or any object that has `usage`. */
export function readUsage(text: string): Usage | undefined {
  return usageOf(parseJsonObject(text)?.usage);
}

/** Of a whole answer that was scanned: only the usage is parsed. */
export function readUsageMember(bytes: Uint8Array, scan: ObjectScan): Usage | undefined {
  const member = scan.members.get('usage');
  if (member === undefined) return undefined;
  return usageOf(parseJsonObject(decodeText(bytes, member.valueStart, member.valueEnd)));
}

function usageOf(usage: unknown): Usage | undefined {
  if (!isJsonObject(usage)) return undefined;
  const details = isJsonObject(usage.prompt_tokens_details) ? usage.prompt_tokens_details : {};
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
  const error = parseJsonObject(text)?.error;
  if (!isJsonObject(error)) return undefined;
  const { code, message } = error;
  return {
    code: typeof code === 'string' ? code : '',
    message: typeof message === 'string' ? message.slice(0, 500) : 'It gave no reason.',
  };
}

// What the router reads of a request body, whatever its route, and the readers that the routes have in common. Everything
// else belongs to the engine and passes through untouched. Faults name the field, as OpenAI's errors do.
import { fail, ok, type Result } from '../../lib/result.ts';
import { decodeText, type ObjectScan } from './json-scan.ts';
import type { Segment } from './segment.ts';

/** Plain data: it crosses to and from a worker. */
export interface RequestFields {
  readonly model: string;
  readonly stream: boolean;
  /** Whether the caller wants the usage chunk at the end of a stream. */
  readonly includeUsage: boolean;
  /** The caller's bound on each answer. */
  readonly answerTokensMax: number | undefined;
  /** How many answers the engine generates: `n` for each prompt, none for embeddings. */
  readonly answers: number;
  /** Estimated. */
  readonly promptTokens: number;
  readonly segments: readonly Segment[];
}

export interface FieldFault {
  readonly param: string | null;
  readonly message: string;
}

export type Read<T> = Result<T, FieldFault>;
/** The value of one top-level field; undefined when it is not there. */
export type ReadValue = (key: string) => unknown;

const MODEL_CHARS_MAX = 128;
/** OpenAI's own bound on `n`. An engine may have a lower one. */
export const CHOICES_MAX = 128;

/** Parses only the fields that are asked for. */
export function valuesOf(bytes: Uint8Array, scan: ObjectScan): ReadValue {
  return (key) => {
    const member = scan.members.get(key);
    if (member === undefined) return undefined;
    const value: unknown = JSON.parse(decodeText(bytes, member.valueStart, member.valueEnd));
    return value;
  };
}

/** Where a field's text is in the caller's bytes; nothing when the field is not there. */
export function segmentsOf(scan: ObjectScan, key: string): Segment[] {
  const member = scan.members.get(key);
  return member === undefined ? [] : [{ provenance: 'Caller', start: member.valueStart, end: member.valueEnd }];
}

export function readModel(value: unknown): Read<string> {
  if (value === undefined || value === null || value === '') return wrong('model', 'model is missing: name one model.');
  if (typeof value !== 'string') return wrong('model', 'model must be a text.');
  if (value.length > MODEL_CHARS_MAX) return wrong('model', `model is longer than ${MODEL_CHARS_MAX} characters.`);
  return ok(value);
}

export function readBoolean(param: string, value: unknown): Read<boolean> {
  if (value === undefined || value === null) return ok(false);
  return typeof value === 'boolean' ? ok(value) : wrong(param, `${param} must be true or false.`);
}

/** Whether usage is asked for. */
export function readStreamOptions(value: unknown, stream: boolean): Read<boolean> {
  if (value === undefined || value === null) return ok(false);
  if (!isRecord(value)) return wrong('stream_options', 'stream_options must be an object.');
  if (!stream) return wrong('stream_options', 'stream_options is only allowed together with stream: true.');
  return readBoolean('stream_options.include_usage', value.include_usage);
}

/** `fallback` when the field is not there or null. */
export function readCount<T>(param: string, value: unknown, bounds: { max: number; fallback: T }): Read<number | T> {
  if (value === undefined || value === null) return ok(bounds.fallback);
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 1 && value <= bounds.max) return ok(value);
  const range = bounds.max === Number.MAX_SAFE_INTEGER ? 'of at least 1' : `from 1 to ${bounds.max}`;
  return wrong(param, `${param} must be a whole number ${range}.`);
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function wrong(param: string, message: string): Result<never, FieldFault> {
  return fail({ param, message });
}

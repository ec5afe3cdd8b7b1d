// Edits to a request body as a patch list over the caller's bytes: what is not edited is forwarded unchanged.
// Never parses or re-renders the body.
import { type ObjectScan, scanObject } from './json-scan.ts';

/** Replaces the bytes from `start` to `end` (exclusive). Equal offsets insert. */
export interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** Bytes from `start` to `end` (exclusive). */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** The value of a top-level field; the place before the closing brace when it is not there. */
export function spanOf(scan: ObjectScan, field: string): Span {
  const member = scan.members.get(field);
  return member === undefined
    ? { start: scan.end - 1, end: scan.end - 1 }
    : { start: member.valueStart, end: member.valueEnd };
}

/** The edits with one more that names another model. */
export function withModel(edits: readonly Edit[], at: Span, model: string): readonly Edit[] {
  return [...edits, { ...at, text: JSON.stringify(model) }].sort((a, b) => a.start - b.start);
}

const encoder = new TextEncoder();

/** Applies edits, which must be in order and must not overlap. Without edits the same bytes come back. */
export function applyEdits(bytes: Uint8Array, edits: readonly Edit[]): Uint8Array {
  if (edits.length === 0) return bytes;
  const pieces: Uint8Array[] = [];
  let from = 0;
  for (const edit of edits) {
    pieces.push(bytes.subarray(from, edit.start), encoder.encode(edit.text));
    from = edit.end;
  }
  pieces.push(bytes.subarray(from));
  return concat(pieces);
}

/** What makes the upstream report usage in a stream, whatever the caller asked (we need it to count). */
export function planUsageEdits(bytes: Uint8Array, scan: ObjectScan): readonly Edit[] {
  const options = scan.members.get('stream_options');
  if (options === undefined) {
    const separator = scan.members.size === 0 ? '' : ',';
    const before = scan.end - 1;
    return [{ start: before, end: before, text: `${separator}"stream_options":{"include_usage":true}` }];
  }
  const { valueStart, valueEnd } = options;
  const inner = scanObject(bytes.subarray(valueStart, valueEnd));
  if (!inner.ok) return [{ start: valueStart, end: valueEnd, text: '{"include_usage":true}' }];
  const usage = inner.value.members.get('include_usage');
  if (usage !== undefined) {
    return [{ start: valueStart + usage.valueStart, end: valueStart + usage.valueEnd, text: 'true' }];
  }
  const separator = inner.value.members.size === 0 ? '' : ',';
  const after = valueStart + inner.value.start + 1;
  return [{ start: after, end: after, text: `"include_usage":true${separator}` }];
}

/** What makes the upstream stream, for a caller that need not say so. A value that is there must be true or null. */
export function planStreamEdits(scan: ObjectScan): readonly Edit[] {
  const stream = scan.members.get('stream');
  if (stream?.kind === 'boolean') return [];
  if (stream !== undefined) return [{ start: stream.valueStart, end: stream.valueEnd, text: 'true' }];
  const before = scan.end - 1;
  return [{ start: before, end: before, text: `${scan.members.size === 0 ? '' : ','}"stream":true` }];
}

function concat(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

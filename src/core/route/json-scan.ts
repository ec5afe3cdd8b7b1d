// One linear pass over the bytes of a JSON object: is it JSON, how deep, which top-level fields, and where is each value.
// Refuses repeated top-level keys, deep nesting and too many fields. Never builds values and never changes a byte, so
// that edits are a patch list over what the caller sent and unknown fields pass through untouched.
import { fail, ok, type Result } from '../../lib/result.ts';

export type JsonKind = 'object' | 'array' | 'string' | 'number' | 'boolean' | 'null';

/** One top-level field. Offsets are into the scanned bytes; ends are exclusive. */
export interface Member {
  readonly key: string;
  readonly kind: JsonKind;
  readonly valueStart: number;
  readonly valueEnd: number;
}

export interface ObjectScan {
  /** In the order of the text; keys are unique. */
  readonly members: ReadonlyMap<string, Member>;
  /** Offset of `{`. */
  readonly start: number;
  /** Offset just after `}`. */
  readonly end: number;
}

export interface ScanFault {
  readonly offset: number;
  readonly sentence: string;
}

export interface ScanBounds {
  /** Objects and arrays inside each other, the outermost being 1. */
  readonly depthMax: number;
  readonly membersMax: number;
}

export const scanBounds: ScanBounds = { depthMax: 64, membersMax: 512 };

interface Cursor {
  readonly bytes: Uint8Array;
  readonly bounds: ScanBounds;
  at: number;
}

/** Carries a fault out of the descent; never leaves this module. */
class Stop extends Error {
  readonly fault: ScanFault;
  constructor(fault: ScanFault) {
    super(fault.sentence);
    this.fault = fault;
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const COLON = 0x3a;
const COMMA = 0x2c;
const MINUS = 0x2d;
const END = -1;

/** Scans one JSON object and nothing after it. The bytes must be UTF-8; the caller checks that. */
export function scanObject(bytes: Uint8Array, bounds: ScanBounds = scanBounds): Result<ObjectScan, ScanFault> {
  const cursor: Cursor = { bytes, bounds, at: 0 };
  try {
    skipSpace(cursor);
    const start = cursor.at;
    if (peek(cursor) !== OPEN_OBJECT) stop(cursor, 'a JSON object was expected');
    const members = readMembers(cursor);
    const end = cursor.at;
    skipSpace(cursor);
    if (peek(cursor) !== END) stop(cursor, 'there is more text after the JSON object');
    return ok({ members, start, end });
  } catch (error) {
    if (error instanceof Stop) return fail(error.fault);
    throw error;
  }
}

function readMembers(cursor: Cursor): Map<string, Member> {
  const members = new Map<string, Member>();
  eachMember(cursor, 1, (keyStart, keyEnd) => {
    const key = decodeKey(cursor, keyStart, keyEnd);
    if (members.has(key)) stop(cursor, `the field ${JSON.stringify(key.slice(0, 64))} is there twice`, keyStart);
    if (members.size >= cursor.bounds.membersMax) {
      stop(cursor, `there are more than ${cursor.bounds.membersMax} top-level fields`, keyStart);
    }
    const valueStart = cursor.at;
    const kind = skipValue(cursor, 1);
    members.set(key, { key, kind, valueStart, valueEnd: cursor.at });
  });
  return members;
}

/** Walks an object that starts at the cursor. `onMember` is called with the cursor on the value and must skip it. */
function eachMember(cursor: Cursor, depth: number, onMember: (keyStart: number, keyEnd: number) => void): void {
  enter(cursor, depth);
  if (peek(cursor) === CLOSE_OBJECT) {
    cursor.at += 1;
    return;
  }
  for (;;) {
    if (peek(cursor) !== QUOTE) stop(cursor, 'a field name in double quotes was expected');
    const keyStart = cursor.at;
    skipString(cursor);
    const keyEnd = cursor.at;
    skipSpace(cursor);
    if (peek(cursor) !== COLON) stop(cursor, 'a colon was expected');
    cursor.at += 1;
    skipSpace(cursor);
    onMember(keyStart, keyEnd);
    if (leaveOrNext(cursor, CLOSE_OBJECT)) return;
  }
}

function skipArray(cursor: Cursor, depth: number): void {
  enter(cursor, depth);
  if (peek(cursor) === CLOSE_ARRAY) {
    cursor.at += 1;
    return;
  }
  for (;;) {
    skipValue(cursor, depth);
    if (leaveOrNext(cursor, CLOSE_ARRAY)) return;
  }
}

function enter(cursor: Cursor, depth: number): void {
  if (depth > cursor.bounds.depthMax) stop(cursor, `it is nested deeper than ${cursor.bounds.depthMax} levels`);
  cursor.at += 1;
  skipSpace(cursor);
}

/** After a value: true at the closing bracket, false after a comma. */
function leaveOrNext(cursor: Cursor, close: number): boolean {
  skipSpace(cursor);
  const byte = peek(cursor);
  if (byte !== close && byte !== COMMA) stop(cursor, 'a comma or a closing bracket was expected');
  cursor.at += 1;
  if (byte === close) return true;
  skipSpace(cursor);
  return false;
}

/** Skips one value; `depth` is that of the object or array it is in. */
function skipValue(cursor: Cursor, depth: number): JsonKind {
  switch (peek(cursor)) {
    case OPEN_OBJECT:
      eachMember(cursor, depth + 1, () => skipValue(cursor, depth + 1));
      return 'object';
    case OPEN_ARRAY:
      skipArray(cursor, depth + 1);
      return 'array';
    case QUOTE:
      skipString(cursor);
      return 'string';
    case 0x74:
      return skipWord(cursor, 'true', 'boolean');
    case 0x66:
      return skipWord(cursor, 'false', 'boolean');
    case 0x6e:
      return skipWord(cursor, 'null', 'null');
    default:
      return skipNumber(cursor);
  }
}

function skipWord(cursor: Cursor, word: string, kind: JsonKind): JsonKind {
  for (let index = 0; index < word.length; index += 1) {
    if (cursor.bytes[cursor.at + index] !== word.charCodeAt(index)) stop(cursor, 'a JSON value was expected');
  }
  cursor.at += word.length;
  return kind;
}

function skipString(cursor: Cursor): void {
  const { bytes } = cursor;
  cursor.at += 1;
  for (;;) {
    const byte = bytes[cursor.at];
    if (byte === undefined) stop(cursor, 'a text does not end');
    if (byte === QUOTE) break;
    if (byte === BACKSLASH) skipEscape(cursor);
    else if (byte < 0x20) stop(cursor, 'a text holds a raw control character');
    else cursor.at += 1;
  }
  cursor.at += 1;
}

function skipEscape(cursor: Cursor): void {
  const letter = cursor.bytes[cursor.at + 1] ?? 0;
  if (letter === 0x75) {
    for (let index = 2; index < 6; index += 1) {
      if (!isHexDigit(cursor.bytes[cursor.at + index])) stop(cursor, 'a \\u escape needs four hexadecimal digits');
    }
    cursor.at += 6;
    return;
  }
  if (letter === 0 || !'"\\/bfnrt'.includes(String.fromCharCode(letter)))
    stop(cursor, 'a text holds an unknown escape');
  cursor.at += 2;
}

function skipNumber(cursor: Cursor): JsonKind {
  if (peek(cursor) === MINUS) cursor.at += 1;
  if (peek(cursor) === 0x30) cursor.at += 1;
  else skipDigits(cursor, 'a JSON value was expected');
  if (peek(cursor) === 0x2e) {
    cursor.at += 1;
    skipDigits(cursor, 'a digit was expected after the decimal point');
  }
  const exponent = peek(cursor);
  if (exponent === 0x65 || exponent === 0x45) {
    cursor.at += 1;
    const sign = peek(cursor);
    if (sign === 0x2b || sign === MINUS) cursor.at += 1;
    skipDigits(cursor, 'a digit was expected in the exponent');
  }
  return 'number';
}

function skipDigits(cursor: Cursor, missing: string): void {
  if (!isDigit(peek(cursor))) stop(cursor, missing);
  while (isDigit(peek(cursor))) cursor.at += 1;
}

function skipSpace(cursor: Cursor): void {
  for (;;) {
    const byte = cursor.bytes[cursor.at];
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return;
    cursor.at += 1;
  }
}

function peek(cursor: Cursor): number {
  return cursor.bytes[cursor.at] ?? END;
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

function isHexDigit(byte: number | undefined): boolean {
  if (byte === undefined) return false;
  return isDigit(byte) || (byte >= 0x41 && byte <= 0x46) || (byte >= 0x61 && byte <= 0x66);
}

/** Two spellings of one key ("a" and "\u0061") are one key. */
function decodeKey(cursor: Cursor, start: number, end: number): string {
  const key: unknown = JSON.parse(decodeText(cursor.bytes, start, end));
  return typeof key === 'string' ? key : stop(cursor, 'a field name was expected', start);
}

function stop(cursor: Cursor, sentence: string, offset: number = cursor.at): never {
  throw new Stop({ offset, sentence });
}

const decoder = new TextDecoder();

export function decodeText(bytes: Uint8Array, start: number, end: number): string {
  return decoder.decode(bytes.subarray(start, end));
}

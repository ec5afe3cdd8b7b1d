// Canonical JSON (RFC 8785), narrowed to what a digest may rest on: strings, 32-bit integers, booleans, lists, objects.
// Refuses floats, null and lone surrogates, so that two programs can never disagree about the bytes.

/** Deeper values are refused: nothing that we hash comes near it. */
const DEPTH_MAX = 32;
const INT32_MAX = 2 ** 31 - 1;
const INT32_MIN = -(2 ** 31);
/** With the u flag a proper pair is one character, so only a half matches. */
const LONE_SURROGATE = /\p{Surrogate}/u;

export class NotCanonical extends Error {
  override readonly name = 'NotCanonical';
}

/** The one text of `value`. Members that are undefined are left out. Throws NotCanonical with the path of what is refused. */
export function canonicalJson(value: unknown): string {
  return render(value, '$', 0);
}

function render(value: unknown, path: string, depth: number): string {
  if (depth > DEPTH_MAX) throw new NotCanonical(`${path} is nested deeper than ${DEPTH_MAX} levels`);
  if (typeof value === 'string') return renderText(value, path);
  if (typeof value === 'boolean') return value ? 'true' : 'false';
  if (typeof value === 'number') return renderInteger(value, path);
  if (Array.isArray(value)) return `[${value.map((item, at) => render(item, `${path}[${at}]`, depth + 1)).join(',')}]`;
  if (isPlainObject(value)) return renderObject(value, path, depth);
  throw new NotCanonical(`${path} is neither text, a whole number, true or false, a list nor an object`);
}

function renderText(text: string, path: string): string {
  if (LONE_SURROGATE.test(text))
    throw new NotCanonical(`${path} has half of a surrogate pair, which is no Unicode text`);
  return JSON.stringify(text);
}

function renderInteger(value: number, path: string): string {
  if (!Number.isInteger(value) || value > INT32_MAX || value < INT32_MIN) {
    throw new NotCanonical(`${path} is ${value}, which is not a 32-bit whole number; write it as text`);
  }
  return JSON.stringify(value);
}

/** RFC 8785 orders members by UTF-16 code units, which is how JavaScript compares strings. */
function renderObject(value: Readonly<Record<string, unknown>>, path: string, depth: number): string {
  const members = Object.keys(value)
    .filter((key) => value[key] !== undefined)
    .sort()
    .map((key) => `${renderText(key, path)}:${render(value[key], `${path}.${key}`, depth + 1)}`);
  return `{${members.join(',')}}`;
}

function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

// Untrusted JSON as plain values: safe ways to look into it and to make a changed copy. Only own members count, so a
// member named __proto__ is a member like any other. Never changes a value in place.

export interface JsonObject {
  readonly [member: string]: unknown;
}

/** Deeper nesting is refused before anything recursive looks at a body. */
const DEPTH_MAX = 64;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value as an object to look into; empty when it is none. */
export function asObject(value: unknown): JsonObject {
  return isObject(value) ? value : {};
}

/** The value as a list; empty when it is none. */
export function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function asText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

export function member(value: unknown, name: string): unknown {
  return isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
}

export function valueAt(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(member, value);
}

/** A copy with the member set; undefined takes it away. */
export function withMember(object: JsonObject, name: string, value: unknown): JsonObject {
  if (value !== undefined) return { ...object, [name]: value };
  if (!Object.hasOwn(object, name)) return object;
  return Object.fromEntries(Object.entries(object).filter(([key]) => key !== name));
}

/** A copy with the value at `path` set; what is missing on the way is made. */
export function withValueAt(object: JsonObject, path: readonly string[], value: unknown): JsonObject {
  const [step, ...rest] = path;
  if (step === undefined) return object;
  return withMember(object, step, rest.length === 0 ? value : withValueAt(asObject(member(object, step)), rest, value));
}

/** Whether the value is nested more than DEPTH_MAX deep. Does not recurse. */
export function isTooDeep(value: unknown): boolean {
  let level: readonly unknown[] = [value];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > DEPTH_MAX) return true;
    level = level.flatMap((item): readonly unknown[] =>
      typeof item === 'object' && item !== null ? Object.values(item) : [],
    );
  }
  return false;
}

/** How JSON calls the type of a value. */
export function typeOfJson(value: unknown): 'null' | 'boolean' | 'integer' | 'number' | 'string' | 'array' | 'object' {
  if (value === null || value === undefined) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  if (typeof value === 'boolean') return 'boolean';
  return typeof value === 'string' ? 'string' : 'object';
}

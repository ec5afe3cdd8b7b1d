// What a structural schema does to an object before it is judged: drops fields that the kind does not have, and fills in
// defaults. Both return a new value and leave the old one alone. Sentences about values are schema-judge's business.
import type { Schema } from './definition.ts';
import { isObject, type JsonObject } from './json-value.ts';

export interface Pruned {
  readonly value: unknown;
  /** Paths of what was dropped, for example `spec.pools[0].naem`. */
  readonly unknown: readonly string[];
}

/** Dropped fields that are named; the rest is dropped silently. */
const UNKNOWN_MAX = 50;

export function prune(schema: Schema, value: unknown): Pruned {
  const unknown: string[] = [];
  return { value: pruneValue(schema, value, { path: '', unknown }), unknown };
}

interface PruneState {
  readonly path: string;
  readonly unknown: string[];
}

function pruneValue(schema: Schema, value: unknown, { path, unknown }: PruneState): unknown {
  if (Array.isArray(value)) {
    const { items } = schema;
    if (items === undefined) return value;
    return value.map((item, at) => pruneValue(items, item, { path: `${path}[${at}]`, unknown }));
  }
  if (!isObject(value)) return value;
  const kept = Object.entries(value).flatMap(([name, inner]): [string, unknown][] => {
    const at = path === '' ? name : `${path}.${name}`;
    const innerSchema = schemaOfMember(schema, name);
    if (innerSchema !== undefined) return [[name, pruneValue(innerSchema, inner, { path: at, unknown })]];
    if (schema['x-kubernetes-preserve-unknown-fields'] === true) return [[name, inner]];
    if (unknown.length < UNKNOWN_MAX) unknown.push(at);
    return [];
  });
  return Object.fromEntries(kept);
}

function schemaOfMember(schema: Schema, name: string): Schema | undefined {
  const { properties, additionalProperties } = schema;
  if (properties !== undefined && Object.hasOwn(properties, name)) return properties[name];
  return additionalProperties;
}

/** Fills in defaults, outside first: a default of an object is filled in further. Null takes a default unless nullable. */
export function fillDefaults(schema: Schema, value: unknown): unknown {
  if (Array.isArray(value)) {
    const { items } = schema;
    return items === undefined ? value : value.map((item) => fillDefaults(items, item));
  }
  if (!isObject(value)) return value;
  const { properties = {}, additionalProperties } = schema;
  const given = Object.entries(value).map(([name, inner]): [string, unknown] => {
    const innerSchema = Object.hasOwn(properties, name) ? properties[name] : additionalProperties;
    return [name, innerSchema === undefined ? inner : fillOne(innerSchema, inner)];
  });
  return Object.fromEntries([...given, ...missingDefaults(properties, value)]);
}

function fillOne(schema: Schema, value: unknown): unknown {
  const isReplaced = value === null && schema.nullable !== true && schema.default !== undefined;
  return fillDefaults(schema, isReplaced ? structuredClone(schema.default) : value);
}

function missingDefaults(properties: Readonly<Record<string, Schema>>, value: JsonObject): [string, unknown][] {
  return Object.entries(properties)
    .filter(([name, inner]) => inner.default !== undefined && !Object.hasOwn(value, name))
    .map(([name, inner]) => [name, fillDefaults(inner, structuredClone(inner.default))]);
}

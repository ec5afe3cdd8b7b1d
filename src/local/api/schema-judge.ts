// Judges a value by a structural schema, with the sentences of a real API server. Stops after CAUSES_MAX findings.
// Never changes the value; patterns are of our own definitions and linear.
import { isDeepStrictEqual } from 'node:util';
import type { Schema } from './definition.ts';
import { isObject, type JsonObject, member, typeOfJson } from './json-value.ts';
import type { StatusCause } from './status-error.ts';

/** Findings that are reported. */
const CAUSES_MAX = 50;
const SHOWN_CHARS_MAX = 200;

interface Judging {
  readonly path: string;
  readonly causes: StatusCause[];
}

export function judgeSchema(schema: Schema, value: unknown): StatusCause[] {
  const causes: StatusCause[] = [];
  judge(schema, value, { path: '', causes });
  return causes;
}

function judge(schema: Schema, value: unknown, at: Judging): void {
  if (at.causes.length >= CAUSES_MAX) return;
  if (value === null && schema.nullable === true) return;
  if (!hasType(schema, value)) {
    const type = schema['x-kubernetes-int-or-string'] === true ? 'integer or string' : (schema.type ?? 'object');
    const shown = typeOfJson(value);
    report(
      at,
      'FieldValueTypeInvalid',
      `Invalid value: "${shown}": ${at.path} in body must be of type ${type}: "${shown}"`,
    );
    return;
  }
  if (schema.enum !== undefined) judgeEnum(schema.enum, value, at);
  if (typeof value === 'string') judgeText(schema, value, at);
  else if (typeof value === 'number') judgeNumber(schema, value, at);
  else if (Array.isArray(value)) judgeList(schema, value, at);
  else if (isObject(value)) judgeObject(schema, value, at);
}

function hasType(schema: Schema, value: unknown): boolean {
  const type = typeOfJson(value);
  if (schema['x-kubernetes-int-or-string'] === true) return type === 'integer' || type === 'string';
  return schema.type === undefined || type === schema.type || (schema.type === 'number' && type === 'integer');
}

function judgeEnum(allowed: readonly unknown[], value: unknown, at: Judging): void {
  if (allowed.some((option) => isDeepStrictEqual(option, value))) return;
  const options = allowed.map((option) => JSON.stringify(option)).join(', ');
  report(at, 'FieldValueNotSupported', `Unsupported value: ${shorten(value)}: supported values: ${options}`);
}

function judgeText(schema: Schema, value: string, at: Judging): void {
  const { maxLength, minLength, pattern } = schema;
  const { length } = [...value];
  if (maxLength !== undefined && length > maxLength)
    report(at, 'FieldValueTooLong', `Too long: may not be more than ${maxLength} bytes`);
  if (minLength !== undefined && length < minLength)
    reportInvalid(at, value, `should be at least ${minLength} chars long`);
  if (pattern !== undefined && (maxLength === undefined || length <= maxLength) && !compiled(pattern).test(value))
    reportInvalid(at, value, `should match '${pattern}'`);
  if (schema.format === 'date-time' && !isDateTime(value)) reportInvalid(at, value, 'must be of type date-time');
}

function isDateTime(value: string): boolean {
  return (
    /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/.test(value) &&
    !Number.isNaN(Date.parse(value))
  );
}

function judgeNumber(schema: Schema, value: number, at: Judging): void {
  if (schema.minimum !== undefined && value < schema.minimum)
    reportInvalid(at, value, `should be greater than or equal to ${schema.minimum}`);
  if (schema.maximum !== undefined && value > schema.maximum)
    reportInvalid(at, value, `should be less than or equal to ${schema.maximum}`);
}

function judgeList(schema: Schema, value: readonly unknown[], at: Judging): void {
  const { items, maxItems, minItems } = schema;
  if (maxItems !== undefined && value.length > maxItems) {
    report(at, 'FieldValueTooMany', `Too many: ${value.length}: must have at most ${maxItems} items`);
    return;
  }
  if (minItems !== undefined && value.length < minItems)
    reportInvalid(at, value.length, `should have at least ${minItems} items`);
  if (items !== undefined)
    for (const [index, item] of value.entries()) judge(items, item, { ...at, path: `${at.path}[${index}]` });
  judgeUnique(schema, value, at);
}

/** A list that is a set, or a map by keys, has no entry twice. */
function judgeUnique(schema: Schema, value: readonly unknown[], at: Judging): void {
  const listType = schema['x-kubernetes-list-type'];
  if (listType !== 'set' && listType !== 'map') return;
  const keys = schema['x-kubernetes-list-map-keys'] ?? [];
  const seen = new Set<string>();
  for (const [index, item] of value.entries()) {
    const identity =
      listType === 'set'
        ? JSON.stringify(item)
        : JSON.stringify(Object.fromEntries(keys.map((key) => [key, member(item, key)])));
    if (seen.has(identity))
      report({ ...at, path: `${at.path}[${index}]` }, 'FieldValueDuplicate', `Duplicate value: ${identity}`);
    seen.add(identity);
  }
}

function judgeObject(schema: Schema, value: JsonObject, at: Judging): void {
  const { properties = {}, additionalProperties, required = [], maxProperties, minProperties } = schema;
  const pathOf = (name: string) => (at.path === '' ? name : `${at.path}.${name}`);
  for (const name of required) {
    if (!Object.hasOwn(value, name)) report({ ...at, path: pathOf(name) }, 'FieldValueRequired', 'Required value');
  }
  const names = Object.keys(value);
  if (maxProperties !== undefined && names.length > maxProperties)
    report(at, 'FieldValueTooMany', `Too many: ${names.length}: must have at most ${maxProperties} items`);
  if (minProperties !== undefined && names.length < minProperties)
    reportInvalid(at, names.length, `should have at least ${minProperties} properties`);
  for (const name of names) {
    const inner = Object.hasOwn(properties, name) ? properties[name] : additionalProperties;
    if (inner !== undefined) judge(inner, value[name], { ...at, path: pathOf(name) });
  }
}

function reportInvalid(at: Judging, value: unknown, rule: string): void {
  report(at, 'FieldValueInvalid', `Invalid value: ${shorten(value)}: ${at.path} in body ${rule}`);
}

function report({ path, causes }: Judging, reason: string, message: string): void {
  if (causes.length < CAUSES_MAX) causes.push({ reason, message, field: path === '' ? '<nil>' : path });
}

/** A value as a sentence shows it. Lists and objects by their type alone: they may be long. */
export function shorten(value: unknown): string {
  if (typeof value === 'object' && value !== null) return `"${typeOfJson(value)}"`;
  const text = JSON.stringify(value) ?? 'null';
  return text.length > SHOWN_CHARS_MAX ? `${text.slice(0, SHOWN_CHARS_MAX)}…` : text;
}

const patterns = new Map<string, RegExp>();

/** Definitions are few and live as long as the process, so compiled patterns are kept. */
function compiled(pattern: string): RegExp {
  const known = patterns.get(pattern);
  if (known !== undefined) return known;
  const made = new RegExp(pattern);
  patterns.set(pattern, made);
  return made;
}

// Turns a zod schema into the structural OpenAPI schema that a CustomResourceDefinition may hold. Refuses what it cannot
// express (unions, recursion, patterns outside RE2) while generating, instead of letting a real API server refuse it later.
import { z } from 'zod';

/** A CEL rule as it stands in the schema. */
export interface ValidationRule {
  readonly rule: string;
  readonly message: string;
  /** CEL for a message that names figures. */
  readonly messageExpression?: string;
}

/** The part of OpenAPI v3 that structural schemas use. */
export interface StructuralSchema {
  readonly type: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly format?: string;
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly maxProperties?: number;
  readonly nullable?: boolean;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, StructuralSchema>>;
  readonly additionalProperties?: StructuralSchema;
  readonly items?: StructuralSchema;
  readonly 'x-kubernetes-list-type'?: string;
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean;
  readonly 'x-kubernetes-validations'?: readonly ValidationRule[];
}

type Json = Readonly<Record<string, unknown>>;

const INT32_MAX = 2 ** 31 - 1;
/** Keywords that are taken over as they are. Everything else is handled below or refused. */
const copied = [
  'description',
  'default',
  'enum',
  'pattern',
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
  'maxProperties',
  'nullable',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-validations',
] as const;
const refused = ['$ref', 'anyOf', 'oneOf', 'allOf', 'not', 'definitions', 'propertyNames', 'const'] as const;

/** Throws an Error that names the place of what has no structural form. `name` starts that place. */
export function structuralSchema(schema: z.ZodType, name: string): StructuralSchema {
  const raw: unknown = z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input', unrepresentable: 'any' });
  return convert(asJson(raw, name), name);
}

function convert(raw: Json, place: string): StructuralSchema {
  for (const keyword of refused) {
    if (keyword in raw) throw new Error(`${place}: "${keyword}" has no place in a structural schema; write it plainly`);
  }
  const base: Json = { type: raw.type, ...pick(raw) };
  assertPattern(base.pattern, place);
  switch (raw.type) {
    case 'object':
      return convertObject(base, raw, place);
    case 'array':
      if (raw.maxItems === undefined) throw new Error(`${place}: a list needs a maximum`);
      return { ...base, type: 'array', items: convert(asJson(raw.items, place), `${place}[]`) };
    case 'integer':
      return { ...base, type: 'integer', ...integerBounds(raw) };
    case 'string':
      if (raw.maxLength === undefined && raw.enum === undefined) throw new Error(`${place}: text needs a maximum`);
      return { ...base, type: 'string', ...(raw.format === 'date-time' ? { format: 'date-time' } : {}) };
    case 'boolean':
      return { ...base, type: 'boolean' };
    case undefined:
      return { ...base, type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
    default:
      throw new Error(`${place}: the type ${JSON.stringify(raw.type)} is not used in our kinds (no floats)`);
  }
}

function convertObject(base: Json, raw: Json, place: string): StructuralSchema {
  if (raw.properties === undefined) {
    if (raw.maxProperties === undefined) throw new Error(`${place}: a map needs a maximum`);
    const members = convert(asJson(raw.additionalProperties, place), `${place}{}`);
    return { ...base, type: 'object', additionalProperties: members };
  }
  const properties = Object.entries(asJson(raw.properties, place)).map(
    ([key, value]) => [key, convert(asJson(value, place), `${place}.${key}`)] as const,
  );
  const required = Array.isArray(raw.required) && raw.required.length > 0 ? { required: raw.required.map(String) } : {};
  const whole = { ...base, type: 'object', properties: Object.fromEntries(properties), ...required };
  return base.default === undefined
    ? whole
    : { ...whole, default: fillDefault(asJson(base.default, place), properties) };
}

/** An API server applies CEL rules to a default as it stands, without the defaults inside it: so they are written out. */
function fillDefault(written: Json, properties: readonly (readonly [string, StructuralSchema])[]): Json {
  const inner = properties.flatMap(([key, field]) =>
    field.default === undefined ? [] : [[key, field.default] as const],
  );
  return { ...Object.fromEntries(inner), ...written };
}

/** A plain whole number carries JavaScript's safe range, which says nothing; the format says what the wire holds. */
function integerBounds(raw: Json): Pick<StructuralSchema, 'format' | 'minimum' | 'maximum'> {
  const minimum = typeof raw.minimum === 'number' && Number.isSafeInteger(raw.minimum - 1) ? raw.minimum : undefined;
  const maximum = typeof raw.maximum === 'number' && Number.isSafeInteger(raw.maximum + 1) ? raw.maximum : undefined;
  return {
    format: maximum !== undefined && maximum <= INT32_MAX ? 'int32' : 'int64',
    ...(minimum === undefined ? {} : { minimum }),
    ...(maximum === undefined ? {} : { maximum }),
  };
}

/** Kubernetes compiles patterns with RE2, which has no look-around and no back-references. */
function assertPattern(pattern: unknown, place: string): void {
  if (typeof pattern === 'string' && /\(\?[=!<]|\\[1-9]/.test(pattern)) {
    throw new Error(`${place}: the pattern ${pattern} is not RE2`);
  }
}

function pick(raw: Json): Json {
  return Object.fromEntries(copied.flatMap((key) => (raw[key] === undefined ? [] : [[key, raw[key]]])));
}

function asJson(value: unknown, place: string): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Error(`${place}: there is no schema, but ${JSON.stringify(value)}`);
  }
  return Object.fromEntries(Object.entries(value));
}

// Turns the OpenAPI documents that Kubernetes publishes into schemas that a structural schema's judge understands, closed
// where the types of Kubernetes are closed. A keyword or a form that it does not know is an Error: nothing may go unjudged
// without somebody having said so here.
import type { SchemaSet, StoredSchema } from './schema-set.ts';

type Json = Readonly<Record<string, unknown>>;

export interface OpenApiDocument {
  readonly components?: { readonly schemas?: Readonly<Record<string, Json>> };
}

interface GroupVersionKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

const meta = 'io.k8s.apimachinery.pkg.apis.meta.v1';
const extensions = 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1';
const anything: StoredSchema = { 'x-kubernetes-preserve-unknown-fields': true };
const nested: StoredSchema = { $ref: `${extensions}.JSONSchemaProps` };

/** Definitions whose document does not say what they hold. */
const special: Readonly<Record<string, StoredSchema>> = {
  'io.k8s.apimachinery.pkg.util.intstr.IntOrString': { 'x-kubernetes-int-or-string': true },
  // A server takes fractions without quotes, too. Whoever writes a chart has no need of them.
  'io.k8s.apimachinery.pkg.api.resource.Quantity': {
    'x-kubernetes-int-or-string': true,
    pattern: '^[+-]?([0-9]+(\\.[0-9]*)?|\\.[0-9]+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]+)?$',
  },
  'io.k8s.apimachinery.pkg.runtime.RawExtension': { type: 'object', ...anything },
  [`${meta}.FieldsV1`]: { type: 'object', ...anything },
  [`${extensions}.JSON`]: anything,
  // In a structural schema these are a schema; the only other form it may have is `additionalProperties: true`.
  [`${extensions}.JSONSchemaPropsOrArray`]: nested,
  [`${extensions}.JSONSchemaPropsOrBool`]: nested,
  [`${extensions}.JSONSchemaPropsOrStringArray`]: anything,
};

/** Kept as they are. */
const kept = new Set(['type', 'required', 'x-kubernetes-list-type', 'x-kubernetes-list-map-keys']);

/** Says nothing about whether a value is right. Unions are among them: a server judges those in code. */
const dropped = new Set([
  'description',
  'default',
  'x-kubernetes-group-version-kind',
  'x-kubernetes-map-type',
  'x-kubernetes-patch-merge-key',
  'x-kubernetes-patch-strategy',
  'x-kubernetes-unions',
]);

const formats: Readonly<Record<string, Json>> = {
  int32: { minimum: -(2 ** 31), maximum: 2 ** 31 - 1 },
  int64: {},
  double: {},
  'date-time': { format: 'date-time' },
  byte: { pattern: '^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$' },
};

/** Every kind that a server of the version has without being told to, and what their definitions need. */
export function convertDocuments(documents: readonly OpenApiDocument[]): SchemaSet {
  const published = Object.assign({}, ...documents.map(({ components }) => components?.schemas ?? {})) as Readonly<
    Record<string, Json>
  >;
  const kinds = Object.fromEntries(
    Object.entries(published).flatMap(([name, schema]) => kindsOf(schema).map((kind) => [kind, name])),
  );
  const definitions: Record<string, StoredSchema> = {};
  const waiting = Object.values(kinds);
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (Object.hasOwn(definitions, name)) continue;
    const definition = special[name] ?? convertDefinition(name, published[name]);
    definitions[name] = definition;
    waiting.push(...referencesOf(definition));
  }
  return { kinds, definitions };
}

/** Objects only: neither lists nor options. Versions that are not stable are off in a server unless it is told. */
function kindsOf(schema: Json): string[] {
  const { metadata } = (schema.properties ?? {}) as { readonly metadata?: Json };
  if (metadata === undefined || referenceOf(metadata) !== `${meta}.ObjectMeta`) return [];
  const names = (schema['x-kubernetes-group-version-kind'] ?? []) as readonly GroupVersionKind[];
  return names
    .filter(({ version }) => /^v\d+$/.test(version))
    .map(({ group, version, kind }) => `${group === '' ? version : `${group}/${version}`} ${kind}`);
}

function convertDefinition(name: string, schema: Json | undefined): StoredSchema {
  if (schema === undefined) throw new Error(`The documents have no definition ${name}, which another one names.`);
  if (schema.type === undefined) throw new Error(`${name} has no type: say in convert.ts what it holds.`);
  return convert(schema, name);
}

/** The definition that a schema stands for: by itself, or as the only part of an allOf beside a default. */
function referenceOf(schema: Json): string | undefined {
  const { $ref, allOf } = schema as { readonly $ref?: string; readonly allOf?: readonly Json[] };
  const found = $ref ?? (allOf?.length === 1 ? (allOf[0] as { readonly $ref?: string }).$ref : undefined);
  return found?.replace(/^#\/components\/schemas\//, '');
}

function convert(schema: Json, path: string): StoredSchema {
  const reference = referenceOf(schema);
  if (reference !== undefined) return { $ref: reference };
  return Object.assign(
    {},
    ...Object.entries(schema).map(([keyword, value]) => convertKeyword(keyword, value, path)),
  ) as StoredSchema;
}

function convertKeyword(keyword: string, value: unknown, path: string): Json {
  if (dropped.has(keyword)) return {};
  if (kept.has(keyword)) return { [keyword]: value };
  if (keyword === 'items' || keyword === 'additionalProperties') {
    return { [keyword]: convert(value as Json, `${path}.${keyword}`) };
  }
  if (keyword === 'properties') {
    const properties = Object.entries(value as Readonly<Record<string, Json>>);
    return {
      properties: Object.fromEntries(properties.map(([name, inner]) => [name, convert(inner, `${path}.${name}`)])),
    };
  }
  const format = keyword === 'format' ? formats[String(value)] : undefined;
  if (format === undefined)
    throw new Error(`${path} has ${keyword}: ${JSON.stringify(value)}, which convert.ts lacks.`);
  return format;
}

function referencesOf(schema: StoredSchema): string[] {
  const inner = [...Object.values(schema.properties ?? {}), schema.items, schema.additionalProperties];
  return [
    ...(schema.$ref === undefined ? [] : [schema.$ref]),
    ...inner.flatMap((one) => (one === undefined ? [] : referencesOf(one))),
  ];
}

// From what a client sent to an object that may be stored: fields that the kind does not have are dropped or refused,
// defaults filled in, server-owned metadata taken from the stored object, and everything judged. Writes nothing.
import { isDeepStrictEqual } from 'node:util';
import {
  type ApiObject,
  apiVersionOf,
  countsGenerations,
  type ObjectMetadata,
  type ResourceDefinition,
} from './definition.ts';
import { asObject, asText, isObject, type JsonObject, member, withMember } from './json-value.ts';
import { judgeMetadata, metadataSchema } from './metadata-schema.ts';
import { judgeSchema, shorten } from './schema-judge.ts';
import { fillDefaults, prune } from './schema-shape.ts';
import { badRequest, invalid, type StatusCause } from './status-error.ts';

export type FieldValidation = 'Ignore' | 'Warn' | 'Strict';

/** An object of the right kind whose fields all exist; its values are not judged yet. */
export interface ReadObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: JsonObject;
  readonly [field: string]: unknown;
}

export interface Read {
  readonly object: ReadObject;
  /** For people, when unknown fields were dropped. */
  readonly warnings: readonly string[];
}

/** Throws ApiError 400: another kind, or unknown fields under Strict. */
export function readObject(definition: ResourceDefinition, input: unknown, validation: FieldValidation): Read {
  if (!isObject(input)) throw badRequest('the body must be an object');
  assertKind(definition, input);
  const { apiVersion: _apiVersion, kind: _kind, metadata, ...fields } = input;
  const body = prune(withoutFrame(definition), fields);
  const frame = prune(metadataSchema, metadata ?? {});
  if (!isObject(frame.value)) throw badRequest('metadata must be an object');
  const unknown = [...body.unknown, ...frame.unknown.map((path) => `metadata.${path}`)].map(
    (path) => `unknown field "${path}"`,
  );
  if (validation === 'Strict' && unknown.length > 0) throw badRequest(`strict decoding error: ${unknown.join(', ')}`);
  const { selfLink: _selfLink, managedFields: _managedFields, ...kept } = frame.value;
  const filled = asObject(fillDefaults(withoutFrame(definition), body.value));
  const shaped = definition.defaulting === undefined ? filled : definition.defaulting(filled);
  return {
    object: { apiVersion: apiVersionOf(definition), kind: definition.kind, metadata: withoutNulls(kept), ...shaped },
    warnings: validation === 'Warn' ? unknown : [],
  };
}

function assertKind(definition: ResourceDefinition, { apiVersion, kind }: JsonObject): void {
  const expected = apiVersionOf(definition);
  if (apiVersion !== undefined && apiVersion !== expected)
    throw badRequest(
      `the API version in the data (${String(apiVersion)}) does not match the expected API version (${expected})`,
    );
  if (kind !== undefined && kind !== definition.kind)
    throw badRequest(`the kind in the data (${String(kind)}) does not match the expected kind (${definition.kind})`);
}

/** The schema without what every object has; metadata has a schema of its own. */
function withoutFrame({ schema }: ResourceDefinition): ResourceDefinition['schema'] {
  const { apiVersion: _apiVersion, kind: _kind, metadata: _metadata, ...properties } = schema.properties ?? {};
  return { ...schema, properties };
}

function withoutNulls(metadata: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(metadata).filter(([, value]) => value !== null));
}

/** The first form of an object. `name` is complete; a status that has a subresource of its own is dropped. */
export function newObject(
  definition: ResourceDefinition,
  read: ReadObject,
  { name, namespace, uid, wallMs }: { name: string; namespace: string; uid: string; wallMs: number },
): ApiObject {
  const { metadata, ...rest } = read;
  const status = definition.subresources.status === true ? definition.builtIn?.initialStatus : rest.status;
  return {
    ...withMember(rest, 'status', status),
    apiVersion: read.apiVersion,
    kind: read.kind,
    metadata: {
      ...chosenMetadata(metadata),
      name,
      ...(definition.namespaced ? { namespace } : {}),
      uid,
      resourceVersion: '',
      creationTimestamp: renderTime(wallMs),
      ...(countsGenerations(definition) ? { generation: 1 } : {}),
    },
  };
}

/** What a client may say in metadata beside the name; the rest is the server's. */
function chosenMetadata(metadata: JsonObject): JsonObject {
  const { labels, annotations, finalizers, ownerReferences, generateName } = metadata;
  const chosen = { labels, annotations, finalizers, ownerReferences, generateName };
  return Object.fromEntries(Object.entries(chosen).filter(([, value]) => value !== undefined));
}

/** The next form of `before` when all of it may change but its status. */
export function changedObject(definition: ResourceDefinition, before: ApiObject, read: ReadObject): ApiObject {
  const { metadata, ...rest } = read;
  const status = definition.subresources.status === true ? before.status : rest.status;
  const fields = withMember(rest, 'status', status);
  const { generateName: _generateName, ...chosen } = chosenMetadata(metadata);
  const kept = serverMetadata(before.metadata);
  const next = { ...fields, apiVersion: read.apiVersion, kind: read.kind, metadata: { ...chosen, ...kept } };
  const isSpecChanged = countsGenerations(definition) && !isDeepStrictEqual(specOf(before), specOf(next));
  if (!isSpecChanged) return next;
  return { ...next, metadata: { ...next.metadata, generation: (before.metadata.generation ?? 0) + 1 } };
}

/** The next form of `before` when only its status may change. */
export function withStatus(before: ApiObject, read: ReadObject): ApiObject {
  const { status } = read;
  const { status: _status, ...rest } = before;
  return status === undefined
    ? { ...rest, apiVersion: before.apiVersion, kind: before.kind, metadata: before.metadata }
    : { ...before, status };
}

function serverMetadata(metadata: ObjectMetadata): ObjectMetadata {
  const {
    labels: _labels,
    annotations: _annotations,
    finalizers: _finalizers,
    ownerReferences: _owners,
    ...kept
  } = metadata;
  return kept;
}

function specOf({ metadata: _metadata, status: _status, ...rest }: JsonObject): JsonObject {
  return rest;
}

/** Throws ApiError 422 with everything that is wrong. `before` is what the object replaces. */
export function assertValid(definition: ResourceDefinition, object: ApiObject, before?: ApiObject): void {
  const { name } = object.metadata;
  const { metadata, ...fields } = object;
  const causes = [
    ...judgeMetadata(definition, { ...metadata }),
    ...judgeSchema(
      withoutFrame(definition),
      withMember(withMember(fields, 'apiVersion', undefined), 'kind', undefined),
    ),
  ];
  const found = causes.length > 0 ? causes : judgeRules(definition, object, before);
  if (found.length > 0) throw invalid(definition, name, found);
}

function judgeRules(definition: ResourceDefinition, object: ApiObject, before: ApiObject | undefined): StatusCause[] {
  return (definition.validate?.(object, before) ?? []).map(({ path, message }) => {
    if (path === '') return { reason: 'FieldValueInvalid', message };
    const value = valueAtPath(object, path);
    return {
      reason: 'FieldValueInvalid',
      message: `Invalid value: ${shorten(value ?? null)}: ${message}`,
      field: path,
    };
  });
}

/** `spec.pools[0]`: the value there. Lists are looked into by their index. */
function valueAtPath(object: ApiObject, path: string): unknown {
  const steps = path.split(/[.[\]]+/).filter((step) => step !== '');
  return steps.reduce<unknown>(
    (value, step) => (Array.isArray(value) ? value[Number(step)] : member(value, step)),
    object,
  );
}

/** Seconds are enough for metadata, as on a real server. */
export function renderTime(wallMs: number): string {
  return new Date(wallMs).toISOString().replace(/\.\d+Z$/, 'Z');
}

export function nameOf(metadata: JsonObject): string | undefined {
  const name = asText(metadata.name);
  return name === '' ? undefined : name;
}

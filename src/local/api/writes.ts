// What POST, PUT and PATCH do to one object inside a transaction: existence, versions, the parts that may change, the
// judgement, and the write. Everything it refuses is an ApiError.
import { randomInt } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { uuid } from '../../lib/ids.ts';
import { type ApiObject, type ResourceDefinition, resourceName } from './definition.ts';
import { deleteObject } from './deletion.ts';
import { asText } from './json-value.ts';
import type { ObjectPlace } from './object-file.ts';
import {
  assertValid,
  changedObject,
  type FieldValidation,
  nameOf,
  newObject,
  type ReadObject,
  readObject,
  withStatus,
} from './object-form.ts';
import type { StoredObject } from './object-index.ts';
import type { Transaction } from './object-store.ts';
import {
  alreadyExists,
  badRequest,
  conflict,
  forbiddenObject,
  invalid,
  notFound,
  objectTooLarge,
} from './status-error.ts';

export interface WriteTarget {
  readonly definition: ResourceDefinition;
  /** Empty for kinds of the whole cluster. */
  readonly namespace: string;
  readonly validation: FieldValidation;
  readonly wallMs: number;
}

export interface Written {
  readonly object: ApiObject;
  readonly warnings: readonly string[];
}

/** All objects together; more are refused, as by a quota. */
export const OBJECTS_MAX = 20_000;
export const OBJECTS_BYTES_MAX = 512 * 1024 * 1024;
/** One object as JSON: what etcd takes. */
export const OBJECT_CHARS_MAX = 1536 * 1024;

/** Kubernetes' alphabet for made-up names: no vowels, so no words. */
const SUFFIX_LETTERS = 'bcdfghjklmnpqrstvwxz2456789';
const SUFFIX_CHARS = 5;
const NAME_CHARS_MAX = 63;

export function createObject(transaction: Transaction, target: WriteTarget, input: unknown): Written {
  const { definition, namespace, wallMs } = target;
  const { object: read, warnings } = readObject(definition, input, target.validation);
  assertNamespace(transaction, target, read);
  if (asText(read.metadata.resourceVersion) !== undefined && read.metadata.resourceVersion !== '')
    throw badRequest('resourceVersion should not be set on objects to be created');
  const name = nameOf(read.metadata) ?? generatedName(definition, read);
  const place = { kind: resourceName(definition), namespace, name };
  if (transaction.get(place) !== undefined) throw alreadyExists(definition, name);
  assertRoom(transaction, definition, name);
  const object = newObject(definition, read, { name, namespace, uid: uuid(), wallMs });
  assertValid(definition, object);
  return { object: put(transaction, definition, { place, object }).object, warnings };
}

/** Objects are made only in a namespace that exists and is not ending. */
function assertNamespace(transaction: Transaction, { definition, namespace }: WriteTarget, read: ReadObject): void {
  if (!definition.namespaced) return;
  const stated = asText(read.metadata.namespace) ?? '';
  if (stated !== '' && stated !== namespace)
    throw badRequest(
      `the namespace of the provided object does not match the namespace sent on the request (${stated}, ${namespace})`,
    );
  const home = transaction.get({ kind: 'namespaces', namespace: '', name: namespace });
  if (home === undefined) throw notFound({ group: '', plural: 'namespaces', kind: 'Namespace' }, namespace);
  if (home.object.metadata.deletionTimestamp === undefined) return;
  const sentence = `unable to create new content in namespace ${namespace} because it is being terminated`;
  throw forbiddenObject(definition, asText(read.metadata.name) ?? '', sentence);
}

function generatedName(definition: ResourceDefinition, read: ReadObject): string {
  const prefix = asText(read.metadata.generateName) ?? '';
  if (prefix === '') {
    const message = 'Required value: name or generateName is required';
    throw invalid(definition, '', [{ reason: 'FieldValueRequired', message, field: 'metadata.name' }]);
  }
  const letters = Array.from({ length: SUFFIX_CHARS }, () => SUFFIX_LETTERS[randomInt(SUFFIX_LETTERS.length)]);
  return prefix.slice(0, NAME_CHARS_MAX - SUFFIX_CHARS) + letters.join('');
}

function assertRoom(transaction: Transaction, definition: ResourceDefinition, name: string): void {
  const { objects, bytes } = transaction.usage();
  if (objects >= OBJECTS_MAX)
    throw forbiddenObject(definition, name, `exceeded quota: there are ${objects} objects already; delete some`);
  if (bytes >= OBJECTS_BYTES_MAX)
    throw forbiddenObject(definition, name, `exceeded quota: the objects fill ${bytes} bytes already; delete some`);
}

export type Part = 'object' | 'status';

/** Replaces one part of an object. `isPatch`: the input was made from what is stored, so it may come without a version. */
export function updateObject(
  transaction: Transaction,
  target: WriteTarget & { readonly name: string; readonly part: Part; readonly isPatch: boolean },
  input: unknown,
): Written {
  const { definition, part } = target;
  const stored = storedObject(transaction, target);
  const { object: read, warnings } = readObject(definition, input, target.validation);
  assertSameObject(target, stored.object, read);
  const next = part === 'status' ? withStatus(stored.object, read) : changedObject(definition, stored.object, read);
  assertNoNewFinalizers(definition, stored.object, next);
  assertValid(definition, next, stored.object);
  return { object: store(transaction, target, { stored, next }), warnings };
}

export function storedObject(
  transaction: Pick<Transaction, 'get'>,
  { definition, namespace, name }: { definition: ResourceDefinition; namespace: string; name: string },
): StoredObject {
  const stored = transaction.get({ kind: resourceName(definition), namespace, name });
  if (stored === undefined) throw notFound(definition, name);
  return stored;
}

function assertSameObject(
  {
    definition,
    name,
    namespace,
    isPatch,
  }: { definition: ResourceDefinition; name: string; namespace: string; isPatch: boolean },
  before: ApiObject,
  { metadata }: ReadObject,
): void {
  if (asText(metadata.name) !== name)
    throw badRequest(
      `the name of the object (${String(metadata.name ?? '')}) does not match the name on the URL (${name})`,
    );
  const home = asText(metadata.namespace) ?? '';
  if (home !== '' && home !== namespace)
    throw badRequest(`the namespace of the object (${home}) does not match the namespace on the URL (${namespace})`);
  const uid = asText(metadata.uid) ?? '';
  if (uid !== '' && uid !== before.metadata.uid)
    throw conflict(
      definition,
      name,
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${before.metadata.uid}`,
    );
  const version = asText(metadata.resourceVersion) ?? '';
  if (version === '') assertUnconditional(definition, name, isPatch);
  else if (version !== before.metadata.resourceVersion) throw conflict(definition, name);
}

function assertUnconditional(definition: ResourceDefinition, name: string, isPatch: boolean): void {
  if (isPatch || definition.builtIn?.unconditionalUpdate === true) return;
  const message = 'Invalid value: 0: must be specified for an update';
  throw invalid(definition, name, [{ reason: 'FieldValueInvalid', message, field: 'metadata.resourceVersion' }]);
}

function assertNoNewFinalizers(definition: ResourceDefinition, before: ApiObject, next: ApiObject): void {
  if (before.metadata.deletionTimestamp === undefined) return;
  const known = before.metadata.finalizers ?? [];
  const added = (next.metadata.finalizers ?? []).filter((name) => !known.includes(name));
  if (added.length === 0) return;
  const message = `Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers ${JSON.stringify(added)}`;
  throw invalid(definition, before.metadata.name, [
    { reason: 'FieldValueForbidden', message, field: 'metadata.finalizers' },
  ]);
}

/** Throws ApiError 413 for what is too large, which takes the write back. */
function put(
  transaction: Transaction,
  definition: ResourceDefinition,
  { place, object }: { place: ObjectPlace; object: ApiObject },
): StoredObject {
  const stored = transaction.put(place, object);
  if (stored.json.length <= OBJECT_CHARS_MAX) return stored;
  throw objectTooLarge(definition, place.name, OBJECT_CHARS_MAX);
}

/** Writes only what changed. An object that waited for its last finalizer goes instead. */
function store(
  transaction: Transaction,
  { definition, wallMs }: WriteTarget,
  { stored, next }: { stored: StoredObject; next: ApiObject },
): ApiObject {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0, finalizers = [] } = next.metadata;
  const isFinished = deletionTimestamp !== undefined && finalizers.length === 0 && deletionGracePeriodSeconds === 0;
  if (!isFinished && isDeepStrictEqual(next, stored.object)) return stored.object;
  const written = put(transaction, definition, { place: stored, object: next });
  if (!isFinished) return written.object;
  return deleteObject({ transaction, definition, wallMs }, written, {
    propagation: 'Background',
    graceSeconds: 0,
    dryRun: false,
  }).object;
}

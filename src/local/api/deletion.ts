// How objects end: preconditions, finalizers, grace periods, and what becomes of the objects that belong to them.
// Runs inside the store's transactions; the removal of left-over dependents is the collector's.
import { type ApiObject, type ObjectMetadata, type ResourceDefinition, resourceName } from './definition.ts';
import { asList, asObject, asText, isObject } from './json-value.ts';
import { renderTime } from './object-form.ts';
import type { StoredObject } from './object-index.ts';
import type { Transaction } from './object-store.ts';
import { ApiError, badRequest, conflict, forbiddenObject } from './status-error.ts';

export type Propagation = 'Background' | 'Foreground' | 'Orphan';

export interface DeleteOptions {
  readonly propagation: Propagation;
  readonly graceSeconds?: number;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly dryRun: boolean;
}

export interface Deleted {
  readonly object: ApiObject;
  /** False while somebody has to finish it: a finalizer, or the node. */
  readonly isGone: boolean;
}

/** Makes a foreground deletion wait for the dependents that ask for it. */
export const FOREGROUND_FINALIZER = 'foregroundDeletion';
const GRACE_SECONDS_MAX = 86_400;

/** From the query and the body of a DELETE. Throws ApiError 400. */
export function parseDeleteOptions(query: URLSearchParams, body: unknown): DeleteOptions {
  const options = asObject(body);
  const preconditions = asObject(options.preconditions);
  const propagation = query.get('propagationPolicy') ?? asText(options.propagationPolicy) ?? 'Background';
  if (propagation !== 'Background' && propagation !== 'Foreground' && propagation !== 'Orphan')
    throw badRequest(
      `propagationPolicy must be Background, Foreground or Orphan, but is ${JSON.stringify(propagation)}`,
    );
  const uid = asText(preconditions.uid);
  const resourceVersion = asText(preconditions.resourceVersion);
  const isOrphan = query.get('orphanDependents') === 'true' || options.orphanDependents === true;
  return {
    propagation: isOrphan ? 'Orphan' : propagation,
    ...parseGrace(query.get('gracePeriodSeconds') ?? options.gracePeriodSeconds),
    ...(uid === undefined ? {} : { uid }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
    dryRun: parseDryRun([...query.getAll('dryRun'), ...asList(options.dryRun)]),
  };
}

function parseGrace(value: unknown): { graceSeconds?: number } {
  if (value === undefined || value === null) return {};
  const seconds = Number(value);
  if (!Number.isInteger(seconds) || seconds < 0)
    throw badRequest(`gracePeriodSeconds must be a whole number of 0 or more, but is ${JSON.stringify(value)}`);
  return { graceSeconds: Math.min(seconds, GRACE_SECONDS_MAX) };
}

/** `dryRun=All`, once or more. Throws ApiError 422 for anything else. */
export function parseDryRun(values: readonly unknown[]): boolean {
  const wrong = values.find((value) => value !== 'All' && value !== '');
  if (wrong !== undefined) throw new ApiError(422, 'Invalid', `dryRun must be All, but is ${JSON.stringify(wrong)}`);
  return values.includes('All');
}

export interface DeletionContext {
  readonly transaction: Transaction;
  readonly definition: ResourceDefinition;
  readonly wallMs: number;
}

/** Throws ApiError 409 when a precondition does not hold. */
export function deleteObject(context: DeletionContext, stored: StoredObject, options: DeleteOptions): Deleted {
  const { transaction } = context;
  assertPreconditions(context.definition, stored, options);
  if (options.propagation === 'Orphan') releaseDependents(transaction, stored);
  const finalizers = finalizersFor(transaction, stored, options);
  const grace = graceFor(context.definition, stored.object, options);
  const isHome = context.definition.builtIn?.holdsObjects === true && transaction.inNamespace(stored.name).length > 0;
  if (grace === 0 && finalizers.length === 0 && !isHome) {
    return { object: transaction.remove(stored, stored.object).object, isGone: true };
  }
  const marked = markForDeletion(isHome ? ending(stored.object) : stored.object, {
    finalizers,
    grace,
    wallMs: context.wallMs,
  });
  const object = marked === stored.object ? marked : transaction.put(stored, marked).object;
  return { object, isGone: false };
}

function assertPreconditions(definition: ResourceDefinition, stored: StoredObject, options: DeleteOptions): void {
  const { name, uid, resourceVersion } = stored.object.metadata;
  const claims = [
    { field: 'UID', wanted: options.uid, found: uid },
    { field: 'ResourceVersion', wanted: options.resourceVersion, found: resourceVersion },
  ];
  for (const { field, wanted, found } of claims) {
    if (wanted === undefined || wanted === found) continue;
    const sentence = `the ${field} in the precondition (${wanted}) does not match the ${field} in record (${found}). The object might have been deleted and then recreated`;
    throw conflict(definition, name, sentence);
  }
  if (resourceName(definition) === 'namespaces' && name === 'default')
    throw forbiddenObject(definition, name, 'this namespace may not be deleted');
}

function finalizersFor(transaction: Transaction, stored: StoredObject, options: DeleteOptions): readonly string[] {
  const { finalizers = [], uid } = stored.object.metadata;
  const mustWait = options.propagation === 'Foreground' && transaction.dependents(uid).length > 0;
  return mustWait && !finalizers.includes(FOREGROUND_FINALIZER) ? [...finalizers, FOREGROUND_FINALIZER] : finalizers;
}

/** A namespace that waits for what is in it. */
function ending(object: ApiObject): ApiObject {
  return object.metadata.deletionTimestamp === undefined ? { ...object, status: { phase: 'Terminating' } } : object;
}

/** The seconds that somebody else has for finishing it; 0: it is finished. */
function graceFor(definition: ResourceDefinition, object: ApiObject, options: DeleteOptions): number {
  const usual = definition.builtIn?.graceSeconds?.(object) ?? 0;
  return usual === 0 ? 0 : (options.graceSeconds ?? usual);
}

function markForDeletion(
  object: ApiObject,
  { finalizers, grace, wallMs }: { finalizers: readonly string[]; grace: number; wallMs: number },
): ApiObject {
  const { metadata } = object;
  const isMarked = metadata.deletionTimestamp !== undefined;
  const isSooner = isMarked && grace < (metadata.deletionGracePeriodSeconds ?? 0);
  const isFinalizerNew = finalizers.length !== (metadata.finalizers ?? []).length;
  if (isMarked && !isSooner && !isFinalizerNew) return object;
  const next: ObjectMetadata = {
    ...metadata,
    ...(finalizers.length > 0 ? { finalizers } : {}),
    ...(isMarked && !isSooner
      ? {}
      : { deletionTimestamp: renderTime(wallMs + grace * 1000), deletionGracePeriodSeconds: grace }),
    ...(metadata.generation === undefined || isMarked ? {} : { generation: metadata.generation + 1 }),
  };
  return { ...object, metadata: next };
}

/** Orphan: what belonged to the object lives on without it. */
function releaseDependents(transaction: Transaction, owner: StoredObject): void {
  for (const dependent of transaction.dependents(owner.object.metadata.uid)) {
    transaction.put(
      dependent,
      withoutOwners(dependent.object, (uid) => uid === owner.object.metadata.uid),
    );
  }
}

export function withoutOwners(object: ApiObject, isGone: (uid: string) => boolean): ApiObject {
  const { ownerReferences = [], ...metadata } = object.metadata;
  const left = ownerReferences.filter((owner) => isObject(owner) && !isGone(owner.uid));
  return { ...object, metadata: left.length === 0 ? metadata : { ...metadata, ownerReferences: left } };
}

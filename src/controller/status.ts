// Writing what was observed: only what changed, only over what was read. Turns the cluster's errors into outcomes.
// Never overwrites what somebody else wrote meanwhile into a spec or a status: that is a conflict, and the object is looked at again.
import { isDeepStrictEqual } from 'node:util';
import type { ClusterObject, KindRef } from '../api/group.ts';
import type { Cluster, ClusterError, ClusterResult, PatchOptions } from '../ports/cluster.ts';
import { OVERTAKEN_WRITES_MAX } from './bounds.ts';
import { isFinal } from './refusals.ts';
import { done, type Outcome } from './work-queue.ts';

export interface StatusOwner extends ClusterObject {
  readonly status?: object;
}

/** Writes the status when it differs. */
export async function writeStatus<T extends StatusOwner>(
  cluster: Cluster,
  { kind, object, status }: { readonly kind: KindRef<T>; readonly object: T; readonly status: object },
  signal: AbortSignal,
): Promise<Outcome> {
  const patch = changesOf(object.status ?? {}, status);
  if (patch === undefined) return done;
  const written = await patchStatusOver(cluster, { kind, object, patch }, signal);
  return written.ok ? done : outcomeOfError(written.error);
}

/** What is written rests on the object as it was read. */
export interface Amendment<T extends ClusterObject> {
  readonly kind: KindRef<T>;
  readonly object: T;
  /** RFC 7386, of the object or of its status. */
  readonly patch: object;
}

export function patchStatusOver<T extends StatusOwner>(
  cluster: Cluster,
  { kind, object, patch }: Amendment<T>,
  signal: AbortSignal,
): ClusterResult<T> {
  const write = (options: PatchOptions) => cluster.patchStatus(kind, object.metadata.name, patch, options);
  return writeOver(cluster, { kind, object, write }, signal);
}

/**
 * Whoever annotates or labels an object moves its version on, and where that is done all the while the cache is always a moment
 * behind. What we write rests on the spec, the status and the finalizers alone: where those are as they were read, it is written
 * over the newer version.
 */
async function writeOver<T extends StatusOwner>(
  cluster: Cluster,
  {
    kind,
    object,
    write,
  }: { readonly kind: KindRef<T>; readonly object: T; write(options: PatchOptions): ClusterResult<T> },
  signal: AbortSignal,
): ClusterResult<T> {
  let { resourceVersion } = object.metadata;
  let written = await write({ ...versionOf(object), signal });
  for (let overtaken = 0; overtaken < OVERTAKEN_WRITES_MAX; overtaken += 1) {
    if (written.ok || written.error.reason !== 'Conflict') return written;
    const newest = await cluster.read(kind, object.metadata.name, signal);
    if (!newest.ok) return newest;
    const isOvertaken = newest.value.metadata.resourceVersion !== resourceVersion;
    if (!isOvertaken || !isSameMatter(object, newest.value)) return written;
    resourceVersion = newest.value.metadata.resourceVersion;
    written = await write({ ...versionOf(newest.value), signal });
  }
  return written;
}

/** The generation stands for the spec and for whether it is being deleted. */
function isSameMatter(read: StatusOwner, newest: StatusOwner): boolean {
  const matterOf = ({ metadata: { uid, generation, finalizers }, status }: StatusOwner) => [
    uid,
    generation,
    finalizers ?? [],
    status ?? {},
  ];
  return isDeepStrictEqual(matterOf(read), matterOf(newest));
}

/** A merge patch from one flat object to another: what is gone is null. Undefined when they are the same. */
function changesOf(before: object, after: object): object | undefined {
  const old = new Map<string, unknown>(Object.entries(before));
  const next = new Map<string, unknown>(Object.entries(after).filter(([, value]) => value !== undefined));
  const patch: Record<string, unknown> = {};
  for (const [key, value] of next) if (!isDeepStrictEqual(old.get(key), value)) patch[key] = value;
  for (const key of old.keys()) if (!next.has(key)) patch[key] = null;
  return Object.keys(patch).length === 0 ? undefined : patch;
}

export function versionOf({ metadata }: ClusterObject): { resourceVersion?: string } {
  return metadata.resourceVersion === undefined ? {} : { resourceVersion: metadata.resourceVersion };
}

/** Gone is done: the next change of the cache says so, too. */
export function outcomeOfError(error: ClusterError): Outcome {
  if (isFinal(error.message)) return failedOf(error);
  switch (error.reason) {
    case 'NotFound':
    case 'Aborted':
      return done;
    case 'Conflict':
    case 'AlreadyExists':
      return { type: 'conflict' };
    case 'Gone':
    case 'Forbidden':
    case 'Unauthorized':
    case 'Invalid':
    case 'Throttled':
    case 'Unavailable':
    case 'Timeout':
      return failedOf(error);
  }
}

function failedOf(error: ClusterError): Outcome {
  const { message: sentence, retryAfterMs } = error;
  return {
    type: 'failed',
    sentence,
    ...(isRefusal(error) ? { isRefused: true } : {}),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}

function isRefusal({ reason, message }: ClusterError): boolean {
  return reason === 'Forbidden' || reason === 'Invalid' || isFinal(message);
}

/** Adds or takes away our finalizer. */
export async function writeFinalizer<T extends ClusterObject>(
  cluster: Cluster,
  {
    kind,
    object,
    finalizer,
    isHeld,
  }: { readonly kind: KindRef<T>; readonly object: T; readonly finalizer: string; readonly isHeld: boolean },
  signal: AbortSignal,
): Promise<Outcome> {
  const { finalizers = [], name } = object.metadata;
  if (finalizers.includes(finalizer) === isHeld) return done;
  const next = isHeld ? [...finalizers, finalizer] : finalizers.filter((one) => one !== finalizer);
  const write = (options: PatchOptions) => cluster.patch(kind, name, { metadata: { finalizers: next } }, options);
  const written = await writeOver(cluster, { kind, object, write }, signal);
  return written.ok ? done : outcomeOfError(written.error);
}

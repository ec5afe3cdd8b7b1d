// Writing what was observed: only what changed, only over the version that was read. Turns the cluster's errors into outcomes.
// Never overwrites what somebody else wrote meanwhile: that is a conflict, and the object is looked at again.
import { isDeepStrictEqual } from 'node:util';
import type { ClusterObject, KindRef } from '../api/group.ts';
import type { Cluster, ClusterError } from '../ports/cluster.ts';
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
  const written = await cluster.patchStatus(kind, object.metadata.name, patch, { ...versionOf(object), signal });
  return written.ok ? done : outcomeOfError(written.error);
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
  const written = await cluster.patch(kind, name, { metadata: { finalizers: next } }, { ...versionOf(object), signal });
  return written.ok ? done : outcomeOfError(written.error);
}

// Children of our objects that nobody watches (disruption budgets, network policies): made once, brought up to date when what is
// wanted changes, looked at again now and then, and taken away when nothing is wanted any more. Never touches an object of that
// name that has another owner.
import { isDeepStrictEqual } from 'node:util';
import type { ClusterObject, KindRef } from '../api/group.ts';
import type { ClusterError } from '../ports/cluster.ts';
import { CHILD_LOOK_MS, PREDECESSOR_LOOK_MS } from './bounds.ts';
import type { ControllerOptions } from './options.ts';
import { controllerOf, isOfPredecessor } from './ownership.ts';
import { outcomeOfError } from './status.ts';
import { done, type Outcome } from './work-queue.ts';

/** By kind and owner's uid: what was written, and when it was seen so. Without a spec: that there is none of ours. */
export type SeenChildren = Map<string, { readonly spec?: object; readonly seenMs: number }>;

interface ChildContext {
  readonly options: ControllerOptions;
  readonly seen: SeenChildren;
  readonly signal: AbortSignal;
}

export interface WantedChild extends ClusterObject {
  readonly spec: object;
}

export type ChildOutcome = Outcome | { readonly type: 'foreign' };

/** `wanted` names its owner. Asks nobody while it wants the same as a moment ago. */
export async function keepChild<T extends WantedChild>(
  kind: KindRef<T>,
  wanted: T,
  { options, seen, signal }: ChildContext,
): Promise<ChildOutcome> {
  const { cluster, clock } = options;
  const owner = controllerOf(wanted)?.uid ?? '';
  const key = `${kind.kind}/${owner}`;
  const last = seen.get(key);
  const isFresh = last?.spec !== undefined && clock.nowMs() - last.seenMs < CHILD_LOOK_MS;
  if (isFresh && isDeepStrictEqual(last.spec, wanted.spec)) return done;
  const found = await cluster.read(kind, wanted.metadata.name, signal);
  if (!found.ok && found.error.reason !== 'NotFound') return outcomeOfError(found.error);
  const inTheWay = found.ok ? findInTheWay(found.value, wanted) : undefined;
  if (inTheWay !== undefined) return inTheWay;
  if (!found.ok || !isDeepStrictEqual(found.value.spec, wanted.spec)) {
    const written = found.ok
      ? await cluster.patch(kind, wanted.metadata.name, { spec: wanted.spec }, { signal })
      : await cluster.create(kind, wanted, signal);
    if (!written.ok) return outcomeOfError(written.error);
  }
  seen.set(key, { spec: wanted.spec, seenMs: clock.nowMs() });
  return done;
}

/** What another owner of the same name had before goes by itself. */
function findInTheWay(found: ClusterObject, wanted: ClusterObject): ChildOutcome | undefined {
  const ours = controllerOf(wanted);
  if (isOfPredecessor(found, ours)) return { type: 'again', afterMs: PREDECESSOR_LOOK_MS };
  return controllerOf(found)?.uid === ours?.uid ? undefined : { type: 'foreign' };
}

/** The child of this name goes if it is the owner's. Looks as rarely as keepChild. A right that is missing is
 * named when the controller starts, and nothing waits for it. */
export async function dropChild(
  kind: KindRef,
  { name, owner }: { readonly name: string; readonly owner: ClusterObject },
  { options, seen, signal }: ChildContext,
): Promise<Outcome> {
  const { cluster, clock } = options;
  const { uid } = owner.metadata;
  const key = `${kind.kind}/${uid ?? ''}`;
  const last = seen.get(key);
  if (last !== undefined && last.spec === undefined && clock.nowMs() - last.seenMs < CHILD_LOOK_MS) return done;
  const found = await cluster.read(kind, name, signal);
  if (!found.ok && !isNoHindrance(found.error)) return outcomeOfError(found.error);
  if (found.ok && uid !== undefined && controllerOf(found.value)?.uid === uid) {
    const removed = await cluster.remove(kind, name, { ...pinned(found.value), signal });
    if (!removed.ok && !isNoHindrance(removed.error)) return outcomeOfError(removed.error);
  }
  seen.set(key, { seenMs: clock.nowMs() });
  return done;
}

function isNoHindrance({ reason }: ClusterError): boolean {
  return reason === 'NotFound' || reason === 'Forbidden';
}

/** Another object of the name, made meanwhile, is not meant. */
function pinned({ metadata }: ClusterObject): { readonly uid?: string } {
  return metadata.uid === undefined ? {} : { uid: metadata.uid };
}

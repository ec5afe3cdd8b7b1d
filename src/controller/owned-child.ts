// Children of our objects that nobody watches (disruption budgets, network policies): made once, brought up to date when what is
// wanted changes, and looked at again now and then. Never touches an object of that name that has another owner.
import { isDeepStrictEqual } from 'node:util';
import type { ClusterObject, KindRef } from '../api/group.ts';
import { CHILD_LOOK_MS } from './bounds.ts';
import type { ControllerOptions } from './options.ts';
import { controllerOf } from './ownership.ts';
import { outcomeOfError } from './status.ts';
import { done, type Outcome } from './work-queue.ts';

/** By kind and owner's uid: what was written, and when it was seen so. */
export type SeenChildren = Map<string, { readonly spec: object; readonly seenMs: number }>;

export interface WantedChild extends ClusterObject {
  readonly spec: object;
}

export type ChildOutcome = Outcome | { readonly type: 'foreign' };

/** `wanted` names its owner. Asks nobody while it wants the same as a moment ago. */
export async function keepChild<T extends WantedChild>(
  kind: KindRef<T>,
  wanted: T,
  { options, seen, signal }: { options: ControllerOptions; seen: SeenChildren; signal: AbortSignal },
): Promise<ChildOutcome> {
  const { cluster, clock } = options;
  const owner = controllerOf(wanted)?.uid ?? '';
  const key = `${kind.kind}/${owner}`;
  const last = seen.get(key);
  const isFresh = last !== undefined && clock.nowMs() - last.seenMs < CHILD_LOOK_MS;
  if (isFresh && isDeepStrictEqual(last.spec, wanted.spec)) return done;
  const found = await cluster.read(kind, wanted.metadata.name, signal);
  if (!found.ok && found.error.reason !== 'NotFound') return outcomeOfError(found.error);
  if (found.ok && controllerOf(found.value)?.uid !== owner) return { type: 'foreign' };
  if (!found.ok || !isDeepStrictEqual(found.value.spec, wanted.spec)) {
    const written = found.ok
      ? await cluster.patch(kind, wanted.metadata.name, { spec: wanted.spec }, { signal })
      : await cluster.create(kind, wanted, signal);
    if (!written.ok) return outcomeOfError(written.error);
  }
  seen.set(key, { spec: wanted.spec, seenMs: clock.nowMs() });
  return done;
}

// Finishes what deletions leave behind: dependents of owners that are gone, owners that wait for their dependents,
// namespaces that are ending, Events that are old. Looks at every commit and at a slow tick; works in small transactions
// of its own, and what it does is seen like any other write.
import { type Clock, every, type Timer } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import type { ApiObject, ObjectMetadata } from './definition.ts';
import { type DeleteOptions, deleteObject, FOREGROUND_FINALIZER, withoutOwners } from './deletion.ts';
import { asText } from './json-value.ts';
import { definitionOf, type KindRegistry } from './kind-registry.ts';
import type { StoredObject } from './object-index.ts';
import type { Change, ObjectStore, Transaction } from './object-store.ts';
import { ensureServiceAccount } from './starting-objects.ts';

/** How long Events are kept, as on a real server. */
const EVENT_MS_MAX = 3_600_000;
/** Events above this number go, oldest first. */
const EVENTS_MAX = 5000;
const TICK_MS = 60_000;

interface CollectorOptions {
  readonly store: ObjectStore;
  readonly registry: KindRegistry;
  readonly clock: Clock;
  readonly log: Log;
}

/** What one commit made worth looking at. */
interface Hints {
  /** Uids of objects that are gone or that wait for their dependents. */
  readonly owners: Set<string>;
  /** Uids of objects whose owners may not exist. */
  readonly dependents: Set<string>;
  readonly namespaces: Set<string>;
}

/** Starts with a look at everything. Returns the function that ends it. */
export function startCollector(options: CollectorOptions): () => void {
  const { store, registry, clock, log } = options;
  let isStopped = false;

  function collect(hints: Hints): void {
    if (isStopped || hints.owners.size + hints.dependents.size + hints.namespaces.size === 0) return;
    const pass = createPass(options);
    void store
      .transact((transaction) => {
        for (const uid of hints.owners) pass.settleOwner(transaction, uid);
        for (const uid of hints.dependents) pass.settleDependent(transaction, uid);
        for (const name of hints.namespaces) pass.settleNamespace(transaction, name);
      })
      .catch((error: unknown) => {
        if (!isStopped) log.warn({ error: String(error) }, 'left-over objects could not be collected');
      });
  }

  const tick = () => {
    const names = expiredEvents(store.list('events'), clock.wallMs());
    void store
      .transact((transaction) => {
        for (const event of names) if (transaction.get(event) !== undefined) transaction.remove(event, event.object);
      })
      .catch((error: unknown) => log.warn({ error: String(error) }, 'old Events could not be removed'));
  };

  store.onCommit((changes) => collect(hintsOf(changes)));
  collect(allHints(store, registry));
  const timer: Timer = every(clock, TICK_MS, tick, { background: true });
  return () => {
    isStopped = true;
    timer.cancel();
  };
}

function hintsOf(changes: readonly Change[]): Hints {
  const hints: Hints = { owners: new Set(), dependents: new Set(), namespaces: new Set() };
  for (const { type, after } of changes) {
    if (type === 'DELETED') noteGone(hints, after);
    else noteWritten(hints, after);
  }
  return hints;
}

function noteGone({ owners, namespaces }: Hints, { object, namespace }: StoredObject): void {
  owners.add(object.metadata.uid);
  for (const owner of object.metadata.ownerReferences ?? []) owners.add(owner.uid);
  if (namespace !== '') namespaces.add(namespace);
}

function noteWritten({ owners, dependents, namespaces }: Hints, { object, kind, name }: StoredObject): void {
  const { metadata } = object;
  if ((metadata.ownerReferences ?? []).length > 0) dependents.add(metadata.uid);
  if (isWaitingForDependents(metadata)) owners.add(metadata.uid);
  if (kind === 'namespaces') namespaces.add(name);
}

function allHints(store: ObjectStore, registry: KindRegistry): Hints {
  const all = [...registry.byName.keys()].flatMap((kind) => store.list(kind));
  return hintsOf(all.map((after) => ({ type: 'MODIFIED', before: after, after })));
}

function isWaitingForDependents(metadata: ObjectMetadata): boolean {
  return metadata.deletionTimestamp !== undefined && (metadata.finalizers ?? []).includes(FOREGROUND_FINALIZER);
}

interface Pass {
  settleOwner(transaction: Transaction, uid: string): void;
  settleDependent(transaction: Transaction, uid: string): void;
  settleNamespace(transaction: Transaction, name: string): void;
}

function createPass({ registry, clock }: CollectorOptions): Pass {
  const remove = (transaction: Transaction, stored: StoredObject, propagation: DeleteOptions['propagation']) => {
    const context = { transaction, definition: definitionOf(registry, stored.kind), wallMs: clock.wallMs() };
    deleteObject(context, stored, { propagation, dryRun: false });
  };

  /** Removes the object when no owner is left, and forgets owners that are gone. */
  function settleDependent(transaction: Transaction, uid: string): void {
    const stored = transaction.byUid(uid);
    const owners = stored?.object.metadata.ownerReferences ?? [];
    if (stored === undefined || owners.length === 0) return;
    // Of an owner of a kind that is not served here nothing is known: it counts as there.
    const isGone = (ownerUid: string) =>
      transaction.byUid(ownerUid) === undefined &&
      owners.some((owner) => owner.uid === ownerUid && registry.hasKind(owner.apiVersion, owner.kind));
    const isLeaving = (ownerUid: string) => {
      const owner = transaction.byUid(ownerUid);
      return owner !== undefined && isWaitingForDependents(owner.object.metadata);
    };
    if (owners.every((owner) => isGone(owner.uid) || isLeaving(owner.uid))) {
      if (stored.object.metadata.deletionTimestamp !== undefined) return;
      remove(transaction, stored, owners.some((owner) => isLeaving(owner.uid)) ? 'Foreground' : 'Background');
    } else if (owners.some((owner) => isGone(owner.uid))) {
      transaction.put(stored, withoutOwners(stored.object, isGone));
    }
  }

  function settleOwner(transaction: Transaction, uid: string): void {
    for (const dependent of transaction.dependents(uid)) settleDependent(transaction, dependent.object.metadata.uid);
    const owner = transaction.byUid(uid);
    if (owner === undefined || !isWaitingForDependents(owner.object.metadata)) return;
    const isBlocked = transaction
      .dependents(uid)
      .some(({ object }) =>
        (object.metadata.ownerReferences ?? []).some((ref) => ref.uid === uid && ref.blockOwnerDeletion === true),
      );
    if (!isBlocked) releaseFinalizer(transaction, owner, FOREGROUND_FINALIZER);
  }

  function settleNamespace(transaction: Transaction, name: string): void {
    const namespace = transaction.get({ kind: 'namespaces', namespace: '', name });
    if (namespace === undefined) return;
    if (namespace.object.metadata.deletionTimestamp === undefined) {
      ensureServiceAccount(transaction, { namespace: name, name: 'default', wallMs: clock.wallMs() });
      return;
    }
    const inside = transaction.inNamespace(name);
    for (const stored of inside) {
      if (stored.object.metadata.deletionTimestamp === undefined) remove(transaction, stored, 'Background');
    }
    if (transaction.inNamespace(name).length === 0) transaction.remove(namespace, namespace.object);
  }

  return { settleOwner, settleDependent, settleNamespace };
}

/** Takes the finalizer away; the object goes when it was the last. */
function releaseFinalizer(transaction: Transaction, stored: StoredObject, finalizer: string): void {
  const finalizers = (stored.object.metadata.finalizers ?? []).filter((name) => name !== finalizer);
  if (finalizers.length === 0) transaction.remove(stored, stored.object);
  else transaction.put(stored, { ...stored.object, metadata: { ...stored.object.metadata, finalizers } });
}

function expiredEvents(events: readonly StoredObject[], wallMs: number): readonly StoredObject[] {
  const byAge = events.map((event) => ({ event, atMs: lastSeenMs(event.object) })).sort((a, b) => a.atMs - b.atMs);
  const surplus = Math.max(0, byAge.length - EVENTS_MAX);
  return byAge.filter(({ atMs }, at) => at < surplus || atMs < wallMs - EVENT_MS_MAX).map(({ event }) => event);
}

function lastSeenMs(event: ApiObject): number {
  const seen = asText(event.lastTimestamp) ?? asText(event.eventTime) ?? event.metadata.creationTimestamp;
  const seenMs = Date.parse(seen);
  return Number.isNaN(seenMs) ? Date.parse(event.metadata.creationTimestamp) : seenMs;
}

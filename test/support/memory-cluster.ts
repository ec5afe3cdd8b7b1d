// The Cluster port in memory, for tests of the controller: objects with versions, generations, finalizers and owners, changes
// told in the next turn, and faults on demand. Its cache is always as new as its objects, one turn later.
import { isDeepStrictEqual } from 'node:util';
import type { ClusterObject, KindRef } from '../../src/api/group.ts';
import { kinds, type Pod } from '../../src/api/kinds.ts';
import { fail, ok } from '../../src/lib/result.ts';
import type { Cluster, ClusterError, ClusterEvent, TokenIdentity } from '../../src/ports/cluster.ts';

type Json = Readonly<Record<string, unknown>>;

export interface MemoryCluster extends Cluster {
  readonly events: ClusterEvent[];
  /** Writes that arrived: verb, kind and name. */
  readonly writes: string[];
  readonly tokens: Map<string, TokenIdentity>;
  /** While set, every write fails so. */
  fault: ClusterError | undefined;
  /** While set, objects of this kind cannot be created. */
  refused: { readonly kind: string; readonly error: ClusterError } | undefined;
  isSyncedNow: boolean;
  /** As a person does: applies, deletes. */
  put<T extends ClusterObject>(kind: KindRef<T>, name: string, spec: unknown): T;
  change<T extends ClusterObject>(kind: KindRef<T>, name: string, patch: object): void;
  drop(kind: KindRef, name: string): void;
  /** As the node does: sets a Pod's status, or ends it. */
  setPodStatus(name: string, status: Pod['status']): void;
  endPod(name: string): void;
  /** Like get, but fails when there is none. */
  must<T extends ClusterObject>(kind: KindRef<T>, name: string): T;
}

export function createMemoryCluster(wallMs: () => number): MemoryCluster {
  const stores = new Map<string, Map<string, ClusterObject>>();
  const lists = new Map<string, readonly ClusterObject[]>();
  const listeners = new Set<(kind: string, name: string) => void>();
  let version = 0;
  let uid = 0;
  const storeOf = (kind: KindRef) => {
    const store = stores.get(kind.kind) ?? new Map<string, ClusterObject>();
    stores.set(kind.kind, store);
    return store;
  };
  const tell = (kind: string, name: string) => {
    lists.delete(kind);
    queueMicrotask(() => {
      for (const listener of listeners) listener(kind, name);
    });
  };
  const at = (ms: number) => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
  const now = () => at(wallMs());
  /** As the API server writes it: when the Pod has to be gone. */
  const graceMsOf = (object: ClusterObject) =>
    1000 * ((object as Partial<Pod>).spec?.terminationGracePeriodSeconds ?? 0);
  const write = (kind: KindRef, object: ClusterObject) => {
    version += 1;
    const next = { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } };
    storeOf(kind).set(object.metadata.name, next);
    tell(kind.kind, object.metadata.name);
    return next;
  };
  const erase = (kind: KindRef, object: ClusterObject) => {
    storeOf(kind).delete(object.metadata.name);
    tell(kind.kind, object.metadata.name);
    for (const other of Object.values(kinds) as KindRef[]) {
      for (const child of [...storeOf(other).values()]) {
        if (child.metadata.ownerReferences?.some((owner) => owner.uid === object.metadata.uid)) remove(other, child);
      }
    }
  };
  /** Pods wait for the node, others for their finalizers. */
  const remove = (kind: KindRef, object: ClusterObject) => {
    const waits = kind.kind === 'Pod' || (object.metadata.finalizers ?? []).length > 0;
    if (!waits) erase(kind, object);
    else if (object.metadata.deletionTimestamp === undefined) {
      const deletionTimestamp = at(wallMs() + graceMsOf(object));
      const generation = (object.metadata.generation ?? 0) + 1;
      write(kind, { ...object, metadata: { ...object.metadata, deletionTimestamp, generation } });
    }
  };
  const create = <T extends ClusterObject>(kind: KindRef<T>, object: T): T => {
    uid += 1;
    const metadata = {
      namespace: 'default',
      creationTimestamp: now(),
      generation: 1,
      uid: `uid-${uid}`,
      ...object.metadata,
    };
    return write(kind, { ...object, metadata }) as T;
  };
  const patched = (kind: KindRef, name: string, patch: object, resourceVersion?: string) => {
    if (cluster.fault !== undefined) return fail(cluster.fault);
    const found = storeOf(kind).get(name);
    if (found === undefined) return fail<ClusterError>({ reason: 'NotFound', message: `no ${kind.kind} ${name}` });
    if (resourceVersion !== undefined && resourceVersion !== found.metadata.resourceVersion)
      return fail<ClusterError>({ reason: 'Conflict', message: 'the object has been modified' });
    const merged = merge(found, patch) as unknown as ClusterObject & { spec?: unknown };
    if (isDeepStrictEqual(merged, found)) return ok(found);
    const next = write(kind, withGeneration(found, merged));
    if (
      next.metadata.deletionTimestamp !== undefined &&
      (next.metadata.finalizers ?? []).length === 0 &&
      kind.kind !== 'Pod'
    )
      erase(kind, next);
    return ok(next);
  };
  const cluster: MemoryCluster = {
    namespace: 'default',
    events: [],
    writes: [],
    tokens: new Map(),
    fault: undefined,
    refused: undefined,
    isSyncedNow: true,
    isSynced: () => cluster.isSyncedNow,
    get: <T extends ClusterObject>(kind: KindRef<T>, name: string) => storeOf(kind).get(name) as T | undefined,
    list<T extends ClusterObject>(kind: KindRef<T>) {
      const known =
        lists.get(kind.kind) ??
        [...storeOf(kind).values()].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
      lists.set(kind.kind, known);
      return known as readonly T[];
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async read<T extends ClusterObject>(kind: KindRef<T>, name: string) {
      const found = storeOf(kind).get(name);
      return found === undefined ? fail<ClusterError>({ reason: 'NotFound', message: `no ${name}` }) : ok(found as T);
    },
    async create<T extends ClusterObject>(kind: KindRef<T>, object: T) {
      cluster.writes.push(`create ${kind.kind} ${object.metadata.name}`);
      if (cluster.fault !== undefined) return fail(cluster.fault);
      if (cluster.refused?.kind === kind.kind) return fail(cluster.refused.error);
      if (storeOf(kind).has(object.metadata.name))
        return fail<ClusterError>({ reason: 'AlreadyExists', message: 'exists' });
      return ok(create(kind, object));
    },
    async patch<T extends ClusterObject>(
      kind: KindRef<T>,
      name: string,
      patch: object,
      options?: { resourceVersion?: string },
    ) {
      cluster.writes.push(`patch ${kind.kind} ${name}`);
      return patched(kind, name, patch, options?.resourceVersion) as never;
    },
    async patchStatus<T extends ClusterObject>(
      kind: KindRef<T>,
      name: string,
      status: object,
      options?: { resourceVersion?: string },
    ) {
      cluster.writes.push(`status ${kind.kind} ${name}`);
      return patched(kind, name, { status }, options?.resourceVersion) as never;
    },
    async remove(kind, name, options) {
      cluster.writes.push(`delete ${kind.kind} ${name}`);
      if (cluster.fault !== undefined) return fail(cluster.fault);
      const found = storeOf(kind).get(name);
      if (found === undefined) return fail<ClusterError>({ reason: 'NotFound', message: `no ${name}` });
      if (options?.uid !== undefined && options.uid !== found.metadata.uid)
        return fail<ClusterError>({ reason: 'Conflict', message: 'uid' });
      remove(kind, found);
      return ok(undefined);
    },
    recordEvent: (event) => void cluster.events.push(event),
    async reviewToken(token) {
      const identity = cluster.tokens.get(token);
      return identity === undefined ? fail<ClusterError>({ reason: 'Unauthorized', message: 'no' }) : ok(identity);
    },
    put: (kind, name, spec) =>
      create(kind, { apiVersion: kind.apiVersion, kind: kind.kind, metadata: { name }, spec } as never),
    change(kind, name, patch) {
      const done = patched(kind, name, patch);
      if (!done.ok) throw new Error(done.error.message);
    },
    drop(kind, name) {
      remove(kind, cluster.must(kind, name));
    },
    setPodStatus(name, status) {
      write(kinds.Pod, { ...cluster.must(kinds.Pod, name), status } as Pod);
    },
    endPod(name) {
      erase(kinds.Pod, cluster.must(kinds.Pod, name));
    },
    must(kind, name) {
      const found = cluster.get(kind, name);
      if (found === undefined) throw new Error(`there is no ${kind.kind} ${name}`);
      return found;
    },
  };
  return cluster;
}

/** The generation grows with the spec, as on a real server. */
function withGeneration(
  before: ClusterObject & { spec?: unknown },
  after: ClusterObject & { spec?: unknown },
): ClusterObject {
  const { generation = 0 } = before.metadata;
  const next = isDeepStrictEqual(after.spec, before.spec) ? generation : generation + 1;
  return { ...after, metadata: { ...after.metadata, generation: next } };
}

/** RFC 7386. */
function merge(target: unknown, patch: unknown): Json {
  const base: Record<string, unknown> = isRecord(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch as Json)) {
    if (value === null) delete base[key];
    else base[key] = isRecord(value) ? merge(base[key], value) : value;
  }
  return base;
}

function isRecord(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

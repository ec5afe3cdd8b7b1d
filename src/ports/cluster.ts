// What the controller needs of Kubernetes. Implemented by src/kube over HTTP, for a real cluster and the embedded one.
import type { ClusterObject, KindRef } from '../api/group.ts';
import type { Result } from '../lib/result.ts';

/** Foreign errors, translated once. `Invalid` carries the server's sentence. */
export type ClusterErrorReason =
  | 'Conflict'
  | 'AlreadyExists'
  | 'NotFound'
  | 'Gone'
  | 'Forbidden'
  | 'Unauthorized'
  | 'Invalid'
  | 'Throttled'
  | 'Unavailable'
  | 'Timeout'
  | 'Aborted';

export interface ClusterError {
  readonly reason: ClusterErrorReason;
  readonly message: string;
  /** Set when the server said when to come back. */
  readonly retryAfterMs?: number;
}

export type ClusterResult<T> = Promise<Result<T, ClusterError>>;

export interface ClusterEvent {
  readonly regarding: ClusterObject;
  readonly type: 'Normal' | 'Warning';
  /** One CamelCase word, stable. */
  readonly reason: string;
  readonly message: string;
}

/** A patch is RFC 7386. With `resourceVersion` it fails with Conflict when the object has moved on. */
export interface PatchOptions {
  readonly resourceVersion?: string;
  readonly signal?: AbortSignal;
}

export interface DeleteOptions {
  readonly gracePeriodSeconds?: number;
  /** Refuses with Conflict when another object has the name by now. */
  readonly uid?: string;
  readonly signal?: AbortSignal;
}

export interface TokenIdentity {
  readonly username: string;
  /** Set for tokens bound to a Pod. */
  readonly podName?: string;
  readonly podUid?: string;
  /** Wall clock; missing for tokens that have no end or do not tell it. */
  readonly expiresAtMs?: number;
}

/** One namespace of objects. Reads come from a watched cache; writes go to the server. */
export interface Cluster {
  readonly namespace: string;
  /** True once every watched kind has been listed. Nothing is decided before (DESIGN §7). */
  isSynced(): boolean;
  /** From the cache. Undefined when there is none (or not yet). */
  get<T extends ClusterObject>(kind: KindRef<T>, name: string): T | undefined;
  /** From the cache, in name order. */
  list<T extends ClusterObject>(kind: KindRef<T>): readonly T[];
  /** Called after the cache changed, once per object key. Returns the function that ends it. */
  onChange(listener: (kind: string, name: string) => void): () => void;
  /** Straight from the server, for kinds that are not watched (Secrets). */
  read<T extends ClusterObject>(kind: KindRef<T>, name: string, signal?: AbortSignal): ClusterResult<T>;
  create<T extends ClusterObject>(kind: KindRef<T>, object: T, signal?: AbortSignal): ClusterResult<T>;
  patch<T extends ClusterObject>(
    kind: KindRef<T>,
    name: string,
    patch: object,
    options?: PatchOptions,
  ): ClusterResult<T>;
  patchStatus<T extends ClusterObject>(
    kind: KindRef<T>,
    name: string,
    status: object,
    options?: PatchOptions,
  ): ClusterResult<T>;
  remove(kind: KindRef, name: string, options?: DeleteOptions): ClusterResult<void>;
  /** Best effort, aggregated, bounded; never fails a reconcile. */
  recordEvent(event: ClusterEvent): void;
  /** Who a bearer token belongs to, for one audience. `Unauthorized` when nobody. */
  reviewToken(token: string, audience: string, signal?: AbortSignal): ClusterResult<TokenIdentity>;
}

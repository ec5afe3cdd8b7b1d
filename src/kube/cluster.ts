// The Cluster port over a Kubernetes API server: reads from watched caches, writes to the server. Owns the transport,
// the reflectors and the event recorder. Never retries a write: its caller's queue does.
import type { ClusterObject, KindRef } from '../api/group.ts';
import { assert } from '../lib/assert.ts';
import { type Clock, deadlineSignal } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { Rng } from '../lib/rng.ts';
import type {
  Cluster,
  ClusterEvent,
  ClusterResult,
  DeleteOptions,
  PatchOptions,
  TokenIdentity,
} from '../ports/cluster.ts';
import { clientOver, type KubeClient } from './client.ts';
import type { Connection } from './connection.ts';
import { createEventRecorder, type EventRecorder } from './event-recorder.ts';
import { createObjectCache, type IndexName, type ObjectCache } from './object-cache.ts';
import { reflect } from './reflector.ts';
import { reviewToken } from './token-review.ts';
import { createKubeTransport, type KubeTransport } from './transport.ts';

export interface KubeClusterOptions {
  readonly connection: Connection;
  readonly namespace: string;
  /** The kinds that are kept in the cache. `get` and `list` of any other is a broken promise. */
  readonly watch: readonly KindRef[];
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  /** Who says it in Events. */
  readonly component: string;
}

export interface KubeCluster extends Cluster {
  /** Resolves once every watched kind has been listed; keeps trying until then. Rejects when stop comes first. */
  start(): Promise<void>;
  /** Writes the events that wait (for at most 1 s) and ends everything. */
  stop(): Promise<void>;
  /** From the cache, in name order: by pool label, or by the uid of an owner. */
  listBy<T extends ClusterObject>(kind: KindRef<T>, index: IndexName, key: string): readonly T[];
}

const LAST_EVENTS_MS_MAX = 1000;

export function createKubeCluster(options: KubeClusterOptions): KubeCluster {
  return new WatchedCluster(options);
}

type Listener = (kind: string, name: string) => void;

class WatchedCluster implements KubeCluster {
  readonly namespace: string;
  readonly #options: KubeClusterOptions;
  readonly #transport: KubeTransport;
  readonly #client: KubeClient;
  readonly #events: EventRecorder;
  readonly #caches: ReadonlyMap<string, ObjectCache>;
  readonly #unsynced: Set<string>;
  readonly #listeners = new Set<Listener>();
  readonly #stopping = new AbortController();
  #reflectors: Promise<void>[] = [];

  constructor(options: KubeClusterOptions) {
    const { connection, namespace, clock, log, component } = options;
    this.#options = options;
    this.namespace = namespace;
    this.#transport = createKubeTransport(connection, clock);
    this.#client = clientOver(this.#transport);
    this.#events = createEventRecorder({ client: this.#client, namespace, component, clock, log });
    this.#caches = new Map(options.watch.map((kind) => [keyOf(kind), createObjectCache()]));
    this.#unsynced = new Set(this.#caches.keys());
  }

  start(): Promise<void> {
    assert(this.#reflectors.length === 0, 'a cluster is started once');
    return new Promise((resolve, reject) => {
      const { signal } = this.#stopping;
      signal.addEventListener('abort', () => reject(new Error('the cluster was stopped before it had been read')), {
        once: true,
      });
      const onSynced = (kind: KindRef) => {
        this.#unsynced.delete(keyOf(kind));
        if (this.isSynced()) resolve();
      };
      this.#reflectors = this.#options.watch.map((kind) => this.#reflect(kind, onSynced));
      if (this.isSynced()) resolve();
    });
  }

  #reflect(kind: KindRef, onSynced: (kind: KindRef) => void): Promise<void> {
    const { clock, rng, log } = this.#options;
    const options = {
      kind,
      namespace: this.namespace,
      client: this.#client,
      transport: this.#transport,
      cache: this.#cacheOf(kind),
      clock,
      rng,
      log,
      onSynced: () => onSynced(kind),
      onChange: (name: string) => this.#notify(kind.kind, name),
    };
    return reflect(options, this.#stopping.signal);
  }

  async stop(): Promise<void> {
    const last = deadlineSignal(this.#options.clock, LAST_EVENTS_MS_MAX, { reason: new Error('stopping') });
    await this.#events.stop(last.signal);
    last.cancel();
    this.#stopping.abort(new Error('stopping'));
    await Promise.all(this.#reflectors);
    await this.#client.close();
  }

  isSynced(): boolean {
    return this.#unsynced.size === 0;
  }

  get<T extends ClusterObject>(kind: KindRef<T>, name: string): T | undefined {
    return this.#cacheOf(kind).get(name);
  }

  list<T extends ClusterObject>(kind: KindRef<T>): readonly T[] {
    return this.#cacheOf(kind).list();
  }

  listBy<T extends ClusterObject>(kind: KindRef<T>, index: IndexName, key: string): readonly T[] {
    return this.#cacheOf(kind).listBy(index, key);
  }

  onChange(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  read<T extends ClusterObject>(kind: KindRef<T>, name: string, signal?: AbortSignal): ClusterResult<T> {
    return this.#client.get(kind, this.#place(name), signal);
  }

  create<T extends ClusterObject>(kind: KindRef<T>, object: T, signal?: AbortSignal): ClusterResult<T> {
    return this.#client.create(kind, object, {
      namespace: this.namespace,
      ...(signal === undefined ? {} : { signal }),
    });
  }

  patch<T extends ClusterObject>(
    kind: KindRef<T>,
    name: string,
    patch: object,
    options?: PatchOptions,
  ): ClusterResult<T> {
    return this.#client.patch(kind, this.#place(name), patch, options);
  }

  /** `status` is merged too: a field that is to go is null, and a list is replaced as a whole. */
  patchStatus<T extends ClusterObject>(
    kind: KindRef<T>,
    name: string,
    status: object,
    options?: PatchOptions,
  ): ClusterResult<T> {
    return this.#client.patch(kind, { ...this.#place(name), subresource: 'status' }, { status }, options);
  }

  remove(kind: KindRef, name: string, options?: DeleteOptions): ClusterResult<void> {
    return this.#client.remove(kind, this.#place(name), options);
  }

  recordEvent(event: ClusterEvent): void {
    this.#events.record(event);
  }

  reviewToken(token: string, audience: string, signal?: AbortSignal): ClusterResult<TokenIdentity> {
    return reviewToken(this.#transport, token, audience, signal);
  }

  #place(name: string): { namespace: string; name: string } {
    return { namespace: this.namespace, name };
  }

  /** The cache under a kind's key holds that kind's objects alone: only its reflector writes there. */
  #cacheOf<T extends ClusterObject>(kind: KindRef<T>): ObjectCache<T> {
    const cache = this.#caches.get(keyOf(kind));
    assert(cache !== undefined, `the kind ${kind.kind} is watched`);
    return cache as unknown as ObjectCache<T>;
  }

  #notify(kind: string, name: string): void {
    for (const listener of this.#listeners) {
      try {
        listener(kind, name);
      } catch (error) {
        this.#options.log.error({ kind, name, error: String(error) }, 'a change could not be handled');
      }
    }
  }
}

function keyOf(kind: KindRef): string {
  return `${kind.apiVersion}/${kind.kind}`;
}

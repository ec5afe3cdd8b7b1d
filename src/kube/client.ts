// The verbs of Kubernetes over the transport, by kind and name, with JSON merge patches only. Untyped JSON in, typed
// objects out. Never caches and never retries.
import type { ClusterObject, KindRef } from '../api/group.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import { fail, ok, type Result } from '../lib/result.ts';
import type { ClusterError, ClusterResult, DeleteOptions, PatchOptions } from '../ports/cluster.ts';
import { errorOfAnswer, type KubeAnswer, record } from './answers.ts';
import type { Connection } from './connection.ts';
import { createKubeTransport, type KubeCall, type KubeTransport } from './transport.ts';

/** Without a namespace: a kind of the whole cluster. */
export interface Place {
  readonly namespace?: string;
  readonly name: string;
}

export interface ListOptions {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly limit?: number;
  /** From the page before. */
  readonly continueToken?: string;
  readonly signal?: AbortSignal;
}

export interface ObjectPage<T> {
  readonly items: readonly T[];
  readonly resourceVersion: string;
  readonly continueToken?: string;
}

export interface KubeClient {
  list<T extends ClusterObject>(kind: KindRef<T>, options?: ListOptions): ClusterResult<ObjectPage<T>>;
  get<T extends ClusterObject>(kind: KindRef<T>, place: Place, signal?: AbortSignal): ClusterResult<T>;
  create<T extends ClusterObject>(
    kind: KindRef<T>,
    object: object,
    options?: { namespace?: string; signal?: AbortSignal },
  ): ClusterResult<T>;
  /** Conflict when the object's resourceVersion is not the server's any more. */
  replace<T extends ClusterObject>(kind: KindRef<T>, object: T, signal?: AbortSignal): ClusterResult<T>;
  patch<T extends ClusterObject>(
    kind: KindRef<T>,
    place: Place & { subresource?: 'status' },
    patch: object,
    options?: PatchOptions,
  ): ClusterResult<T>;
  remove(kind: KindRef, place: Place, options?: DeleteOptions): ClusterResult<void>;
  /** Any call, refusals included as answers. Rejects with a sentence when there is no answer at all. */
  send(call: KubeCall): Promise<KubeAnswer>;
  close(): Promise<void>;
}

export function createKubeClient(connection: Connection, clock: Clock = systemClock): KubeClient {
  return clientOver(createKubeTransport(connection, clock));
}

/** The same over a transport that others use too; closing it closes that. */
export function clientOver(transport: KubeTransport): KubeClient {
  const call = async <T>(
    request: KubeCall,
    read: (body: unknown) => T | undefined,
  ): Promise<Result<T, ClusterError>> => {
    const sent = await transport.send(request);
    if (!sent.ok) return sent;
    if (sent.value.status >= 300) return fail(errorOfAnswer(sent.value));
    const value = read(sent.value.body);
    return value === undefined
      ? fail({
          reason: 'Unavailable',
          message: `the answer to ${request.method} ${request.path} is not what was asked for`,
        })
      : ok(value);
  };
  return {
    list: (kind, options = {}) =>
      call(
        { method: 'GET', path: pathOfKind(kind, options.namespace) + listQuery(options), ...abortable(options.signal) },
        (body) => readPage(kind, body),
      ),
    get: (kind, place, signal) =>
      call({ method: 'GET', path: pathOfObject(kind, place), ...abortable(signal) }, (body) => readObject(kind, body)),
    create: (kind, object, options = {}) =>
      call(
        { method: 'POST', path: pathOfKind(kind, options.namespace), body: object, ...abortable(options.signal) },
        (body) => readObject(kind, body),
      ),
    replace: (kind, object, signal) =>
      call({ method: 'PUT', path: pathOfObject(kind, object.metadata), body: object, ...abortable(signal) }, (body) =>
        readObject(kind, body),
      ),
    patch: (kind, place, patch, options = {}) =>
      call(patchCall(kind, place, patch, options), (body) => readObject(kind, body)),
    async remove(kind, place, options = {}) {
      const removed = await call(deleteCall(kind, place, options), () => true);
      return removed.ok ? ok(undefined) : removed;
    },
    async send(request) {
      const sent = await transport.send(request);
      if (sent.ok) return sent.value;
      throw new Error(sent.error.message);
    },
    close: () => transport.close(),
  };
}

function patchCall(
  kind: KindRef,
  place: Place & { subresource?: 'status' },
  patch: object,
  options: PatchOptions,
): KubeCall {
  const { resourceVersion } = options;
  const body =
    resourceVersion === undefined
      ? patch
      : { ...patch, metadata: { ...record(record(patch).metadata), resourceVersion } };
  const path = pathOfObject(kind, place) + (place.subresource === undefined ? '' : `/${place.subresource}`);
  return {
    method: 'PATCH',
    path,
    body,
    headers: { 'content-type': 'application/merge-patch+json' },
    ...abortable(options.signal),
  };
}

function deleteCall(kind: KindRef, place: Place, { gracePeriodSeconds, uid, signal }: DeleteOptions): KubeCall {
  const body = {
    apiVersion: 'v1',
    kind: 'DeleteOptions',
    propagationPolicy: 'Background',
    ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
    ...(uid === undefined ? {} : { preconditions: { uid } }),
  };
  return { method: 'DELETE', path: pathOfObject(kind, place), body, ...abortable(signal) };
}

function abortable(signal: AbortSignal | undefined): { signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}

export function pathOfKind(kind: KindRef, namespace?: string): string {
  const root = kind.apiVersion.includes('/') ? `/apis/${kind.apiVersion}` : `/api/${kind.apiVersion}`;
  return `${root}${namespace === undefined ? '' : `/namespaces/${encodeURIComponent(namespace)}`}/${kind.plural}`;
}

function pathOfObject(kind: KindRef, place: Place): string {
  return `${pathOfKind(kind, place.namespace)}/${encodeURIComponent(place.name)}`;
}

function listQuery({ labelSelector, limit, continueToken }: ListOptions): string {
  const query = new URLSearchParams();
  if (labelSelector !== undefined) query.set('labelSelector', labelSelector);
  if (limit !== undefined) query.set('limit', String(limit));
  if (continueToken !== undefined) query.set('continue', continueToken);
  return query.size === 0 ? '' : `?${query}`;
}

function readPage<T extends ClusterObject>(kind: KindRef<T>, body: unknown): ObjectPage<T> | undefined {
  const { items, metadata } = record(body);
  const { resourceVersion, continue: next } = record(metadata);
  if (!(Array.isArray(items) || items === null) || typeof resourceVersion !== 'string') return undefined;
  const objects = (items ?? []).map((item: unknown) => readObject(kind, item));
  if (objects.some((object) => object === undefined)) return undefined;
  return {
    items: objects.filter((object) => object !== undefined),
    resourceVersion,
    ...(typeof next === 'string' && next !== '' ? { continueToken: next } : {}),
  };
}

/** An object of the kind, or undefined when it has no name. Items of lists do not say what they are: it is added. */
export function readObject<T extends ClusterObject>(kind: KindRef<T>, value: unknown): T | undefined {
  const object = record(value);
  if (typeof record(object.metadata).name !== 'string') return undefined;
  // The server has validated it against the kind's schema.
  return { ...object, apiVersion: kind.apiVersion, kind: kind.kind } as unknown as T;
}

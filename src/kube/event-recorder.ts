// Kubernetes Events about our objects: equal ones are counted up instead of written anew, an object that would flood is
// cut off, and everything is best effort behind a bounded queue. Never fails or delays its caller.
import { randomBytes } from 'node:crypto';
import type { ClusterObject, KindRef } from '../api/group.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { ClusterEvent } from '../ports/cluster.ts';
import { EVENT_REFILL_MS, EVENT_SERIES_MAX, EVENT_TOKENS_MAX, EVENTS_QUEUED_MAX } from './bounds.ts';
import type { KubeClient } from './client.ts';

const eventKind: KindRef<ClusterObject> = { apiVersion: 'v1', kind: 'Event', plural: 'events' };
/** The server's bounds for an event's texts. */
const MESSAGE_CHARS_MAX = 1024;

interface RecorderOptions {
  readonly client: Pick<KubeClient, 'create' | 'patch'>;
  readonly namespace: string;
  /** Who says it. */
  readonly component: string;
  readonly clock: Clock;
  readonly log: Log;
}

export interface EventRecorder {
  record(event: ClusterEvent): void;
  /** Writes what waits, unless `signal` aborts; later events are dropped. */
  stop(signal: AbortSignal): Promise<void>;
}

/** Events that are equal but for their time, and the object they are kept in. */
interface Series {
  readonly name: string;
  readonly first: string;
  count: number;
  last: string;
  isWritten: boolean;
  isQueued: boolean;
  readonly event: ClusterEvent;
}

export function createEventRecorder({ client, namespace, component, clock, log }: RecorderOptions): EventRecorder {
  const seriesByKey = createRecent<Series>(EVENT_SERIES_MAX);
  const buckets = createRecent<Bucket>(EVENT_SERIES_MAX);
  const queue: Series[] = [];
  const stopping = new AbortController();
  let isStopped = false;
  let writing: Promise<void> | undefined;

  function record(event: ClusterEvent): void {
    if (isStopped) return;
    const { uid = '', name } = event.regarding.metadata;
    const bucket = buckets.take(uid, () => ({ tokens: EVENT_TOKENS_MAX, atMs: clock.nowMs() }));
    if (!spend(bucket, clock.nowMs()) || queue.length >= EVENTS_QUEUED_MAX) {
      log.debug({ reason: event.reason, name }, 'dropped an event: there are too many');
      return;
    }
    const now = new Date(clock.wallMs()).toISOString().replace(/\.\d+Z$/, 'Z');
    const key = JSON.stringify([uid, event.type, event.reason, event.message]);
    const series = seriesByKey.take(key, () => newSeries(event, now));
    series.count += 1;
    series.last = now;
    if (series.isQueued) return;
    series.isQueued = true;
    queue.push(series);
    writing ??= drain();
  }

  async function drain(): Promise<void> {
    for (let series = queue.shift(); series !== undefined; series = queue.shift()) {
      series.isQueued = false;
      await write(series).catch((error: unknown) =>
        log.warn({ error: String(error) }, 'an event could not be written'),
      );
    }
    writing = undefined;
  }

  async function write(series: Series): Promise<void> {
    if (series.isWritten) {
      const figures = { count: series.count, lastTimestamp: series.last };
      const patched = await client.patch(eventKind, { namespace, name: series.name }, figures, {
        signal: stopping.signal,
      });
      if (patched.ok) return;
      // Events expire after an hour or so: then it is written anew.
      if (patched.error.reason !== 'NotFound') throw new Error(patched.error.message);
    }
    const created = await client.create(eventKind, renderEvent(series, namespace, component), {
      namespace,
      signal: stopping.signal,
    });
    if (!created.ok) throw new Error(created.error.message);
    series.isWritten = true;
  }

  return {
    record,
    async stop(signal) {
      isStopped = true;
      const cut = () => {
        queue.length = 0;
        stopping.abort();
      };
      if (signal.aborted) cut();
      else signal.addEventListener('abort', cut, { once: true });
      await writing;
    },
  };
}

function newSeries(event: ClusterEvent, now: string): Series {
  const name = `${event.regarding.metadata.name.slice(0, 200)}.${randomBytes(8).toString('hex')}`;
  return { name, first: now, last: now, count: 0, isWritten: false, isQueued: false, event };
}

function renderEvent({ name, first, last, count, event }: Series, namespace: string, component: string): object {
  const { regarding } = event;
  const { uid, resourceVersion } = regarding.metadata;
  return {
    apiVersion: eventKind.apiVersion,
    kind: eventKind.kind,
    metadata: { name, namespace },
    involvedObject: {
      apiVersion: regarding.apiVersion,
      kind: regarding.kind,
      namespace,
      name: regarding.metadata.name,
      ...(uid === undefined ? {} : { uid }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    },
    type: event.type,
    reason: event.reason,
    message: event.message.slice(0, MESSAGE_CHARS_MAX),
    count,
    firstTimestamp: first,
    lastTimestamp: last,
    source: { component },
    reportingComponent: component,
  };
}

interface Bucket {
  tokens: number;
  atMs: number;
}

/** Takes one token; false when there is none. */
function spend(bucket: Bucket, nowMs: number): boolean {
  const refills = Math.floor((nowMs - bucket.atMs) / EVENT_REFILL_MS);
  bucket.tokens = Math.min(EVENT_TOKENS_MAX, bucket.tokens + refills);
  bucket.atMs = bucket.tokens === EVENT_TOKENS_MAX ? nowMs : bucket.atMs + refills * EVENT_REFILL_MS;
  if (bucket.tokens === 0) return false;
  bucket.tokens -= 1;
  return true;
}

/** A map that forgets what was not taken for longest. */
function createRecent<T>(max: number): { take(key: string, make: () => T): T } {
  const entries = new Map<string, T>();
  return {
    take(key, make) {
      const value = entries.get(key) ?? make();
      entries.delete(key);
      entries.set(key, value);
      const oldest = entries.keys().next();
      if (entries.size > max && oldest.done !== true) entries.delete(oldest.value);
      return value;
    },
  };
}

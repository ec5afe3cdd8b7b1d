// Keeps one kind's cache equal to the server: list in pages, watch from there, resume, list again when the version is
// gone. Comes back from everything by itself and never hot-loops. Never writes to the server.
import type { ClusterObject, KindRef } from '../api/group.ts';
import { type Clock, delay } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { Rng } from '../lib/rng.ts';
import type { ClusterError, ClusterResult } from '../ports/cluster.ts';
import {
  FAILURES_UNTIL_RELIST,
  LIST_PAGE_LIMIT,
  RETRY_AFTER_MS_MAX,
  RETRY_MS_BASE,
  RETRY_MS_MAX,
  WATCH_LINE_BYTES_MAX,
  WATCH_SECONDS_MAX,
  WATCH_SECONDS_MIN,
  WATCH_SETTLED_MS,
  WATCH_SILENCE_MS_MAX,
} from './bounds.ts';
import { type KubeClient, type ObjectPage, pathOfKind } from './client.ts';
import { createLineSplitter } from './lines.ts';
import type { ObjectCache } from './object-cache.ts';
import type { KubeTransport } from './transport.ts';
import { parseWatchEvent, type WatchEvent } from './watch-events.ts';

export interface ReflectorOptions<T extends ClusterObject> {
  readonly kind: KindRef<T>;
  readonly namespace: string;
  readonly client: KubeClient;
  readonly transport: KubeTransport;
  readonly cache: ObjectCache<T>;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  /** Called after the first complete list. */
  onSynced(): void;
  /** Called after the cache changed. */
  onChange(name: string): void;
}

/** How a list or a watch ended. */
interface Ending {
  readonly kind: 'listed' | 'watched' | 'failed';
  readonly reason: string;
  /** The version is of no use any more. */
  readonly isGone?: boolean;
  /** Of a watch that the server opened: how long it lasted. What only failed slowly has none. */
  readonly livedMs?: number;
  readonly retryAfterMs?: number;
}

/** Runs until the signal aborts. Never rejects. */
export async function reflect<T extends ClusterObject>(
  options: ReflectorOptions<T>,
  signal: AbortSignal,
): Promise<void> {
  const reflector = new Reflector(options);
  while (!signal.aborted) await reflector.step(signal);
}

class Reflector<T extends ClusterObject> {
  readonly #options: ReflectorOptions<T>;
  /** Where the next watch begins; undefined when a list is needed. */
  #version: string | undefined;
  #isSynced = false;
  #failures = 0;

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
  }

  /** One list or one watch, and the pause after it. */
  async step(signal: AbortSignal): Promise<void> {
    const ending = this.#version === undefined ? await this.#list(signal) : await this.#watch(this.#version, signal);
    if (signal.aborted || ending.kind === 'listed') return;
    if ((ending.livedMs ?? 0) >= WATCH_SETTLED_MS) this.#failures = 0;
    else this.#failures += 1;
    const isStuck = this.#failures > 0 && this.#failures % FAILURES_UNTIL_RELIST === 0;
    if (ending.isGone === true || isStuck) this.#version = undefined;
    await this.#pause(ending, signal);
  }

  async #pause(ending: Ending, signal: AbortSignal): Promise<void> {
    const { clock, rng, log, kind } = this.#options;
    const jitterMs =
      this.#failures === 0
        ? 0
        : rng.next() * Math.min(RETRY_MS_MAX, RETRY_MS_BASE * 2 ** Math.min(this.#failures - 1, 10));
    const pauseMs = Math.round(Math.max(jitterMs, Math.min(ending.retryAfterMs ?? 0, RETRY_AFTER_MS_MAX)));
    const facts = { kind: kind.kind, reason: ending.reason, pauseMs };
    if (ending.kind === 'failed') log.warn(facts, 'the watch of a kind failed and is begun again');
    else log.debug(facts, 'the watch of a kind ended and is begun again');
    if (pauseMs > 0) await delay(clock, pauseMs, signal).catch(() => undefined);
  }

  async #list(signal: AbortSignal): Promise<Ending> {
    let pages = await this.#readPages(LIST_PAGE_LIMIT, signal);
    // The list took longer than the server remembers: once in one piece.
    if (!pages.ok && pages.error.reason === 'Gone') pages = await this.#readPages(undefined, signal);
    if (!pages.ok) return failed(pages.error);
    const { cache, onChange, onSynced } = this.#options;
    this.#version = pages.value.resourceVersion;
    const changed = cache.replace(pages.value.items);
    const isFirst = !this.#isSynced;
    this.#isSynced = true;
    if (isFirst) onSynced();
    for (const name of changed) onChange(name);
    return { kind: 'listed', reason: 'listed' };
  }

  async #readPages(limit: number | undefined, signal: AbortSignal): ClusterResult<ObjectPage<T>> {
    const { client, kind, namespace } = this.#options;
    const items: T[] = [];
    let continueToken: string | undefined;
    for (;;) {
      const page = await client.list(kind, {
        namespace,
        signal,
        ...(limit === undefined ? {} : { limit }),
        ...(continueToken === undefined ? {} : { continueToken }),
      });
      if (!page.ok) return page;
      items.push(...page.value.items);
      continueToken = page.value.continueToken;
      if (continueToken === undefined)
        return { ok: true, value: { items, resourceVersion: page.value.resourceVersion } };
    }
  }

  async #watch(version: string, signal: AbortSignal): Promise<Ending> {
    const { clock, transport } = this.#options;
    const watchdog = createWatchdog(clock, signal);
    try {
      const opened = await transport.open(this.#watchPath(version), watchdog.signal);
      if (!opened.ok) return failed(opened.error);
      const openedAtMs = clock.nowMs();
      const ending = await this.#followToEnd(opened.value, watchdog);
      return { ...ending, livedMs: clock.nowMs() - openedAtMs };
    } finally {
      watchdog.stop();
    }
  }

  /** Never rejects. */
  async #followToEnd(bytes: AsyncIterable<Uint8Array>, watchdog: Watchdog): Promise<Ending> {
    try {
      return await this.#follow(bytes, watchdog);
    } catch (error) {
      const reason = watchdog.isSilent()
        ? `the watch was silent for ${WATCH_SILENCE_MS_MAX} ms`
        : `the watch was cut: ${error instanceof Error ? error.message : String(error)}`;
      return { kind: 'failed', reason };
    }
  }

  #watchPath(version: string): string {
    const { kind, namespace, rng } = this.#options;
    const seconds = WATCH_SECONDS_MIN + rng.below(WATCH_SECONDS_MAX - WATCH_SECONDS_MIN + 1);
    const query = new URLSearchParams({
      watch: 'true',
      resourceVersion: version,
      allowWatchBookmarks: 'true',
      timeoutSeconds: String(seconds),
    });
    return `${pathOfKind(kind, namespace)}?${query}`;
  }

  async #follow(bytes: AsyncIterable<Uint8Array>, watchdog: Watchdog): Promise<Ending> {
    const splitter = createLineSplitter(WATCH_LINE_BYTES_MAX);
    for await (const chunk of bytes) {
      watchdog.heard();
      const lines = splitter.push(chunk);
      if (lines === undefined)
        return { kind: 'failed', reason: `a watch event is larger than ${WATCH_LINE_BYTES_MAX} bytes`, isGone: true };
      for (const line of lines) {
        const ending = line === '' ? undefined : this.#apply(parseWatchEvent(this.#options.kind, line));
        if (ending !== undefined) return ending;
      }
    }
    return { kind: 'watched', reason: 'the server ended the watch' };
  }

  #apply(event: WatchEvent<T>): Ending | undefined {
    const { cache, log, kind, onChange } = this.#options;
    if (event.type === 'error') return { ...failed(event.error), isGone: true };
    if (event.type === 'bad') return { kind: 'failed', reason: event.reason, isGone: true };
    if (event.type === 'unknown') {
      log.warn({ kind: kind.kind, type: event.name }, 'ignored a watch event of an unknown type');
      return undefined;
    }
    this.#version = event.version;
    if (event.type === 'bookmark') return undefined;
    const { name } = event.object.metadata;
    const hasChanged = event.type === 'put' ? cache.put(event.object) : cache.remove(name);
    if (hasChanged) onChange(name);
    return undefined;
  }
}

/** Refusals that have nothing to do with the version keep it; every other one lists again. */
function failed(error: ClusterError): Ending {
  const keepsVersion =
    error.reason === 'Throttled' ||
    error.reason === 'Unavailable' ||
    error.reason === 'Timeout' ||
    error.reason === 'Aborted';
  return {
    kind: 'failed',
    reason: error.message,
    isGone: !keepsVersion,
    ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs }),
  };
}

interface Watchdog {
  readonly signal: AbortSignal;
  heard(): void;
  isSilent(): boolean;
  stop(): void;
}

/** Aborts when nothing was heard for WATCH_SILENCE_MS_MAX, or when `parent` aborts. */
function createWatchdog(clock: Clock, parent: AbortSignal): Watchdog {
  const own = new AbortController();
  let isSilent = false;
  let heardAtMs = clock.nowMs();
  const onParent = () => own.abort(parent.reason);
  parent.addEventListener('abort', onParent, { once: true });
  const look = () => {
    const leftMs = heardAtMs + WATCH_SILENCE_MS_MAX - clock.nowMs();
    if (leftMs > 0) {
      timer = clock.after(leftMs, look);
      return;
    }
    isSilent = true;
    own.abort(new Error('silent'));
  };
  let timer = clock.after(WATCH_SILENCE_MS_MAX, look);
  return {
    signal: own.signal,
    heard() {
      heardAtMs = clock.nowMs();
    },
    isSilent: () => isSilent,
    stop() {
      timer.cancel();
      parent.removeEventListener('abort', onParent);
    },
  };
}

// Who watches what: passes every commit on to the watches of its kind, as each of them sees it through its selectors.
// Bounds the number of watches. Knows nothing of HTTP.
import { type Clock, every } from '../../lib/clock.ts';
import type { ApiObject } from './definition.ts';
import type { StoredObject } from './object-index.ts';
import type { Change } from './object-store.ts';
import type { ObjectFilter } from './selectors.ts';
import { tooManyRequests } from './status-error.ts';

export const WATCHES_MAX = 1000;
/** Also what keeps a quiet watch from looking dead. */
export const BOOKMARK_MS = 30_000;

export interface Scope {
  readonly kind: string;
  /** Undefined: all namespaces. */
  readonly namespace: string | undefined;
  readonly matches: ObjectFilter;
}

export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: ApiObject;
}

export interface Watcher extends Scope {
  deliver(event: WatchEvent): void;
  /** Nothing else happened up to the version. */
  bookmark(version: number): void;
  /** The server stops. */
  end(): void;
}

export interface WatchHub {
  publish(changes: readonly Change[]): void;
  /** Throws ApiError 429 when there are too many. Returns the function that ends it. */
  add(watcher: Watcher): () => void;
  size(): number;
  /** Ends every watch. */
  stop(): void;
}

export function createWatchHub(clock: Clock, version: () => number): WatchHub {
  const byKind = new Map<string, Set<Watcher>>();
  let size = 0;
  const everyone = () => [...byKind.values()].flatMap((watchers) => [...watchers]);
  const timer = every(
    clock,
    BOOKMARK_MS,
    () => {
      for (const watcher of everyone()) watcher.bookmark(version());
    },
    { background: true },
  );
  return {
    publish(changes) {
      for (const change of changes) {
        for (const watcher of byKind.get(change.after.kind) ?? []) {
          const event = eventFor(change, watcher);
          if (event !== undefined) watcher.deliver(event);
        }
      }
    },
    add(watcher) {
      if (size >= WATCHES_MAX) throw tooManyRequests(`there are ${WATCHES_MAX} watches already`);
      const watchers = byKind.get(watcher.kind) ?? new Set();
      byKind.set(watcher.kind, watchers.add(watcher));
      size += 1;
      return () => {
        if (watchers.delete(watcher)) size -= 1;
      };
    },
    size: () => size,
    stop() {
      timer.cancel();
      for (const watcher of everyone()) watcher.end();
    },
  };
}

/** The change as the scope sees it: an object that stops matching is deleted for it, one that begins to is added. */
export function eventFor({ type, before, after }: Change, scope: Scope): WatchEvent | undefined {
  const wasIn = before !== undefined && isInScope(before, scope);
  const isIn = type !== 'DELETED' && isInScope(after, scope);
  if (isIn) return { type: wasIn ? 'MODIFIED' : 'ADDED', object: after.object };
  if (!wasIn) return undefined;
  return { type: 'DELETED', object: type === 'DELETED' ? after.object : atVersion(before.object, after.version) };
}

export function isInScope(stored: StoredObject, { namespace, matches }: Scope): boolean {
  return (namespace === undefined || stored.namespace === namespace) && matches(stored.object);
}

/** The last state that matched, under the version at which it ended. */
function atVersion(object: ApiObject, version: number): ApiObject {
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } };
}

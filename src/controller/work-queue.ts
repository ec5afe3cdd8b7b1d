// Keys to reconcile: each at most once in the queue, never twice at the same time, again after a wait when it failed.
// Knows keys and outcomes; never objects or events, so nothing that was missed can matter.
import { type Backoff, createBackoff } from '../lib/backoff.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { Rng } from '../lib/rng.ts';
import { CONFLICT_RETRY_MS, RETRY_BACKOFF } from './bounds.ts';

export type Outcome =
  /** Nothing to do until something changes. */
  | { readonly type: 'done' }
  /** Nothing is wrong; look again then. */
  | { readonly type: 'again'; readonly afterMs: number }
  /** Somebody else wrote meanwhile; look again at once. */
  | { readonly type: 'conflict' }
  /** Look again after a back-off, or when the server said. */
  | {
      readonly type: 'failed';
      readonly sentence: string;
      readonly retryAfterMs?: number;
      /** The server understood and will not have it: somebody has to change something. */
      readonly isRefused?: boolean;
    };

export const done: Outcome = { type: 'done' };

export interface WorkKey<Kind extends string = string> {
  readonly kind: Kind;
  readonly name: string;
}

export interface WorkQueueOptions<Kind extends string> {
  reconcile(key: WorkKey<Kind>, signal: AbortSignal): Promise<Outcome>;
  onOutcome(key: WorkKey<Kind>, outcome: Outcome): void;
  readonly concurrencyMax: number;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
}

interface Entry<Kind extends string> {
  readonly key: WorkKey<Kind>;
  isQueued: boolean;
  isRunning: boolean;
  timer: Timer | undefined;
  readonly backoff: Backoff;
}

export interface WorkQueue<Kind extends string> {
  /** Reconcile soon, also when a retry of it waits. */
  add(kind: Kind, name: string): void;
  /** Aborts what runs and resolves when it has ended. */
  stop(): Promise<void>;
}

export function createWorkQueue<Kind extends string>(options: WorkQueueOptions<Kind>): WorkQueue<Kind> {
  return new KeyQueue(options);
}

class KeyQueue<Kind extends string> implements WorkQueue<Kind> {
  readonly #options: WorkQueueOptions<Kind>;
  readonly #entries = new Map<string, Entry<Kind>>();
  readonly #ready = new Set<Entry<Kind>>();
  readonly #running = new Set<Promise<void>>();
  readonly #stopping = new AbortController();

  constructor(options: WorkQueueOptions<Kind>) {
    this.#options = options;
  }

  add(kind: Kind, name: string): void {
    if (this.#stopping.signal.aborted) return;
    this.#queue(this.#entryOf({ kind, name }));
    this.#pump();
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the controller stops'));
    for (const entry of this.#entries.values()) entry.timer?.cancel();
    this.#ready.clear();
    await Promise.all(this.#running);
  }

  #entryOf(key: WorkKey<Kind>): Entry<Kind> {
    const id = `${key.kind}/${key.name}`;
    const found = this.#entries.get(id);
    if (found !== undefined) return found;
    const backoff = createBackoff({ ...RETRY_BACKOFF, rng: this.#options.rng });
    const entry: Entry<Kind> = { key, isQueued: false, isRunning: false, timer: undefined, backoff };
    this.#entries.set(id, entry);
    return entry;
  }

  #queue(entry: Entry<Kind>): void {
    entry.timer?.cancel();
    entry.timer = undefined;
    entry.isQueued = true;
    if (!entry.isRunning) this.#ready.add(entry);
  }

  #pump(): void {
    for (const entry of this.#ready) {
      if (this.#running.size >= this.#options.concurrencyMax) return;
      this.#ready.delete(entry);
      entry.isQueued = false;
      entry.isRunning = true;
      const run = this.#run(entry).then(() => {
        this.#running.delete(run);
        this.#pump();
      });
      this.#running.add(run);
    }
  }

  /** Never rejects. */
  async #run(entry: Entry<Kind>): Promise<void> {
    const outcome = await this.#reconcile(entry.key);
    entry.isRunning = false;
    if (this.#stopping.signal.aborted) return;
    this.#options.onOutcome(entry.key, outcome);
    if (outcome.type !== 'failed' && outcome.type !== 'conflict') entry.backoff.reset();
    if (entry.isQueued) this.#ready.add(entry);
    else this.#schedule(entry, outcome);
  }

  async #reconcile(key: WorkKey<Kind>): Promise<Outcome> {
    const { signal } = this.#stopping;
    try {
      return await this.#options.reconcile(key, signal);
    } catch (error) {
      if (!signal.aborted) {
        this.#options.log.error({ ...key, error: String(error) }, 'a reconcile broke a promise');
      }
      return { type: 'failed', sentence: String(error) };
    }
  }

  #schedule(entry: Entry<Kind>, outcome: Outcome): void {
    const waitMs = this.#waitMs(entry, outcome);
    if (waitMs === undefined) {
      this.#entries.delete(`${entry.key.kind}/${entry.key.name}`);
      return;
    }
    entry.timer = this.#options.clock.after(waitMs, () => {
      this.#queue(entry);
      this.#pump();
    });
  }

  #waitMs(entry: Entry<Kind>, outcome: Outcome): number | undefined {
    switch (outcome.type) {
      case 'done':
        return undefined;
      case 'again':
        return outcome.afterMs;
      case 'conflict':
        return CONFLICT_RETRY_MS;
      case 'failed':
        return Math.max(outcome.retryAfterMs ?? 0, RETRY_BACKOFF.baseMs / 2 + entry.backoff.nextMs());
    }
  }
}

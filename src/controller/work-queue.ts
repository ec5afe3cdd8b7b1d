// Keys to reconcile: each at most once in the queue, never twice at the same time, again after a wait when it failed.
// Knows keys and outcomes; never objects or events, so nothing that was missed can matter.
import { type Backoff, createBackoff } from '../lib/backoff.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { Rng } from '../lib/rng.ts';
import { CONFLICT_BACKOFF, CONFLICT_RETRY_MS, NEWS_REST_MS_MAX, RETRY_BACKOFF } from './bounds.ts';

export type Outcome =
  /** Nothing to do until something changes. */
  | { readonly type: 'done' }
  /** Nothing is wrong; look again then. */
  | { readonly type: 'again'; readonly afterMs: number }
  /** Somebody else wrote meanwhile; look again when the cache has it: in a moment, and after a back-off if that was too soon. */
  | { readonly type: 'conflict' }
  /** Look again after a back-off, or when the server said. */
  | {
      readonly type: 'failed';
      readonly sentence: string;
      readonly retryAfterMs?: number;
      /** It will not do by itself: somebody has to change something. */
      readonly isRefused?: boolean;
      /** No word of the server: the reason, of which the sentence is the whole message. */
      readonly ownReason?: 'PolicyTaken';
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
  /** Of these kinds no more at the same time: they wait for others than the server, and leave room for those that do not. */
  readonly kindMax?: Readonly<Partial<Record<Kind, number>>>;
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
  readonly conflicts: Backoff;
  /** Since the last time that all went well. */
  hasConflicted: boolean;
  /** Until then news does not bring it back. */
  restsUntilMs: number;
  /** While it ran, somebody changed what it is about. */
  isRenewed: boolean;
}

export interface WorkQueue<Kind extends string> {
  /**
   * Reconcile soon: at once, and after a rest where the last time failed. A reconcile that writes something and then fails is
   * brought back by its own write; without the rest that is a loop as fast as the server. The rest is the back-off, and no longer
   * than `NEWS_REST_MS_MAX`: most news come from others, and some of them end the trouble.
   */
  add(kind: Kind, name: string): void;
  /** A person changed what it is about: what failed before says nothing any more, and the next `add` is acted on at once. */
  renew(kind: Kind, name: string): void;
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
  readonly #runningOf = new Map<Kind, number>();
  readonly #stopping = new AbortController();
  #isPumping = false;

  constructor(options: WorkQueueOptions<Kind>) {
    this.#options = options;
  }

  add(kind: Kind, name: string): void {
    if (this.#stopping.signal.aborted) return;
    this.#wake(this.#entryOf({ kind, name }));
    this.#pump();
  }

  renew(kind: Kind, name: string): void {
    const entry = this.#entries.get(idOf({ kind, name }));
    if (entry === undefined) return;
    entry.isRenewed = entry.isRunning;
    forgive(entry);
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the controller stops'));
    for (const entry of this.#entries.values()) entry.timer?.cancel();
    this.#ready.clear();
    await Promise.all(this.#running);
  }

  #entryOf(key: WorkKey<Kind>): Entry<Kind> {
    const id = idOf(key);
    const found = this.#entries.get(id);
    if (found !== undefined) return found;
    const { rng } = this.#options;
    const backoff = createBackoff({ ...RETRY_BACKOFF, rng });
    const conflicts = createBackoff({ ...CONFLICT_BACKOFF, rng });
    const entry: Entry<Kind> = {
      key,
      isQueued: false,
      isRunning: false,
      timer: undefined,
      backoff,
      conflicts,
      hasConflicted: false,
      restsUntilMs: 0,
      isRenewed: false,
    };
    this.#entries.set(id, entry);
    return entry;
  }

  /** There is news of it. What runs is run again when it has ended. */
  #wake(entry: Entry<Kind>): void {
    const restMs = entry.restsUntilMs - this.#options.clock.nowMs();
    if (entry.isRunning || restMs <= 0) this.#queue(entry);
    else {
      entry.isQueued = false;
      this.#runAfter(entry, restMs);
    }
  }

  #queue(entry: Entry<Kind>): void {
    entry.timer?.cancel();
    entry.timer = undefined;
    entry.isQueued = true;
    if (!entry.isRunning) this.#ready.add(entry);
  }

  #runAfter(entry: Entry<Kind>, waitMs: number): void {
    entry.timer?.cancel();
    entry.timer = this.#options.clock.after(waitMs, () => {
      this.#queue(entry);
      this.#pump();
    });
  }

  /** A reconcile that adds keys as it begins comes back here before it counts as running: the loop under way sees what it added. */
  #pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    this.#startReady();
    this.#isPumping = false;
  }

  #startReady(): void {
    for (const entry of this.#ready) {
      if (this.#running.size >= this.#options.concurrencyMax) return;
      if (this.#mayRun(entry.key.kind)) this.#start(entry);
    }
  }

  #mayRun(kind: Kind): boolean {
    const most = this.#options.kindMax?.[kind];
    return most === undefined || (this.#runningOf.get(kind) ?? 0) < most;
  }

  #start(entry: Entry<Kind>): void {
    const { kind } = entry.key;
    this.#ready.delete(entry);
    entry.isQueued = false;
    entry.isRunning = true;
    entry.isRenewed = false;
    this.#runningOf.set(kind, (this.#runningOf.get(kind) ?? 0) + 1);
    const run = this.#run(entry).then(() => {
      this.#running.delete(run);
      this.#runningOf.set(kind, (this.#runningOf.get(kind) ?? 0) - 1);
      this.#pump();
    });
    this.#running.add(run);
  }

  /** Never rejects. */
  async #run(entry: Entry<Kind>): Promise<void> {
    const outcome = await this.#reconcile(entry.key);
    entry.isRunning = false;
    if (this.#stopping.signal.aborted) return;
    this.#options.onOutcome(entry.key, outcome);
    const waitMs = this.#waitMs(entry, outcome);
    const restMs = entry.isRenewed ? 0 : restOf(entry, outcome, waitMs);
    entry.restsUntilMs = this.#options.clock.nowMs() + restMs;
    if (outcome.type === 'conflict') entry.hasConflicted = true;
    else if (outcome.type !== 'failed') forgive(entry);
    if (entry.isQueued) this.#wake(entry);
    else if (waitMs !== undefined) this.#runAfter(entry, waitMs);
    else this.#entries.delete(idOf(entry.key));
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

  /** Undefined: not before there is news. */
  #waitMs({ backoff, conflicts, hasConflicted }: Entry<Kind>, outcome: Outcome): number | undefined {
    switch (outcome.type) {
      case 'done':
        return undefined;
      case 'again':
        return outcome.afterMs;
      case 'conflict':
        return CONFLICT_RETRY_MS + (hasConflicted ? conflicts.nextMs() : 0);
      case 'failed':
        return Math.max(outcome.retryAfterMs ?? 0, RETRY_BACKOFF.baseMs / 2 + backoff.nextMs());
    }
  }
}

function idOf({ kind, name }: WorkKey): string {
  return `${kind}/${name}`;
}

function forgive(entry: Entry<string>): void {
  entry.backoff.reset();
  entry.conflicts.reset();
  entry.hasConflicted = false;
  entry.restsUntilMs = 0;
}

/** How long news has to wait. When the server said when to come back, nobody comes before; an hour of it is not believed. */
function restOf({ hasConflicted }: Entry<string>, outcome: Outcome, waitMs: number | undefined): number {
  switch (outcome.type) {
    case 'done':
    case 'again':
      return 0;
    case 'conflict':
      // The news may be what the cache lacked.
      return hasConflicted ? Math.min(waitMs ?? 0, NEWS_REST_MS_MAX) : 0;
    case 'failed': {
      const saidMs = Math.min(outcome.retryAfterMs ?? 0, RETRY_BACKOFF.capMs);
      return Math.min(waitMs ?? 0, Math.max(saidMs, NEWS_REST_MS_MAX));
    }
  }
}

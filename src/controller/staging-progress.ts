// How far stagers are, asked of each now and then, and what that says of the time that is left. Kept in memory alone: after a
// restart the next answers say it again. Estimates only; nothing is decided by them.

import type { Pod } from '../api/kinds.ts';
import type { Clock } from '../lib/clock.ts';
import type { ProgressReader, StagerProgress } from '../ports/stager-progress.ts';
import { PROGRESS_EVERY_MS, STAGE_BYTES_PER_SECOND } from './bounds.ts';
import { done, type Outcome } from './work-queue.ts';

/** Weight of the newest measure of speed. */
const NEWEST_SHARE = 0.5;
/** An estimate never says that it is over while it is not. */
const LEFT_MS_MIN = 1000;

interface Watched {
  readonly revision: string;
  readonly uid: string | undefined;
  readonly askedMs: number;
  readonly progress?: StagerProgress;
  /** Of the progress. */
  readonly atMs?: number;
  readonly bytesPerMs?: number;
}

export interface StagingAdvance extends StagerProgress {
  /** Until the last byte, as far as can be told now. */
  readonly leftMs: number;
  /** The same when it was asked, for people: a text must not change between two answers. Undefined: no speed was measured. */
  readonly saidLeftMs: number | undefined;
}

export interface StagingProgress {
  /** Asks when it is time to, and says when it is again. */
  look(
    stager: { readonly pod: Pod; readonly revision: string; readonly digest: string },
    signal: AbortSignal,
  ): Promise<Outcome>;
  advanceOf(pod: string): StagingAdvance | undefined;
  /** Of the stager of this revision that is nearest to its end. Undefined: none has said anything yet. */
  leftMsOf(revision: string): number | undefined;
  /** What a download brings: as measured last, or guessed. */
  bytesPerMs(): number;
  forget(pod: string): void;
  forgetExcept(revisions: ReadonlySet<string>): void;
}

export function createStagingProgress(reader: ProgressReader, clock: Clock): StagingProgress {
  return new ProgressWatch(reader, clock);
}

/** One that has said nothing yet is just starting. */
const FIRST_EVERY_MS = 2000;

function paceOf(watched: Watched | undefined): number {
  return watched?.progress === undefined ? FIRST_EVERY_MS : PROGRESS_EVERY_MS;
}

class ProgressWatch implements StagingProgress {
  readonly #reader: ProgressReader;
  readonly #clock: Clock;
  /** By Pod name. */
  readonly #watched = new Map<string, Watched>();
  #bytesPerMs = STAGE_BYTES_PER_SECOND / 1000;

  constructor(reader: ProgressReader, clock: Clock) {
    this.#reader = reader;
    this.#clock = clock;
  }

  async look(stager: { pod: Pod; revision: string; digest: string }, signal: AbortSignal): Promise<Outcome> {
    const { pod, revision, digest } = stager;
    if (pod.status?.phase !== 'Running') return done;
    const { name, uid } = pod.metadata;
    const known = this.#watched.get(name);
    const before = known?.uid === uid ? known : undefined;
    const askedMs = this.#clock.nowMs();
    const restMs = before === undefined ? 0 : before.askedMs + paceOf(before) - askedMs;
    if (restMs > 0) return { type: 'again', afterMs: restMs };
    // Noted before it is asked: two looks at once ask once.
    this.#watched.set(name, { ...before, revision, uid, askedMs });
    const progress = await this.#reader.read({ pod, digest }, signal);
    if (progress !== undefined && this.#watched.get(name)?.uid === uid) {
      this.#watched.set(name, this.#learn({ ...before, revision, uid, askedMs }, progress));
    }
    return { type: 'again', afterMs: paceOf(this.#watched.get(name)) };
  }

  #learn(before: Watched, progress: StagerProgress): Watched {
    const atMs = this.#clock.nowMs();
    const news = { ...before, progress, atMs };
    // What came before the first answer says nothing of the speed: it may have been there already.
    if (before.progress === undefined || before.atMs === undefined || atMs <= before.atMs) return news;
    const measured = Math.max(0, progress.doneBytes - before.progress.doneBytes) / (atMs - before.atMs);
    const old = before.bytesPerMs ?? measured;
    const bytesPerMs = old + NEWEST_SHARE * (measured - old);
    if (bytesPerMs > 0) this.#bytesPerMs = bytesPerMs;
    return { ...news, bytesPerMs };
  }

  advanceOf(pod: string): StagingAdvance | undefined {
    const watched = this.#watched.get(pod);
    if (watched?.progress === undefined || watched.atMs === undefined) return undefined;
    const { doneBytes, totalBytes } = watched.progress;
    const measured = (watched.bytesPerMs ?? 0) > 0 ? watched.bytesPerMs : undefined;
    const thenMs = (totalBytes - doneBytes) / (measured ?? this.#bytesPerMs);
    const leftMs = Math.max(LEFT_MS_MIN, thenMs - (this.#clock.nowMs() - watched.atMs));
    return { doneBytes, totalBytes, leftMs, saidLeftMs: measured === undefined ? undefined : thenMs };
  }

  leftMsOf(revision: string): number | undefined {
    const names = [...this.#watched].filter(([, watched]) => watched.revision === revision).map(([name]) => name);
    const left = names.flatMap((name) => this.advanceOf(name)?.leftMs ?? []);
    return left.length === 0 ? undefined : Math.min(...left);
  }

  bytesPerMs = () => this.#bytesPerMs;
  forget = (pod: string) => void this.#watched.delete(pod);

  forgetExcept(revisions: ReadonlySet<string>): void {
    for (const [name, { revision }] of this.#watched) if (!revisions.has(revision)) this.#watched.delete(name);
  }
}

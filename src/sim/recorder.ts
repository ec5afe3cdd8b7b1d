// What happened in a run: first tokens, time on each rung, climbs, and rows over time for plots. Owns the figures and nothing
// of the fleet. Memory grows with the number of requests and of rows, both bounded by the trace.
import { type Rung, residentRungs } from '../api/link.ts';
import type { SimRequest } from './request.ts';
import type { SimModel } from './scenario.ts';
import type { SimInstance } from './slot.ts';

/** One step of time in a report. Counts are means over the step unless they say otherwise. */
export interface TimelineRow {
  readonly atMs: number;
  arrivals: number;
  awake: number;
  climbing: number;
  asleep: number;
  queuedMax: number;
  /** Waits for the first token of requests that came in this step. */
  readonly waitsMs: number[];
  missed: number;
}

export interface Finished {
  readonly model: string;
  readonly atMs: number;
  readonly waitMs: number;
  readonly isWithin: boolean;
  readonly metBy: 'Awake' | 'Asleep' | 'Staged';
}

export type RungMs = Partial<Record<Rung, number>>;

export interface Counts {
  wakes: number;
  starts: number;
  sleeps: number;
  failedWakes: number;
  leaks: number;
  /** Requests whose engine went away. */
  begunAgain: number;
  /** Climbs for which a sleeper stood in a free slot, and those of them that took one. */
  freeCopies: number;
  takenCopies: number;
}

export interface Recorder {
  readonly requests: readonly Finished[];
  readonly timeline: readonly TimelineRow[];
  readonly rungMs: ReadonlyMap<string, RungMs>;
  readonly counts: Counts;
  /** The most instances at once that held accelerators: awake, on their way up, or on their way down. */
  heldMax(): number;
  onRung(instance: SimInstance, before: Rung, nowMs: number): void;
  onFailed(why: 'FailedWake' | 'Leak'): void;
  /** Their engine went away: they begin again. */
  onLost(requests: number): void;
  /** What a plan made of the sleepers that stood free (src/sim/copy-use.ts). */
  onCopyUse(use: { readonly free: number; readonly taken: number }): void;
  onArrival(request: SimRequest): void;
  onFirstToken(request: SimRequest): void;
  onUnfinished(request: SimRequest): void;
  onQueue(atMs: number, queued: number): void;
  /** Brings the time on rungs up to now; called once, before the figures are read. */
  settle(nowMs: number): void;
}

export interface RecorderOptions {
  readonly models: readonly SimModel[];
  readonly spanMs: number;
  readonly rows: number;
}

const TIMELINE_ROWS_MAX = 2000;

export function createRecorder({ models, spanMs, rows }: RecorderOptions): Recorder {
  const stepMs = Math.max(1000, spanMs / Math.min(rows, TIMELINE_ROWS_MAX));
  const limits = new Map(models.map((model) => [model.name, model.firstTokenMsMax]));
  const requests: Finished[] = [];
  const timeline: TimelineRow[] = [];
  const rungMs = new Map<string, RungMs>();
  const open = new Map<SimInstance, number>();
  const counts = emptyCounts();
  let held = 0;
  let heldMax = 0;
  const rowAt = (atMs: number): TimelineRow => {
    const index = Math.max(0, Math.floor(atMs / stepMs));
    while (timeline.length <= index) timeline.push(emptyRow(timeline.length * stepMs));
    return timeline[index] ?? emptyRow(index * stepMs);
  };
  const spend = (instance: SimInstance, rung: Rung, { fromMs, toMs }: { fromMs: number; toMs: number }) => {
    const times = rungMs.get(instance.model) ?? {};
    times[rung] = (times[rung] ?? 0) + toMs - fromMs;
    rungMs.set(instance.model, times);
    spreadOver(fromMs, toMs, stepMs, (atMs, share) => addToRow(rowAt(atMs), rung, share));
  };
  const finish = (request: SimRequest, waitMs: number) => {
    const isWithin = waitMs <= (limits.get(request.model) ?? 0);
    requests.push({ model: request.model, atMs: request.atMs, waitMs, isWithin, metBy: request.metBy ?? 'Staged' });
    const row = rowAt(request.atMs);
    if (Number.isFinite(waitMs)) row.waitsMs.push(waitMs);
    if (!isWithin) row.missed += 1;
  };
  return {
    requests,
    timeline,
    rungMs,
    counts,
    heldMax: () => heldMax,
    onRung(instance, before, nowMs) {
      if (limits.has(instance.model)) held += holds(instance.rung) - holds(before);
      heldMax = Math.max(heldMax, held);
      const fromMs = open.get(instance);
      if (fromMs !== undefined) spend(instance, before, { fromMs, toMs: nowMs });
      if (instance.rung === 'Absent') open.delete(instance);
      else open.set(instance, nowMs);
      countMove(counts, instance.rung);
    },
    ...counters(counts),
    onArrival: (request) => {
      rowAt(request.atMs).arrivals += 1;
    },
    onFirstToken: (request) => finish(request, (request.firstTokenMs ?? Number.POSITIVE_INFINITY) - request.atMs),
    onUnfinished: (request) => finish(request, Number.POSITIVE_INFINITY),
    onQueue(atMs, queued) {
      const row = rowAt(atMs);
      row.queuedMax = Math.max(row.queuedMax, queued);
    },
    settle(nowMs) {
      for (const [instance, fromMs] of open) {
        spend(instance, instance.rung, { fromMs, toMs: nowMs });
        open.set(instance, nowMs);
      }
      fillLast(timeline.at(-1), (nowMs - (timeline.at(-1)?.atMs ?? nowMs)) / stepMs);
    },
  };
}

function holds(rung: Rung): 0 | 1 {
  return residentRungs.has(rung) ? 1 : 0;
}

/** A run ends within a step: its means are over what there was of it. */
function fillLast(row: TimelineRow | undefined, share: number): void {
  if (row === undefined || share <= 0 || share >= 1) return;
  row.awake /= share;
  row.climbing /= share;
  row.asleep /= share;
}

/** What is only counted. */
function counters(counts: Counts): Pick<Recorder, 'onFailed' | 'onLost' | 'onCopyUse'> {
  return {
    onFailed(why) {
      if (why === 'Leak') counts.leaks += 1;
      else counts.failedWakes += 1;
    },
    onLost(requests) {
      counts.begunAgain += requests;
    },
    onCopyUse({ free, taken }) {
      counts.freeCopies += free;
      counts.takenCopies += taken;
    },
  };
}

function emptyCounts(): Counts {
  return {
    ...{ wakes: 0, starts: 0, sleeps: 0, failedWakes: 0, leaks: 0 },
    ...{ begunAgain: 0, freeCopies: 0, takenCopies: 0 },
  };
}

function emptyRow(atMs: number): TimelineRow {
  return { atMs, arrivals: 0, awake: 0, climbing: 0, asleep: 0, queuedMax: 0, waitsMs: [], missed: 0 };
}

function addToRow(row: TimelineRow, rung: Rung, share: number): void {
  if (rung === 'Awake' || rung === 'Draining') row.awake += share;
  else if (rung === 'Starting' || rung === 'Waking') row.climbing += share;
  else if (rung === 'Asleep') row.asleep += share;
}

/** Calls `add` for each step that the span touches, with the share of the step that it covers. */
function spreadOver(fromMs: number, toMs: number, stepMs: number, add: (atMs: number, share: number) => void): void {
  // By number: the end of a step may round to the same time again.
  for (let index = Math.floor(fromMs / stepMs); index * stepMs < toMs; index += 1) {
    const begin = Math.max(fromMs, index * stepMs);
    const end = Math.min(toMs, (index + 1) * stepMs);
    if (end > begin) add((index + 0.5) * stepMs, (end - begin) / stepMs);
  }
}

function countMove(counts: Counts, rung: Rung): void {
  if (rung === 'Waking') counts.wakes += 1;
  if (rung === 'Starting') counts.starts += 1;
  if (rung === 'Sleeping' || rung === 'Stopping') counts.sleeps += 1;
}

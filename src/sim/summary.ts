// The figures of a run in one place: how many requests were within their objective, what it cost, how they were met.
// Computes from what was recorded; never looks at the fleet.
import type { Counts, Finished, Recorder, RungMs, TimelineRow } from './recorder.ts';
import type { Scenario } from './scenario.ts';

export interface RunResult {
  readonly policy: string;
  readonly trace: string;
  readonly requests: number;
  /** Share of requests whose first token came in time, 0 to 1. */
  readonly within: number;
  readonly firstTokenMs: { readonly p50: number; readonly p95: number; readonly p99: number };
  /** Replica-hours: awake; and with what climbs, drains and goes to sleep, which holds accelerators too. */
  readonly awakeHours: number;
  readonly heldHours: number;
  readonly spanHours: number;
  /** The most accelerator sets that were held at once. */
  readonly peakHeld: number;
  /** The most instances that slots were told to have awake at once. */
  readonly peakOrdered: number;
  /** Requests by what they found: an awake instance, or one that had to wake or start. */
  readonly metBy: Readonly<Record<Finished['metBy'], number>>;
  readonly wakes: number;
  readonly starts: number;
  readonly sleeps: number;
  readonly failures: FailureCounts;
  /** Climbs for which a sleeper stood in a free slot, and those that took one; `woken` without the wakes that failed. */
  readonly copies: { readonly free: number; readonly taken: number; readonly woken: number };
  /** Requests that never got a first token. */
  readonly unserved: number;
  readonly timeline: readonly TimelineRow[];
  readonly finished: readonly Finished[];
}

/** What went wrong in a run, and what came of it. */
export interface FailureCounts {
  readonly failedWakes: number;
  /** Engines that were ended because they held too much memory asleep. */
  readonly leaks: number;
  readonly silences: number;
  readonly lostNodes: number;
  readonly failedProvisions: number;
  /** New nodes whose accelerators came late. */
  readonly lateNodes: number;
  /** Requests whose engine went away. */
  readonly begunAgain: number;
}

export interface RunRecord {
  readonly policy: string;
  readonly scenario: Scenario;
  readonly recorder: Recorder;
  readonly endMs: number;
  readonly peakOrdered: number;
}

const HOUR_MS = 3_600_000;

export function summarize({ policy, scenario, recorder, endMs, peakOrdered }: RunRecord): RunResult {
  const { requests, counts, timeline } = recorder;
  const waits = requests.map(({ waitMs }) => waitMs).sort((a, b) => a - b);
  const own = scenario.models.map(({ name }) => recorder.rungMs.get(name) ?? {});
  return {
    policy,
    trace: scenario.trace.name,
    requests: requests.length,
    within: requests.filter(({ isWithin }) => isWithin).length / Math.max(1, requests.length),
    firstTokenMs: { p50: rankOf(waits, 0.5), p95: rankOf(waits, 0.95), p99: rankOf(waits, 0.99) },
    awakeHours: sum(own, ['Awake', 'Draining']),
    heldHours: sum(own, ['Awake', 'Draining', 'Starting', 'Waking', 'Sleeping', 'Stopping']),
    spanHours: endMs / HOUR_MS,
    peakHeld: recorder.heldMax(),
    peakOrdered,
    metBy: countBy(requests),
    wakes: counts.wakes,
    starts: counts.starts,
    sleeps: counts.sleeps,
    failures: countFailures(scenario, counts),
    copies: {
      free: counts.freeCopies,
      taken: counts.takenCopies,
      woken: Math.max(0, counts.takenCopies - counts.failedWakes),
    },
    unserved: requests.filter(({ waitMs }) => !Number.isFinite(waitMs)).length,
    timeline,
    finished: requests,
  };
}

function countFailures({ faults, fleet }: Scenario, { failedWakes, leaks, begunAgain }: Counts): FailureCounts {
  // A fleet of hindsight is smaller, and has only some of the nodes.
  const lost = faults.lostNodes.filter(({ node }) => node * fleet.slotsPerNode < fleet.slots);
  return {
    failedWakes,
    leaks,
    silences: faults.silences.length,
    lostNodes: lost.length,
    failedProvisions: lost.reduce((total, { failedProvisions = 0 }) => total + failedProvisions, 0),
    lateNodes: lost.filter(({ isAllocatableLate }) => isAllocatableLate === true).length,
    begunAgain,
  };
}

/** The value at a rank of a sorted list; 0 of an empty one. */
export function rankOf(sorted: readonly number[], rank: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(rank * sorted.length))] ?? 0;
}

function sum(times: readonly RungMs[], rungs: readonly (keyof RungMs)[]): number {
  return times.reduce((total, ms) => total + rungs.reduce((part, rung) => part + (ms[rung] ?? 0), 0), 0) / HOUR_MS;
}

function countBy(requests: readonly Finished[]): RunResult['metBy'] {
  const counts = { Awake: 0, Asleep: 0, Staged: 0 };
  for (const { metBy } of requests) counts[metBy] += 1;
  return counts;
}

// The figures of runs as people and programs read them: rows of a table and a document for JSON. Computes nothing anew.
import type { Faults } from '../scenario.ts';
import type { FailureCounts, RunResult } from '../summary.ts';

export const figureHeader = [
  'POLICY',
  'WITHIN',
  'P50',
  'P95',
  'P99',
  'AWAKE',
  'HELD',
  'PEAK',
  'WAKES',
  'STARTS',
  'HOT',
  'WOKEN',
  'STARTED',
];

export function figureRow(result: RunResult): string[] {
  const { firstTokenMs, metBy, requests } = result;
  const share = (count: number) => percent(count / Math.max(1, requests));
  return [
    result.policy,
    percent(result.within),
    renderMs(firstTokenMs.p50),
    renderMs(firstTokenMs.p95),
    renderMs(firstTokenMs.p99),
    `${result.awakeHours.toFixed(2)} h`,
    `${result.heldHours.toFixed(2)} h`,
    String(result.peakHeld),
    String(result.wakes),
    String(result.starts),
    share(metBy.Awake),
    share(metBy.Asleep),
    share(metBy.Staged),
  ];
}

export const figureNotes = [
  'WITHIN: requests whose first token came in time. P50, P95, P99: time to the first token.',
  'AWAKE: replica-hours awake. HELD: those and what wakes, starts and goes to sleep. PEAK: most held at once.',
  'HOT, WOKEN, STARTED: requests that found an instance awake, waited for a wake, or waited for a start.',
];

/** A sentence for each run with what went wrong in it; none where nothing was to. */
export function failureNotes(
  results: readonly RunResult[],
  { failedWakes, leakMiB, silences, lostNodes }: Faults,
): string[] {
  if (failedWakes === 0 && leakMiB === 0 && silences.length === 0 && lostNodes.length === 0) return [];
  return results.map(({ policy, failures }) => `${policy}: ${sayFailures(failures)}.`);
}

function sayFailures(counts: FailureCounts): string {
  const attempts = `${many(counts.failedProvisions, 'failed attempt')} to get another`;
  return [
    `${many(counts.failedWakes, 'wake')} failed`,
    `${many(counts.leaks, 'engine')} ended for leaks`,
    `${many(counts.lostNodes, 'node')} lost (${attempts}, ${counts.lateNodes} with late accelerators)`,
    many(counts.silences, 'silence'),
    `${many(counts.begunAgain, 'request')} began again`,
  ].join(', ');
}

function many(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

export function percent(share: number): string {
  return `${(share * 100).toFixed(2)} %`;
}

/** What never came is endless. */
export function renderMs(ms: number): string {
  if (!Number.isFinite(ms)) return 'never';
  return ms < 10_000 ? `${(ms / 1000).toFixed(2)} s` : `${(ms / 1000).toFixed(1)} s`;
}

/** JSON has no infinity: a rank that no request reached is null. */
export function figureDocument(result: RunResult): object {
  const finite = (ms: number) => (Number.isFinite(ms) ? Math.round(ms) : null);
  const { p50, p95, p99 } = result.firstTokenMs;
  return {
    policy: result.policy,
    requests: result.requests,
    within: result.within,
    unserved: result.unserved,
    firstTokenMs: { p50: finite(p50), p95: finite(p95), p99: finite(p99) },
    awakeHours: result.awakeHours,
    heldHours: result.heldHours,
    spanHours: result.spanHours,
    peakHeld: result.peakHeld,
    peakOrdered: result.peakOrdered,
    wakes: result.wakes,
    starts: result.starts,
    sleeps: result.sleeps,
    failures: result.failures,
    metBy: result.metBy,
  };
}

// Whether an engine that has fallen asleep may stay as it is. Engines keep a little more memory after each sleep and wake, and
// some a lot (scaling.md §1.6): who keeps too much, or has slept too often, is to start anew. Pure; ends nothing itself.

/** What is remembered of the sleeps of one process. */
export interface SleepRecord {
  readonly count: number;
  /** Accelerator memory that it held when it slept for the first time. Missing: its engine does not say. */
  readonly firstBytes?: number;
}

export interface SleepBudget {
  /** A process is renewed after so many sleeps. */
  readonly sleepsMax: number;
  /** It may hold this much more on each accelerator than it did in its first sleep. */
  readonly sleepGrowthBytesMax: number;
}

export type SleepVerdict =
  | { readonly type: 'keep' }
  /** Nothing is wrong with it, but it is time. */
  | { readonly type: 'renew'; readonly sentence: string }
  | { readonly type: 'leak'; readonly sentence: string };

export const noSleeps: SleepRecord = { count: 0 };

/** `heldBytes` is what it holds on each accelerator now. */
export function judgeSleep(
  before: SleepRecord,
  heldBytes: number | undefined,
  { sleepsMax, sleepGrowthBytesMax }: SleepBudget,
): { readonly record: SleepRecord; readonly verdict: SleepVerdict } {
  const count = before.count + 1;
  const firstBytes = before.firstBytes ?? heldBytes;
  const record = { count, ...(firstBytes === undefined ? {} : { firstBytes }) };
  const grownBytes = heldBytes === undefined || firstBytes === undefined ? 0 : heldBytes - firstBytes;
  if (grownBytes > sleepGrowthBytesMax) {
    const sentence =
      `After ${count} sleeps it held ${inMiB(grownBytes)} MiB more of each accelerator than after the first one, ` +
      `and ${inMiB(sleepGrowthBytesMax)} are allowed: it was ended.`;
    return { record, verdict: { type: 'leak', sentence } };
  }
  if (count >= sleepsMax) return { record, verdict: { type: 'renew', sentence: `It has slept ${count} times.` } };
  return { record, verdict: { type: 'keep' } };
}

function inMiB(bytes: number): number {
  return Math.round(bytes / 1024 ** 2);
}

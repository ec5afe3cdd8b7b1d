// Ends parts of a running Stoker with kill -9 as planned, and remembers when. Only processes below the given one.
import { delay, systemClock } from '../../src/lib/clock.ts';
import { findParts, killAtOnce, type PartKind } from './part-processes.ts';
import type { KillPlan } from './plan.ts';

export interface Death {
  readonly kind: PartKind;
  readonly atMs: number;
}

/** Resolves when the plan is done or the signal aborts. */
export async function killAsPlanned(
  root: number,
  plan: readonly KillPlan[],
  { deaths, signal }: { deaths: Death[]; signal: AbortSignal },
): Promise<void> {
  const startedMs = systemClock.nowMs();
  for (const { atMs, kind, choice } of plan) {
    await delay(systemClock, Math.max(0, startedMs + atMs - systemClock.nowMs()), signal).catch(() => undefined);
    if (signal.aborted) return;
    const candidates = findParts(root)
      .filter((part) => part.kind === kind)
      .sort((a, b) => `${a.podUid} ${a.revision}`.localeCompare(`${b.podUid} ${b.revision}`));
    const victim = candidates[Math.floor(choice * candidates.length)];
    // Noted before, so that no end of a call can be earlier than the death that caused it.
    const killedMs = systemClock.nowMs();
    if (victim !== undefined && killAtOnce(victim)) deaths.push({ kind, atMs: killedMs });
  }
}

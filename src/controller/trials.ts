// How candidates fare: since when one is on trial, why it failed, and when it may be tried again. In memory: a new
// controller tries once more. Never decides what becomes of a candidate; that is core/plan/lifecycle.ts.
import type { InstanceView } from '../core/plan/snapshot.ts';
import { backoffCeilingMs } from '../lib/backoff.ts';
import { TRIAL_BACKOFF } from './bounds.ts';

export interface TrialFailure {
  readonly reason: string;
  readonly message: string;
}

interface Trial {
  readonly sinceMs: number;
  failures: number;
  restsUntilMs: number;
  failure: TrialFailure | undefined;
  isFailed: boolean;
}

export interface Trials {
  /** Brings a candidate's trial up to date. Returns whether it should be awake now, and how long it has waited for it. */
  observe(
    revision: string,
    reports: readonly InstanceView[],
    nowMs: number,
  ): { readonly isOn: boolean; readonly waitedMs: number };
  failureOf(revision: string): TrialFailure | undefined;
  forgetExcept(revisions: ReadonlySet<string>): void;
}

export function createTrials(): Trials {
  const trials = new Map<string, Trial>();
  return {
    observe(revision, reports, nowMs) {
      const trial = trials.get(revision) ?? startTrial(nowMs);
      trials.set(revision, trial);
      judge(trial, reports, nowMs);
      return { isOn: nowMs >= trial.restsUntilMs, waitedMs: nowMs - trial.sinceMs };
    },
    failureOf: (revision) => trials.get(revision)?.failure,
    forgetExcept(revisions) {
      for (const revision of trials.keys()) if (!revisions.has(revision)) trials.delete(revision);
    },
  };
}

function startTrial(nowMs: number): Trial {
  return { sinceMs: nowMs, failures: 0, restsUntilMs: 0, failure: undefined, isFailed: false };
}

/** One failure is counted once, however often it is reported. */
function judge(trial: Trial, reports: readonly InstanceView[], nowMs: number): void {
  const failed = reports.find((report) => report.rung === 'Failed' && report.failure !== undefined);
  if (failed?.failure !== undefined && !trial.isFailed) {
    trial.failures += 1;
    trial.restsUntilMs = nowMs + backoffCeilingMs({ ...TRIAL_BACKOFF, attempt: trial.failures - 1 });
    trial.failure = { reason: failed.failure.reason, message: failed.failure.message };
  }
  trial.isFailed = failed !== undefined;
}

// Plain sleeping after a time without requests, as one gets it without a scaler: as many awake as full batches of what waits and
// runs, and each one until it has been idle for the time. The baseline to compare with; the controller does not use it. Pure.
import type { Ascent } from '../../core/plan/snapshot.ts';

export interface IdleTimeoutInput {
  readonly minAwake: number;
  readonly maxAwake: number;
  readonly sleepAfterMs: number;
  /** Requests that one instance serves at the same time. */
  readonly concurrency: number;
  /** Requests that wait, or run. */
  readonly work: number;
  /** A caller was told to come back. */
  readonly hasWakeLease: boolean;
  /** Those that are wanted awake now. */
  readonly instances: readonly { readonly ascent: Ascent; readonly inFlight: number; readonly idleMs: number }[];
}

export function countByIdleTimeout(input: IdleTimeoutInput): number {
  const byWork = Math.ceil(input.work / input.concurrency);
  const byDemand = input.hasWakeLease ? Math.max(1, byWork) : byWork;
  const kept = input.instances.filter((instance) => isKept(instance, input.sleepAfterMs)).length;
  return Math.min(input.maxAwake, Math.max(input.minAwake, byDemand, kept));
}

function isKept({ ascent, inFlight, idleMs }: IdleTimeoutInput['instances'][number], sleepAfterMs: number): boolean {
  if (ascent === 'Failed') return false;
  return ascent !== 'Up' || inFlight > 0 || idleMs < sleepAfterMs;
}

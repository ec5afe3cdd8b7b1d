// Setbacks of a Pool: slots that ended by themselves and slots that the server would not have. Owns how long the next one waits
// for that, and what is still said of the last one. Never makes or deletes a slot.
import { kinds, type Pod } from '../api/kinds.ts';
import type { Pool } from '../api/pool.ts';
import { sinceMade } from '../core/plan/node-loss.ts';
import { addSetback, noSetbacks, type Setbacks, waitAfterSetbacks } from '../core/plan/slot-setbacks.ts';
import { findTrouble, isTroubledHere } from '../core/plan/slot-trouble.ts';
import type { SlotsPlan } from '../core/plan/slots.ts';
import { RETRY_BACKOFF } from './bounds.ts';
import { findOwned } from './ownership.ts';
import type { PoolContext, PoolSetbacks, Trouble } from './pool-context.ts';
import { isConnected } from './pool-slots.ts';
import { explainFailure, isRefusal } from './refusals.ts';
import { hasEnded } from './slot-pod.ts';
import type { Outcome } from './work-queue.ts';

interface SetbackFacts {
  readonly pods: readonly Pod[];
  readonly removed: readonly string[];
  readonly context: PoolContext;
}

/**
 * How long the next slot has to wait. A Pod that ended by itself is a setback, and so is one that does not work where it is, as
 * long as it is there; one that works and came later ends the series.
 */
export function noteSetbacks(pool: Pool, { pods, removed, context }: SetbackFacts): number {
  const { fleet, options, setbacks } = context;
  const { name } = pool.metadata;
  const nowMs = options.clock.nowMs();
  const { known, trouble, notBeforeMs = 0, ...before } = recall(pool, setbacks);
  const hasRecovered = pods.some((pod) => isConnected(pod, fleet) && !known.has(pod.metadata.name));
  const ended = pods.filter((pod) => hasEnded(pod) && removed.includes(pod.metadata.name));
  let now: Setbacks = hasRecovered ? noSetbacks : before;
  for (const _ of ended) now = addSetback(now, nowMs);
  // Their Pods are deleted next, and with them what was known.
  const last = ended.flatMap((pod) => findTrouble(pod) ?? []).at(-1) ?? (hasRecovered ? undefined : trouble);
  if (now.count === 0) setbacks.delete(name);
  else if (ended.length > 0 || hasRecovered) {
    const names = new Set(pods.map(({ metadata }) => metadata.name));
    setbacks.set(name, { ...now, known: names, ...(last === undefined ? {} : { trouble: last }) });
  }
  return Math.max(waitAfterSetbacks(now, nowMs), notBeforeMs - nowMs, waitAfterTroubled(pods, context));
}

/** What the server did not take says nothing of a Pool that somebody has changed since: it is tried at once. */
function recall({ metadata }: Pool, setbacks: PoolContext['setbacks']): PoolSetbacks {
  const found = setbacks.get(metadata.name);
  const isPast = found?.generation !== undefined && found.generation !== metadata.generation;
  return found === undefined || isPast ? { ...noSetbacks, known: new Set() } : found;
}

/** One after the other, and slower with each, so that what crashes everywhere does not fill a pool. */
function waitAfterTroubled(pods: readonly Pod[], { fleet, options, ages }: PoolContext): number {
  const troubled = pods.filter((pod) => !isConnected(pod, fleet) && isTroubledHere(pod));
  const nowMs = options.clock.nowMs();
  const lastAgeMs = Math.min(...pods.map((pod) => sinceMade(pod, ages.ageOf)));
  return troubled.length === 0 ? 0 : waitAfterSetbacks({ count: troubled.length, lastAtMs: nowMs - lastAgeMs }, nowMs);
}

interface MadeSlots {
  readonly pods: readonly Pod[];
  /** Names of those that were made and are not among the Pods yet. */
  readonly unseen: readonly string[];
  readonly context: PoolContext;
}

/** What still hinders: a refusal while a slot is to be made, an end while a slot is missing or has not come yet. */
export function recallSetback(
  pool: string,
  { create }: SlotsPlan,
  { pods, unseen, context }: MadeSlots,
): Trouble | undefined {
  const trouble = context.setbacks.get(pool)?.trouble;
  if (trouble === undefined || create > 0) return trouble;
  const isAwaited = unseen.length > 0 || !pods.every((pod) => isConnected(pod, context.fleet));
  return isAwaited && !isRefusal(trouble) ? trouble : undefined;
}

/**
 * A slot that the server does not take is a setback, too, for whatever reason: the serial that was reserved for it comes back as
 * a change, and with it the next try.
 */
export function noteFailure(pool: Pool, outcome: Outcome, { options, setbacks }: PoolContext): void {
  const trouble = explainFailure(outcome);
  if (outcome.type !== 'failed' || trouble === undefined) return;
  const { name, generation } = pool.metadata;
  const nowMs = options.clock.nowMs();
  const known = new Set(findOwned(options.cluster.list(kinds.Pod), pool).map(({ metadata }) => metadata.name));
  const before = setbacks.get(name) ?? noSetbacks;
  // An hour of it is not believed.
  const saidMs = Math.min(outcome.retryAfterMs ?? 0, RETRY_BACKOFF.capMs);
  const notBefore = saidMs === 0 ? {} : { notBeforeMs: nowMs + saidMs };
  setbacks.set(name, { ...addSetback(before, nowMs), known, trouble, generation, ...notBefore });
}

export function forgetFailure(pool: string, { setbacks }: PoolContext): void {
  const found = setbacks.get(pool);
  if (found?.trouble === undefined || !isRefusal(found.trouble)) return;
  const { count, lastAtMs, known } = found;
  setbacks.set(pool, { count, lastAtMs, known });
}

// Whether an instance of a Model may sleep by what it holds then, for a condition of the Model. Without it nobody sees why every
// call is met by a start. Pure.
import type { Condition } from '../api/group.ts';
import type { Model } from '../api/model.ts';
import type { ModelRevision } from '../api/model-revision.ts';
import type { Pool } from '../api/pool.ts';
import { maySleep } from './launch.ts';
import type { AsleepBytes } from './sleep-memory.ts';

export const SLEEP_ROOM = 'SleepPossible';

export type SleepRoom = Pick<Condition, 'status' | 'reason' | 'message'>;

/** Figures for people are rounded up to this, so that they do not run with every report. */
const STEP_BYTES = 100_000_000;

/** Undefined: none of it sleeps anyway, or no Pool of it bounds what sleepers hold. */
export function judgeSleepRoom(
  { model, revision, held }: { model: Model; revision: ModelRevision | undefined; held: AsleepBytes | undefined },
  pools: readonly Pool[],
): SleepRoom | undefined {
  const { minAwake, maxAwake } = model.spec.scaling;
  if (revision === undefined || held === undefined || minAwake >= maxAwake || !maySleep(revision, model))
    return undefined;
  const taking = pools.filter(({ spec }) => spec.sleepersPerSlotMax > 0);
  const bounded = taking.filter(({ spec }) => spec.sleeperBytes !== undefined);
  if (bounded.length === 0) return undefined;
  if (taking.some(({ spec }) => held.bytes <= (spec.sleeperBytes ?? Number.POSITIVE_INFINITY)))
    return { status: 'True', reason: 'SleeperFits', message: sayFits(held) };
  return { status: 'False', reason: 'SleeperTooLarge', message: sayTooLarge(held, bounded) };
}

function sayFits({ isMeasured }: AsleepBytes): string {
  if (isMeasured) return 'What an instance holds once it sleeps fits into a slot.';
  return 'Nobody has seen yet what an instance holds once it sleeps. By the guess it fits into a slot, perhaps beside nothing else.';
}

function sayTooLarge({ bytes, isMeasured }: AsleepBytes, bounded: readonly Pool[]): string {
  const needed = Math.ceil(bytes / STEP_BYTES) * STEP_BYTES;
  const how = isMeasured ? 'holds' : 'is thought to hold, from the size of its weights,';
  const most = Math.max(...bounded.map(({ spec }) => spec.sleeperBytes ?? 0));
  const names = bounded.map(({ metadata }) => metadata.name).join(' or ');
  return `An instance that sleeps ${how} ${needed} bytes, and a slot may hold ${most}: it is stopped instead, and the next call starts it from nothing. Raise spec.sleeperBytes of Pool ${names} to ${needed}.`;
}

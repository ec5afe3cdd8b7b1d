// Which fault strikes at which event. Rests on the seed, the incarnation and the ordinals alone: the same configuration gives
// the same faults again. Pure; what a fault does is up to whom it strikes.
import type { Fault, FaultKind } from '../../api/simulation.ts';
import type { Rng } from '../../lib/rng.ts';
import { namedRng } from './chance.ts';

export const faultsAt = {
  request: ['Slow', 'HangBeforeHeaders', 'HangMidStream', 'Trickle', 'Cut', 'GarbageFrame', 'Crash'],
  start: ['FailedStart', 'OutOfMemory'],
  wake: ['FailedWake', 'PartialWake', 'CorruptWake', 'OutOfMemory'],
  sleep: ['FailedSleep', 'Leak'],
} as const satisfies Record<string, readonly FaultKind[]>;

export type FaultEvent = keyof typeof faultsAt;
export type FaultAt<Event extends FaultEvent> = (typeof faultsAt)[Event][number];
export type RequestFault = FaultAt<'request'>;

export interface Struck<Event extends FaultEvent> {
  readonly kind: FaultAt<Event>;
  /** For the fault's own details, such as the frame that it begins at. */
  readonly rng: Rng;
}

export interface Faults {
  /** The fault that strikes at the event of this ordinal, counted from 1; undefined when all goes well. */
  draw<Event extends FaultEvent>(event: Event, ordinal: number): Struck<Event> | undefined;
}

export function createFaults(options: {
  readonly faults: readonly Fault[];
  readonly seed: number;
  readonly incarnation: number;
}): Faults {
  const { faults, seed, incarnation } = options;
  return {
    draw(event, ordinal) {
      for (const [index, fault] of faults.entries()) {
        const kind = kindAt(event, fault.kind);
        if (kind === undefined) continue;
        const rng = namedRng('fault', seed, incarnation, index, event, ordinal);
        if (strikes(fault, ordinal, rng)) return { kind, rng };
      }
      return undefined;
    },
  };
}

function kindAt<Event extends FaultEvent>(event: Event, kind: FaultKind): FaultAt<Event> | undefined {
  const kinds: readonly FaultAt<Event>[] = faultsAt[event];
  return kinds.find((known) => known === kind);
}

function strikes({ at, chanceBasisPoints }: Fault, ordinal: number, rng: Rng): boolean {
  const drawn = rng.below(10_000);
  return at?.includes(ordinal) === true || drawn < (chanceBasisPoints ?? 0);
}

// Which sets of files leave a volume so that another one fits: those whose loss costs least for each byte that they give back.
// Pure. Never names a set that somebody uses, and nothing that a Model needs leaves for what nobody asks for.

/** What keeps a set where it is. A sleeper needs its files to wake, and can be stopped; nothing else lets go. */
export type SetHold = 'None' | 'Asleep' | 'InUse';

export interface StoredSet {
  readonly digest: string;
  readonly bytes: number;
  readonly hold: SetHold;
  /** A Model names it now. Others are earlier versions. */
  readonly isNamed: boolean;
  /** How likely it is needed before long, 0 to 1. */
  readonly chance: number;
  /** What bringing it again takes. */
  readonly restageMs: number;
}

export interface RoomQuestion {
  readonly capacityBytes: number;
  /** Everything on the volume, and on its way there, but the set that is to come. */
  readonly stored: readonly StoredSet[];
  readonly neededBytes: number;
  /** Somebody waits for it. Else it only makes the next start shorter. */
  readonly isWanted: boolean;
}

export type RoomPlan =
  | { readonly type: 'fits' }
  | { readonly type: 'evict'; readonly digests: readonly string[] }
  /** Instances that sleep have to end first. */
  | { readonly type: 'stop'; readonly digests: readonly string[] }
  /** It is not worth what would have to go. */
  | { readonly type: 'later' }
  /** What is in use takes the room. */
  | { readonly type: 'full'; readonly heldBytes: number; readonly digests: readonly string[] }
  | { readonly type: 'tooSmall' };

const holds: readonly SetHold[] = ['None', 'Asleep', 'InUse'];

export function planRoom(question: RoomQuestion): RoomPlan {
  const { capacityBytes, stored, neededBytes, isWanted } = question;
  if (neededBytes > capacityBytes) return { type: 'tooSmall' };
  const missingBytes = sumBytes(stored) + neededBytes - capacityBytes;
  if (missingBytes <= 0) return { type: 'fits' };
  const movable = stored
    .filter(({ hold, isNamed }) => (isWanted ? hold !== 'InUse' : hold === 'None' && !isNamed))
    .sort((a, b) => holds.indexOf(a.hold) - holds.indexOf(b.hold) || worthOf(a) - worthOf(b) || compare(a, b));
  const chosen = choose(movable, missingBytes);
  if (chosen === undefined) return isWanted ? nameHolders(stored) : { type: 'later' };
  const sleepers = chosen.filter(({ hold }) => hold === 'Asleep');
  const listed = (sets: readonly StoredSet[]) => sets.map(({ digest }) => digest);
  return sleepers.length > 0 ? { type: 'stop', digests: listed(sleepers) } : { type: 'evict', digests: listed(chosen) };
}

/** The time that it saves for each byte: chance of need x time to bring it again / bytes. */
export function worthOf({ chance, restageMs, bytes }: StoredSet): number {
  return (chance * restageMs) / Math.max(1, bytes);
}

/** The first ones that are enough, less those that turn out not to be needed, the most valuable first. */
function choose(movable: readonly StoredSet[], missingBytes: number): readonly StoredSet[] | undefined {
  const taken: StoredSet[] = [];
  let left = missingBytes;
  for (const set of movable) {
    if (left <= 0) break;
    taken.push(set);
    left -= set.bytes;
  }
  if (left > 0) return undefined;
  return taken
    .toReversed()
    .filter((set) => {
      if (left + set.bytes > 0) return true;
      left += set.bytes;
      return false;
    })
    .toReversed();
}

function nameHolders(stored: readonly StoredSet[]): RoomPlan {
  const holders = stored.filter(({ hold }) => hold === 'InUse').sort((a, b) => b.bytes - a.bytes || compare(a, b));
  return { type: 'full', heldBytes: sumBytes(holders), digests: holders.map(({ digest }) => digest) };
}

function sumBytes(sets: readonly StoredSet[]): number {
  return sets.reduce((sum, { bytes }) => sum + bytes, 0);
}

function compare(a: StoredSet, b: StoredSet): number {
  return a.digest < b.digest ? -1 : a.digest > b.digest ? 1 : 0;
}

/** Half of the chance is gone after this time without use. */
const HALF_IDLE_MS = 3_600_000;
/** Earlier versions are gone back to now and then. */
const EARLIER_SHARE = 0.1;

/** From nothing but the time since it was used last. */
export function guessChance(idleMs: number, isNamed: boolean): number {
  return (isNamed ? 1 : EARLIER_SHARE) / (1 + Math.max(0, idleMs) / HALF_IDLE_MS);
}

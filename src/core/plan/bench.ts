// The planner's working copy of the slots: assignments that can be changed, with every change written down and counted.
// Never touches the snapshot it was made from.
import type { Rung } from '../../api/link.ts';
import type { Claim, Move, PlaceBounds, PlaceSnapshot, PoolView } from './placement.ts';
import { type Assignment, ascentOf, awakeIn, reportOf, type SlotView } from './snapshot.ts';

export interface Place {
  readonly slot: SlotView;
  assigned(): Assignment[];
  /** The revision that is assigned awake here. */
  awake(): string | undefined;
  set(named: { readonly model: string; readonly revision: string }, to: Move['to'], reason: string): void;
}

export interface Bench {
  readonly bounds: PlaceBounds;
  readonly isComplete: boolean;
  readonly claims: readonly Claim[];
  /** Usable slots. */
  readonly places: readonly Place[];
  readonly moves: readonly Move[];
  claimOf(revision: string): Claim | undefined;
  poolOf(name: string): PoolView | undefined;
  /** Usable slots of a pool that are not held. */
  placesIn(pool: string): readonly Place[];
  /** Where the revision is assigned awake, leaving slots left out. */
  placesOf(revision: string): Place[];
  /** How many these are, without copies that are being made. */
  countOf(revision: string): number;
  /** Slots of a node that wake a sleeper, or are about to. */
  wakesOn(node: string | undefined): number;
  /** Slots in which the revision is assigned at any rung. */
  copiesOf(revision: string): number;
  /** The revision that starts here only to sleep. */
  copyIn(place: Place): string | undefined;
  /** It is no copy any more: it counts, and is to serve. */
  adopt(place: Place): void;
  readonly adopted: readonly string[];
  /** Takes one place in a pool's room for new slots. False when there is none. */
  takeRoom(pool: string): boolean;
  /** From now on nobody gets it in this plan: a slot of another flavour is to take its place. */
  hold(place: Place): void;
  /** Holds it, and has it go. */
  giveUp(place: Place): void;
  readonly givenUp: readonly string[];
  /** Takes the place of one slot of a pool that is leaving. False when there is none. */
  takeLeaving(pool: string): boolean;
  assigned(): ReadonlyMap<string, readonly Assignment[]>;
}

export function createBench(snapshot: PlaceSnapshot, bounds: PlaceBounds): Bench {
  const claims = new Map(snapshot.claims.map((claim) => [claim.revision, claim]));
  const pools = new Map(snapshot.pools.map((pool) => [pool.name, pool]));
  const room = new Map(snapshot.pools.map((pool) => [pool.name, pool.room]));
  const leaving = new Map(snapshot.pools.map((pool) => [pool.name, pool.leaving ?? 0]));
  const awakeAt = new Map<string, Set<Place>>();
  const copies = new Map<string, number>();
  const wakes = new Map<string | undefined, number>();
  const moves: Move[] = [];
  const held = new Set<Place>();
  const givenUp: string[] = [];
  const adopted: string[] = [];
  const staying = snapshot.slots
    .filter((slot) => !slot.isLeaving)
    .map((slot) => createPlace(slot, { moves, awakeAt, copies, wakes }));
  const copyIn = ({ slot }: Place): string | undefined => {
    const revision = adopted.includes(slot.podUid) ? undefined : snapshot.copies?.get(slot.podUid)?.revision;
    return revision === undefined || ascentOf(reportOf(slot, revision)) === 'Up' ? undefined : revision;
  };
  const places = staying.filter((place) => place.slot.isUsable);
  const byPool = Map.groupBy(places, (place) => place.slot.pool);
  return {
    bounds,
    isComplete: snapshot.isComplete,
    claims: snapshot.claims,
    places,
    moves,
    claimOf: (revision) => claims.get(revision),
    poolOf: (name) => pools.get(name),
    placesIn: (pool) => (byPool.get(pool) ?? []).filter((place) => !held.has(place)),
    hold: (place) => void held.add(place),
    giveUp(place) {
      held.add(place);
      givenUp.push(place.slot.name);
    },
    givenUp,
    placesOf: (revision) => [...(awakeAt.get(revision) ?? [])],
    countOf: (revision) => [...(awakeAt.get(revision) ?? [])].filter((place) => copyIn(place) !== revision).length,
    copyIn,
    adopt: ({ slot }) => void adopted.push(slot.podUid),
    adopted,
    wakesOn: (node) => wakes.get(node) ?? 0,
    copiesOf: (revision) => copies.get(revision) ?? 0,
    takeRoom: (pool) => takeOne(room, pool),
    takeLeaving: (pool) => takeOne(leaving, pool),
    assigned: () => new Map(places.map((place) => [place.slot.podUid, inOrder(place.assigned())])),
  };
}

function takeOne(left: Map<string, number>, pool: string): boolean {
  const count = left.get(pool) ?? 0;
  if (count > 0) left.set(pool, count - 1);
  return count > 0;
}

interface Ledger {
  readonly moves: Move[];
  /** Places by the revision that is assigned awake in them. */
  readonly awakeAt: Map<string, Set<Place>>;
  readonly copies: Map<string, number>;
  /** By node. */
  readonly wakes: Map<string | undefined, number>;
}

const onTheWayUp: ReadonlySet<Rung> = new Set(['Asleep', 'Sleeping', 'Draining', 'Waking']);

function createPlace(slot: SlotView, { moves, awakeAt, copies, wakes }: Ledger): Place {
  const assigned = new Map(slot.assigned.map((assignment) => [assignment.revision, assignment]));
  const addCopy = (revision: string, by: 1 | -1) => copies.set(revision, (copies.get(revision) ?? 0) + by);
  for (const revision of assigned.keys()) addCopy(revision, 1);
  let awake: string | undefined;
  const addWake = (by: 1 | -1) => {
    const rung = awake === undefined ? undefined : reportOf(slot, awake)?.rung;
    if (rung !== undefined && onTheWayUp.has(rung)) wakes.set(slot.node, (wakes.get(slot.node) ?? 0) + by);
  };
  const setAwake = (revision: string | undefined) => {
    if (awake !== undefined) awakeAt.get(awake)?.delete(place);
    addWake(-1);
    awake = revision;
    addWake(1);
    if (revision !== undefined) awakeAt.set(revision, (awakeAt.get(revision) ?? new Set()).add(place));
  };
  const place: Place = {
    slot,
    assigned: () => [...assigned.values()],
    awake: () => awake,
    set({ model, revision }, to, reason) {
      if ((assigned.get(revision)?.rung ?? 'Absent') === to) return;
      if (!assigned.has(revision)) addCopy(revision, 1);
      if (to === 'Absent') addCopy(revision, -1);
      if (to === 'Absent') assigned.delete(revision);
      else assigned.set(revision, { model, revision, rung: to });
      if (to === 'Awake') setAwake(revision);
      else if (awake === revision) setAwake(undefined);
      moves.push({ slot: slot.name, model, revision, to, reason });
    },
  };
  setAwake(awakeIn(slot)?.revision);
  return place;
}

/** Awake first, then by name: the order in which a slot looks at them, and the same for the same plan. */
function inOrder(assigned: Assignment[]): Assignment[] {
  const rank = (assignment: Assignment) => (assignment.rung === 'Awake' ? 0 : 1);
  return assigned.sort((a, b) => rank(a) - rank(b) || (a.revision < b.revision ? -1 : 1));
}

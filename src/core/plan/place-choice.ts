// Where one more instance of a revision comes up: filter, score, pick. A free slot with a sleeping copy first, then any free
// slot, then a new slot, then one whose occupant may give way. Changes nothing but the count of new slots.
import type { Bench, Place } from './bench.ts';
import type { Claim } from './placement.ts';
import { ascentOf, canRun, idleMsOf, reportOf } from './snapshot.ts';

export type Choice =
  | { readonly type: 'place'; readonly place: Place }
  /** One more slot in this pool would do, and there is room for it. */
  | { readonly type: 'grow'; readonly pool: string }
  | { readonly type: 'none' };

export function findPlace(bench: Bench, claim: Claim): Choice {
  const places = placesFor(bench, claim);
  const free = places.filter((place) => place.awake() === undefined);
  const untried = free.filter((place) => !hasFailedIn(place, claim));
  const best = pick(untried, (place) => scoreFree(place, claim)) ?? pick(free, (place) => scoreFree(place, claim));
  if (best !== undefined) return { type: 'place', place: best };
  // What fails in the slots that there are would fail in a new one: it takes its turn in those.
  const isBroken = places.some((place) => hasFailedIn(place, claim));
  const pool = isBroken ? undefined : claim.pools.find((name) => bench.takeRoom(name));
  if (pool !== undefined) return { type: 'grow', pool };
  const yielding = bench.isComplete ? places.filter((place) => mayYield(bench, place, claim)) : [];
  const taken = pick(yielding, (place) => scoreYielding(bench, place, claim));
  return taken === undefined ? { type: 'none' } : { type: 'place', place: taken };
}

/** A free slot in which the revision has not failed. */
export function mayMoveTo(bench: Bench, claim: Claim): Place | undefined {
  const free = placesFor(bench, claim).filter((place) => place.awake() === undefined && !hasFailedIn(place, claim));
  return pick(free, (place) => scoreFree(place, claim));
}

/** Of its pools, those in which it is not awake already. */
function placesFor(bench: Bench, claim: Claim): Place[] {
  const places: Place[] = [];
  for (const pool of claim.pools) {
    for (const place of bench.placesIn(pool)) {
      if (place.awake() !== claim.revision && canRun(place.slot, claim.engine)) places.push(place);
    }
  }
  return places;
}

function hasFailedIn(place: Place, claim: Claim): boolean {
  return reportOf(place.slot, claim.revision)?.failure !== undefined;
}

function mustWaitIn(place: Place, claim: Claim): boolean {
  return (reportOf(place.slot, claim.revision)?.failure?.retryInMs ?? 0) > 0;
}

function hasSleepingCopy(place: Place, claim: Claim): boolean {
  const rung = reportOf(place.slot, claim.revision)?.rung;
  return rung === 'Asleep' || rung === 'Sleeping' || rung === 'Draining' || rung === 'Awake';
}

/** Lower is better, in this order. */
type Score = readonly number[];

function scoreFree(place: Place, claim: Claim): Score {
  const isEmpty = place.slot.instances.every((instance) => instance.rung === 'Asleep' || instance.rung === 'Staged');
  return [
    hasSleepingCopy(place, claim) ? 0 : 1,
    claim.pools.indexOf(place.slot.pool),
    isEmpty ? 0 : 1,
    place.slot.assigned.length,
  ];
}

function scoreYielding(bench: Bench, place: Place, claim: Claim): Score {
  const occupant = reportOf(place.slot, place.awake() ?? '');
  const own = bench.claimOf(place.awake() ?? '')?.model === claim.model ? 1 : 0;
  const idleMs = occupant === undefined ? 0 : idleMsOf(occupant);
  return [own, hasSleepingCopy(place, claim) ? 0 : 1, -idleMs, claim.pools.indexOf(place.slot.pool)];
}

/**
 * Whether the occupant of a slot gives way to this claim. Without work it does soon. With work it does after a minimum
 * residency, and only to a model that has nothing awake: so models that compete for one slot take turns. It never does below
 * its own minimum, except for its own candidate, which could never come up otherwise.
 */
function mayYield(bench: Bench, place: Place, claim: Claim): boolean {
  const occupant = bench.claimOf(place.awake() ?? '');
  if (occupant === undefined || mustWaitIn(place, claim)) return false;
  const report = reportOf(place.slot, occupant.revision);
  const ascent = ascentOf(report);
  const isOwn = occupant.model === claim.model;
  if (!isOwn && bench.countOf(occupant.revision) <= occupant.min) return false;
  if (ascent === 'Failed') return true;
  if (ascent !== 'Up' || report === undefined) return false;
  if (!occupant.isBusy && report.inFlight === 0) return report.rungAgeMs >= bench.bounds.settleMs;
  if (claim.isPatient || bench.countOf(claim.revision) > 0) return false;
  return report.rungAgeMs >= bench.bounds.residencyMs;
}

function pick(places: readonly Place[], score: (place: Place) => Score): Place | undefined {
  const scored = places.map((place) => ({ place, score: [...score(place)] }));
  return scored.reduce<(typeof scored)[number] | undefined>(
    (best, one) => (best === undefined || isBetter(one, best) ? one : best),
    undefined,
  )?.place;
}

function isBetter(one: { place: Place; score: Score }, best: { place: Place; score: Score }): boolean {
  for (const [at, value] of one.score.entries()) {
    const other = best.score[at] ?? 0;
    if (value !== other) return value < other;
  }
  return one.place.slot.name < best.place.slot.name;
}

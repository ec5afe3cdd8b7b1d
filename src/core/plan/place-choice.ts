// Where one more instance of a revision comes up: filter, score, pick. A free slot with a sleeping copy first, then any free
// slot, then a new slot, then one whose occupant may give way. Changes nothing but the count of new slots.
import { residentRungs } from '../../api/link.ts';
import type { Bench, Place } from './bench.ts';
import { leftMs } from './climb.ts';
import type { Claim } from './placement.ts';
import { ascentOf, canRun, hasFlavour, idleMsOf, reportOf } from './snapshot.ts';

export type Choice =
  | { readonly type: 'place'; readonly place: Place }
  /** One more slot in this pool would do, and there is room for it. */
  | { readonly type: 'grow'; readonly pool: string }
  /** A slot of another flavour, whose occupant gives way first. */
  | { readonly type: 'clear'; readonly place: Place }
  /** A copy that starts here only to sleep is there first: it is to serve. */
  | { readonly type: 'adopt'; readonly place: Place }
  | { readonly type: 'none' };

export function findPlace(bench: Bench, claim: Claim): Choice {
  const isWakeOnly = mayOnlyWake(bench, claim);
  const places = placesFor(bench, claim).filter((place) => !isWakeOnly || hasSleepingCopy(place, claim));
  const copy = findCopy(bench, claim, places);
  if (copy !== undefined) return { type: 'adopt', place: copy };
  const among = { places, isWakeOnly };
  const choice = claim.climb === undefined ? findByContents(bench, claim, among) : findByTime(bench, claim, among);
  const mayReplace = choice.type === 'none' && !isWakeOnly && !places.some((place) => hasFailedIn(place, claim));
  return mayReplace ? replaceOther(bench, claim) : choice;
}

/** As many as may be started from nothing are there: one more has to be a sleeper that wakes. */
export function mayOnlyWake(bench: Bench, { revision, coldMax }: Claim): boolean {
  return bench.countOf(revision) >= (coldMax ?? Number.POSITIVE_INFINITY);
}

/** The copy of it that is being made and will be there soonest, unless another place is sooner. */
function findCopy(bench: Bench, claim: Claim, places: readonly Place[]): Place | undefined {
  const copies = bench
    .placesOf(claim.revision)
    .filter((place) => place.slot.isUsable && bench.copyIn(place) === claim.revision);
  const [copy] = copies.sort((a, b) => copyLeftMs(a, claim) - copyLeftMs(b, claim));
  if (copy === undefined) return undefined;
  const open = places.filter(
    (place) => !hasFailedIn(place, claim) && (place.awake() === undefined || mayTake(bench, place, claim)),
  );
  const isSooner = (place: Place) =>
    hasSleepingCopy(place, claim) && untilAwakeMs(bench, place, claim) < copyLeftMs(copy, claim);
  return open.some(isSooner) ? undefined : copy;
}

function copyLeftMs({ slot }: Place, { revision, climb }: Claim): number {
  return leftMs(climb?.startMs ?? Number.POSITIVE_INFINITY, reportOf(slot, revision)?.rungAgeMs ?? 0);
}

/**
 * A full pool makes room for one more slot of this flavour: an idle slot of another flavour goes, else an occupant of one that
 * may give way leaves it first. One that is being left is waited for, and kept from others.
 */
function replaceOther(bench: Bench, claim: Claim): Choice {
  if (!bench.isComplete) return { type: 'none' };
  // The place of one that is on its way out, which may have been given up for this very claim.
  const left = claim.pools.find((name) => bench.takeLeaving(name));
  if (left !== undefined) return { type: 'grow', pool: left };
  const others = claim.pools.flatMap((pool) => bench.placesIn(pool).filter(({ slot }) => !hasFlavour(slot, claim)));
  const empty = others.filter((place) => place.awake() === undefined);
  const idle = pick(
    empty.filter(({ slot }) => slot.instances.every(({ rung }) => !residentRungs.has(rung))),
    (place) => [claim.pools.indexOf(place.slot.pool), place.slot.assigned.length],
  );
  if (idle !== undefined) {
    bench.giveUp(idle);
    return { type: 'grow', pool: idle.slot.pool };
  }
  const [emptying] = empty;
  if (emptying !== undefined) {
    bench.hold(emptying);
    return { type: 'none' };
  }
  const yielding = others.filter((place) => mayYield(bench, place, claim));
  const taken = pick(yielding, (place) => scoreYielding(bench, place, claim));
  return taken === undefined ? { type: 'none' } : { type: 'clear', place: taken };
}

function findByContents(
  bench: Bench,
  claim: Claim,
  { places, isWakeOnly }: { places: readonly Place[]; isWakeOnly: boolean },
): Choice {
  const free = places.filter((place) => place.awake() === undefined);
  const untried = free.filter((place) => !hasFailedIn(place, claim));
  const best = pick(untried, (place) => scoreFree(place, claim)) ?? pick(free, (place) => scoreFree(place, claim));
  if (best !== undefined) return { type: 'place', place: best };
  // What fails in the slots that there are would fail in a new one: it takes its turn in those.
  const isBroken = isWakeOnly || places.some((place) => hasFailedIn(place, claim));
  const pool = isBroken ? undefined : growIn(bench, claim, { mayBeLate: false });
  if (pool !== undefined) return { type: 'grow', pool };
  const yielding = bench.isComplete ? places.filter((place) => mayYield(bench, place, claim)) : [];
  const taken = pick(yielding, (place) => scoreYielding(bench, place, claim));
  if (taken !== undefined) return { type: 'place', place: taken };
  const late = isBroken ? undefined : growIn(bench, claim, { mayBeLate: true });
  return late === undefined ? { type: 'none' } : { type: 'grow', pool: late };
}

/** The first pool with room; one whose slots do not come only when no other has any. */
function growIn(bench: Bench, { pools }: Claim, { mayBeLate }: { readonly mayBeLate: boolean }): string | undefined {
  const isLate = (name: string) => bench.poolOf(name)?.isLate === true;
  const onTime = pools.filter((name) => !isLate(name));
  const inOrder = mayBeLate ? [...onTime, ...pools.filter(isLate)] : onTime;
  return inOrder.find((name) => bench.takeRoom(name));
}

/**
 * The place where it would be awake first, counting what has to leave before it. It may be worth to wait for a slot with a
 * sleeping copy whose occupant has work: a start from nothing somewhere else would take longer.
 */
function findByTime(
  bench: Bench,
  claim: Claim,
  { places, isWakeOnly }: { places: readonly Place[]; isWakeOnly: boolean },
): Choice {
  const open = places.filter((place) => place.awake() === undefined || mayTake(bench, place, claim));
  const [shared = [], own = []] = [true, false].map((is) =>
    open.filter((place) => (isContended(bench, place, claim) || hasFailedIn(place, claim)) === is),
  );
  const isYielding = (place: Place) => place.awake() === undefined || mayYield(bench, place, claim);
  const best = pick(own, (place) => scoreTime(bench, place, claim));
  if (best !== undefined) return isYielding(best) ? { type: 'place', place: best } : { type: 'none' };
  const turn = pick(shared, (place) => scoreTime(bench, place, claim));
  if (turn !== undefined && isYielding(turn)) return { type: 'place', place: turn };
  // A new slot has no sleeper to wake, and what fails in the slots that there are would fail in it as well.
  const isVain = isWakeOnly || places.some((place) => hasFailedIn(place, claim));
  const pool = isVain ? undefined : growIn(bench, claim, { mayBeLate: true });
  return pool === undefined ? { type: 'none' } : { type: 'grow', pool };
}

/** So much work of two models in one slot is mostly changes from one to the other. */
const CONTENDED_LOAD = 0.8;

/** It has work, and what both have to do usually is too much for one slot: they would take turns in it for ever. */
function isContended(bench: Bench, place: Place, claim: Claim): boolean {
  const occupant = bench.claimOf(place.awake() ?? '');
  if (occupant === undefined || occupant.model === claim.model) return false;
  if ((reportOf(place.slot, occupant.revision)?.inFlight ?? 0) === 0) return false;
  const loadOf = ({ load = 0 }: Claim, instances: number) => load / Math.max(1, instances);
  return loadOf(occupant, bench.countOf(occupant.revision)) + loadOf(claim, claim.desired) > CONTENDED_LOAD;
}

/** It gives way now, or is worth waiting for: a sleeping copy is in it. */
function mayTake(bench: Bench, place: Place, claim: Claim): boolean {
  if (!bench.isComplete || bench.countOf(claim.revision) >= (claim.pressing ?? claim.desired)) return false;
  if (mayYield(bench, place, claim)) return true;
  const occupant = bench.claimOf(place.awake() ?? '');
  if (occupant === undefined || occupant.model === claim.model || claim.isPatient) return false;
  const mayLeave = bench.countOf(occupant.revision) > occupant.min;
  return mayLeave && mayInterrupt(bench, claim) && hasSleepingCopy(place, claim);
}

/** A free slot in which the revision has not failed. */
export function mayMoveTo(bench: Bench, claim: Claim): Place | undefined {
  const free = placesFor(bench, claim).filter((place) => place.awake() === undefined && !hasFailedIn(place, claim));
  return pick(free, (place) => scoreFree(place, claim));
}

/** A free slot with a sleeping copy in which it would be awake sooner than in the slot that it waits for. */
export function soonerPlace(bench: Bench, claim: Claim, place: Place): Place | undefined {
  if (ascentOf(reportOf(place.slot, claim.revision)) !== 'Waiting') return undefined;
  const leftMs = untilAwakeMs(bench, place, claim);
  const free = placesFor(bench, claim).filter(
    (other) => other.awake() === undefined && !hasFailedIn(other, claim) && hasSleepingCopy(other, claim),
  );
  const best = pick(free, (other) => scoreTime(bench, other, claim));
  return best !== undefined && untilAwakeMs(bench, best, claim) < leftMs ? best : undefined;
}

/** Of its pools, those in which it is not awake already. */
function placesFor(bench: Bench, claim: Claim): Place[] {
  const places: Place[] = [];
  for (const pool of claim.pools) {
    for (const place of bench.placesIn(pool)) {
      if (place.awake() !== claim.revision && canRun(place.slot, claim)) places.push(place);
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

/** A place where it failed counts as this much later. */
const FAILED_MS = 600_000;

/** Time until it would be awake there, with the harm to others as time on top. */
function scoreTime(bench: Bench, place: Place, claim: Claim): Score {
  const { startMs = 0, drainMs = 0, sleepMs = 0 } = claim.climb ?? {};
  const heldMs = hasSleepingCopy(place, claim) ? drainMs + sleepMs : startMs;
  const harmMs = occupantHarmMs(bench, place) + sleeperHarmMs(bench, place, heldMs);
  const failedMs = hasFailedIn(place, claim) ? FAILED_MS : 0;
  return [
    untilAwakeMs(bench, place, claim) + failedMs + harmMs,
    claim.pools.indexOf(place.slot.pool),
    // One node is lost at a time.
    bench.placesOf(claim.revision).filter(({ slot }) => slot.node === place.slot.node).length,
    place.slot.assigned.length,
  ];
}

function untilAwakeMs(bench: Bench, place: Place, claim: Claim): number {
  const { wakeMs = 0, startMs = 0 } = claim.climb ?? {};
  // Who is on the way out, for nobody who took the place, just stays.
  const isStaying = reportOf(place.slot, claim.revision)?.rung === 'Draining';
  if (isStaying && [undefined, claim.revision].includes(place.awake())) return 0;
  return roomMs(bench, place) + (hasSleepingCopy(place, claim) ? wakeMs * shareOfWake(bench, place, claim) : startMs);
}

/** How many times longer a wake takes with those that its node has under way. */
function shareOfWake(bench: Bench, place: Place, claim: Claim): number {
  const others = bench.wakesOn(place.slot.node) - (place.awake() === claim.revision ? 1 : 0);
  return Math.max(1, (others + 1) / bench.bounds.wakesAtFullRate);
}

/** Time until nothing is resident in it. */
function roomMs(bench: Bench, place: Place): number {
  const resident = place.slot.instances.find(({ rung }) => residentRungs.has(rung));
  if (resident === undefined || bench.copyIn(place) === resident.revision) return 0;
  const { startMs = 0, wakeMs = 0, drainMs = 0, sleepMs = 0 } = bench.claimOf(resident.revision)?.climb ?? {};
  const left = (ms: number) => Math.max(0, ms - resident.rungAgeMs);
  switch (resident.rung) {
    case 'Sleeping':
    case 'Stopping':
      return left(sleepMs);
    // Who climbs is wanted, and stays for a while.
    case 'Starting':
      return left(startMs) + drainMs + sleepMs;
    case 'Waking':
      return left(wakeMs) + drainMs + sleepMs;
    case 'Awake':
    case 'Draining':
    case 'Asleep':
    case 'Staged':
    case 'Absent':
    case 'Failed':
      return (resident.inFlight > 0 ? drainMs : 0) + sleepMs;
  }
}

/** What the occupant loses: the chance that it is needed again soon, times what it takes to bring it back. */
function occupantHarmMs(bench: Bench, place: Place): number {
  const occupant = bench.claimOf(place.awake() ?? '');
  return occupant?.climb === undefined ? 0 : (occupant.chance ?? 1) * occupant.climb.wakeMs;
}

/** How often the slots of all other copies are taken, about. */
const TAKEN_SHARE = 0.5;

/** How much hangs on one copy, when there may be others: all of it, or what is left when those are not to be had. */
export function shareOfCopy(bench: Bench, revision: string): number {
  return TAKEN_SHARE ** Math.max(0, bench.copiesOf(revision) - 1);
}

/** Who is needed while another one holds the slot waits for half of that time on average. */
function sleeperHarmMs(bench: Bench, place: Place, heldMs: number): number {
  const sleepers = place.assigned().filter(({ rung }) => rung === 'Asleep');
  return sleepers.reduce((sum, { revision }) => {
    const { chance = 0, climb } = bench.claimOf(revision) ?? {};
    // The chance is for the time that a start takes; in less time less happens.
    const share = climb === undefined ? 1 : Math.min(1, heldMs / climb.startMs);
    return sum + (chance * share * heldMs * shareOfCopy(bench, revision)) / 2;
  }, 0);
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
 * residency, and only to a model that has nothing awake, or less than its minimum: so models that compete for one slot take
 * turns. It never does below its own minimum, except for its own candidate, which could never come up otherwise.
 */
function mayYield(bench: Bench, place: Place, claim: Claim): boolean {
  const occupant = bench.claimOf(place.awake() ?? '');
  if (occupant === undefined || mustWaitIn(place, claim)) return false;
  if (bench.copyIn(place) === occupant.revision) return true;
  const report = reportOf(place.slot, occupant.revision);
  const ascent = ascentOf(report);
  const isOwn = occupant.model === claim.model;
  if (!isOwn && bench.countOf(occupant.revision) <= occupant.min) return false;
  if (ascent === 'Failed') return true;
  if (ascent !== 'Up' || report === undefined) return false;
  if (!occupant.isBusy && report.inFlight === 0) return report.rungAgeMs >= bench.bounds.settleMs;
  // Its start would have been in vain.
  if (occupant.isPromised === true && idleMsOf(report) >= report.rungAgeMs) return false;
  if (claim.isPatient || !mayInterrupt(bench, claim)) return false;
  return report.rungAgeMs >= residencyMs(bench, occupant, claim.waitedMs);
}

/** Whether somebody with work gives way to it: to its first instance, and to those that it is never without. */
function mayInterrupt(bench: Bench, { revision, min }: Claim): boolean {
  return bench.countOf(revision) < Math.max(1, min);
}

/** A turn is worth twice what changing over takes, and half of that once the other one has waited as long. */
function residencyMs({ bounds }: Bench, { climb }: Claim, waitedMs: number): number {
  if (climb === undefined) return bounds.residencyMs;
  const changeMs = climb.sleepMs + climb.wakeMs;
  const turnMs = Math.max(changeMs / 2, changeMs - waitedMs);
  return Math.min(bounds.residencyMs, Math.max(bounds.settleMs, turnMs));
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

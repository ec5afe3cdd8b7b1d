// Which slot holds which instance at which rung, for all models at once: from what is, and what should be awake, the next
// assignment of every slot. Pure. At most one instance of a slot is assigned awake, and none loses its place without reason.
import { type Bench, createBench, type Place } from './bench.ts';
import { findPlace, mayMoveTo, mayOnlyWake, shareOfCopy, soonerPlace } from './place-choice.ts';
import {
  type Claim,
  type CopyOrder,
  type PlaceBounds,
  type Placement,
  type PlaceSnapshot,
  placeBounds,
} from './placement.ts';
import { type Assignment, ascentOf, canRun, hasFlavour, type InstanceView, idleMsOf, reportOf } from './snapshot.ts';

export function planPlacement(snapshot: PlaceSnapshot, bounds: PlaceBounds = placeBounds): Placement {
  const bench = createBench(snapshot, bounds);
  if (snapshot.isComplete) makeWay(bench);
  const unmet = raise(bench);
  if (snapshot.isComplete) tidyUp(bench, snapshot.copies);
  return { assigned: bench.assigned(), moves: bench.moves, unmet, givenUp: bench.givenUp, adopted: bench.adopted };
}

function makeWay(bench: Bench): void {
  for (const place of bench.places) letGo(bench, place);
  for (const claim of bench.claims) lower(bench, claim);
  for (const claim of bench.claims) comeSooner(bench, claim);
}

function tidyUp(bench: Bench, copies: PlaceSnapshot['copies']): void {
  for (const place of bench.places) makeCopy(bench, place, copies?.get(place.slot.podUid));
  for (const claim of bench.claims) leaveBroken(bench, claim);
  for (const place of bench.places) trimSleepers(bench, place);
}

/** Takes away what no claim covers, and what is no longer there to be kept. */
function letGo(bench: Bench, place: Place): void {
  for (const assignment of place.assigned()) {
    const claim = bench.claimOf(assignment.revision);
    const reason = claim === undefined ? 'the revision is not used any more' : whyLetGo(claim, place, assignment);
    if (reason !== undefined) place.set(assignment, 'Absent', reason);
  }
}

function whyLetGo(claim: Claim, { slot }: Place, { revision, rung }: Assignment): string | undefined {
  const report = reportOf(slot, revision);
  if (!claim.pools.includes(slot.pool)) return 'the model may not use this pool';
  if (!hasFlavour(slot, claim)) return 'the slot is of another engine';
  if (slot.without?.has(claim.revision) === true) return 'its files are not on the node';
  if (!canRun(slot, claim)) return 'the agent does not know the engine';
  if (rung === 'Asleep' && !isWarm(report)) return 'the sleeper ended';
  if (rung === 'Asleep' && !claim.canSleep) return 'the model may not sleep';
  return rung === 'Staged' && report?.failure === undefined ? 'nothing keeps it here' : undefined;
}

const warmRungs: ReadonlySet<string> = new Set(['Starting', 'Waking', 'Awake', 'Draining', 'Sleeping', 'Asleep']);

function isWarm(report: InstanceView | undefined): boolean {
  return report !== undefined && warmRungs.has(report.rung);
}

/** More are awake than should be: the idlest go first. */
function lower(bench: Bench, claim: Claim): void {
  const surplus = bench.countOf(claim.revision) - claim.desired;
  if (surplus <= 0) return;
  const places = bench.placesOf(claim.revision).filter((place) => bench.copyIn(place) !== claim.revision);
  const idlest = places
    .filter((place) => place.slot.isUsable)
    .map((place) => ({ place, rank: restRank(reportOf(place.slot, claim.revision)) }))
    .sort((a, b) => b.rank - a.rank || compareText(a.place.slot.name, b.place.slot.name));
  for (const { place } of idlest.slice(0, surplus)) settle(place, claim, 'fewer should be awake');
}

/** What starts only to sleep goes on while nobody wants the slot, and its slot is free to begin with. */
function makeCopy(bench: Bench, place: Place, copy: CopyOrder | undefined): void {
  const claim = bench.claimOf(bench.copyIn(place) ?? '');
  if (claim === undefined || place.awake() !== undefined || !place.slot.isUsable) return;
  if (reportOf(place.slot, claim.revision)?.failure !== undefined || !canRun(place.slot, claim)) return;
  const instead = bench.claimOf(copy?.instead ?? '');
  if (instead !== undefined) place.set(instead, 'Absent', `a copy of ${claim.model} is worth more here`);
  place.set(claim, 'Awake', 'a copy is to sleep here');
}

/** Higher goes first: what failed, what has not begun, what is on its way, then by idle time. Who serves stays. */
function restRank(report: InstanceView | undefined): number {
  const ascent = ascentOf(report);
  if (ascent === 'Failed') return Number.POSITIVE_INFINITY;
  if (ascent === 'Waiting' || report === undefined) return Number.MAX_VALUE;
  if (ascent === 'Climbing') return Number.MAX_SAFE_INTEGER;
  return report.inFlight > 0 ? -report.inFlight : idleMsOf(report);
}

/** Out of the way in its slot: asleep when there is something that can sleep. */
function settle(place: Place, claim: Claim, reason: string): void {
  const report = reportOf(place.slot, claim.revision);
  const rung = claim.canSleep && isWarm(report) ? 'Asleep' : report?.failure === undefined ? 'Absent' : 'Staged';
  place.set(claim, rung, reason);
}

/** Who waits until a slot is clear goes to one that has become clear meanwhile. */
function comeSooner(bench: Bench, claim: Claim): void {
  if (claim.climb === undefined) return;
  // A slot that is not connected is told nothing: what was ordered there stays ordered.
  for (const place of bench.placesOf(claim.revision).filter(({ slot }) => slot.isUsable)) {
    const other = soonerPlace(bench, claim, place);
    if (other === undefined) continue;
    settle(place, claim, 'it is awake sooner in another slot');
    other.set(claim, 'Awake', 'requests wait, and this slot is clear');
  }
}

/** Gives every claim what it lacks, the longest waiting first; a model with nothing awake goes before all others. */
function raise(bench: Bench): Placement['unmet'] {
  const lacking = bench.claims
    .filter((claim) => bench.countOf(claim.revision) < claim.desired)
    .sort(
      (a, b) =>
        rankNeed(bench, a) - rankNeed(bench, b) || b.waitedMs - a.waitedMs || compareText(a.revision, b.revision),
    );
  return lacking.flatMap((claim) => raiseOne(bench, claim));
}

function raiseOne(bench: Bench, claim: Claim): Placement['unmet'] {
  const unmet: Placement['unmet'][number][] = [];
  for (let missing = claim.desired - bench.countOf(claim.revision); missing > 0; missing -= 1) {
    const isWakeOnly = mayOnlyWake(bench, claim);
    const choice = findPlace(bench, claim);
    if (choice.type === 'place') bringUp(bench, choice.place, claim);
    else if (choice.type === 'adopt') bench.adopt(choice.place);
    else unmet.push({ claim, pool: choice.type === 'grow' ? choice.pool : undefined, isWakeOnly });
    if (choice.type === 'clear') clear(bench, choice.place, claim);
    if (choice.type === 'none' || choice.type === 'clear') break;
  }
  return unmet;
}

function rankNeed(bench: Bench, claim: Claim): number {
  return bench.countOf(claim.revision) === 0 ? 0 : 1;
}

function bringUp(bench: Bench, place: Place, claim: Claim): void {
  const other = bench.claimOf(place.awake() ?? '');
  if (other !== undefined && bench.copyIn(place) === other.revision)
    place.set(other, 'Absent', 'somebody needs the slot');
  else if (other !== undefined) settle(place, other, `${claim.model} has waited for the slot`);
  place.set(claim, 'Awake', claim.isBusy ? 'requests wait' : 'more should be awake');
}

/** Nobody takes the slot in this plan: it is to be replaced. */
function clear(bench: Bench, place: Place, claim: Claim): void {
  const occupant = bench.claimOf(place.awake() ?? '');
  if (occupant !== undefined) settle(place, occupant, `${claim.model} needs a slot of another engine`);
  bench.hold(place);
}

/** What failed in one slot is tried in another one that is free. */
function leaveBroken(bench: Bench, claim: Claim): void {
  for (const place of bench.placesOf(claim.revision)) {
    if (ascentOf(reportOf(place.slot, claim.revision)) !== 'Failed' || !place.slot.isUsable) continue;
    const other = mayMoveTo(bench, claim);
    if (other === undefined) return;
    place.set(claim, 'Staged', 'it failed here, and another slot is free');
    other.set(claim, 'Awake', 'it failed in another slot');
  }
}

/** When too many are asleep, the one whose loss costs least is stopped: the longest unused when nothing is known of that. */
function trimSleepers(bench: Bench, place: Place): void {
  const pool = bench.poolOf(place.slot.pool);
  const most = pool?.sleepersPerSlotMax ?? 0;
  const mostBytes = pool?.sleeperBytes ?? Number.POSITIVE_INFINITY;
  const sleepers = place.assigned().filter((assignment) => assignment.rung === 'Asleep');
  const bytesOf = ({ revision }: Assignment) => bench.claimOf(revision)?.asleepBytes ?? 0;
  // Who is awake will sleep here, too.
  const staying = place.assigned().filter(({ revision, rung }) => {
    return rung === 'Asleep' || (rung === 'Awake' && mayFitAsleep(bench.claimOf(revision), mostBytes));
  });
  let bytes = staying.reduce((sum, assignment) => sum + bytesOf(assignment), 0);
  if (sleepers.length <= most && bytes <= mostBytes) return;
  const asleepMs = (assignment: Assignment) => {
    const report = reportOf(place.slot, assignment.revision);
    return report?.rung === 'Asleep' ? report.rungAgeMs : -1;
  };
  // Where memory is what is short, the worth of each byte counts.
  const isTooLarge = sleepers.length <= most;
  const worth = (assignment: Assignment) =>
    worthOf(bench, assignment.revision) / (isTooLarge ? Math.max(1, bytesOf(assignment)) : 1);
  const spare = sleepers.sort(
    (a, b) => worth(a) - worth(b) || asleepMs(b) - asleepMs(a) || compareText(a.revision, b.revision),
  );
  for (const [stopped, assignment] of spare.entries()) {
    const isTooMany = sleepers.length - stopped > most;
    if (!isTooMany && bytes <= mostBytes) return;
    const reason = isTooMany
      ? `no more than ${most} may be asleep in a slot`
      : `the sleepers of a slot may hold ${mostBytes} bytes, and ${bytes} would be held`;
    place.set(assignment, 'Absent', reason);
    bytes -= bytesOf(assignment);
  }
}

/** Who is too large by itself will be stopped, whoever sleeps beside it. */
function mayFitAsleep(claim: Claim | undefined, mostBytes: number): boolean {
  return claim?.canSleep === true && (claim.asleepBytes ?? 0) <= mostBytes;
}

/** The waiting that one copy saves on average until another one could be made, in milliseconds. */
function worthOf(bench: Bench, revision: string): number {
  const { climb, chance } = bench.claimOf(revision) ?? {};
  if (climb === undefined || chance === undefined) return 0;
  const { startMs, wakeMs, drainMs, sleepMs } = climb;
  // Without its last copy it starts from nothing. With others it waits, when the slots of all of them are taken.
  const isLast = bench.copiesOf(revision) <= 1;
  return (
    chance *
    (isLast ? Math.max(0, startMs - wakeMs) : shareOfCopy(bench, revision) * (drainMs + 2 * (sleepMs + wakeMs)))
  );
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

// The linter of placements: what no plan may do, whatever it was made from. A slot with a finding is not told the plan.
// Judges only; it never mends a plan, because a mended plan would hide the mistake.
import type { Claim, Placement, PlaceSnapshot, PoolView } from '../plan/placement.ts';
import { type Assignment, awakeIn, canRun, type SlotView } from '../plan/snapshot.ts';

export const placementRules = [
  'TwoAwake',
  'Unclaimed',
  'WrongPool',
  'UnknownEngine',
  'TooManyAsleep',
  'TooLargeAsleep',
  'TooManyAwake',
  'TooManySlots',
  'LoweredInTheDark',
] as const;
export type PlacementRule = (typeof placementRules)[number];

export interface Finding {
  readonly rule: PlacementRule;
  /** The slot that must not be told; undefined: it is about the plan as a whole. */
  readonly podUid?: string;
  readonly sentence: string;
}

export function checkPlacement(snapshot: PlaceSnapshot, placement: Placement): Finding[] {
  const claims = new Map(snapshot.claims.map((claim) => [claim.revision, claim]));
  const pools = new Map(snapshot.pools.map((pool) => [pool.name, pool]));
  const findings = snapshot.slots.flatMap((slot) => {
    const assigned = placement.assigned.get(slot.podUid);
    if (assigned === undefined) return [];
    const found = [
      ...checkSlot(slot, assigned, claims, pools),
      ...(snapshot.isComplete ? [] : checkInTheDark(slot, assigned)),
    ];
    // Before the picture is complete, what is there stays, whatever it breaks.
    return snapshot.isComplete ? found : found.filter(({ rule }) => rulesInTheDark.has(rule));
  });
  return [...findings, ...checkTotals(snapshot, placement), ...checkRoom(snapshot, placement)];
}

const rulesInTheDark: ReadonlySet<PlacementRule> = new Set(['TwoAwake', 'UnknownEngine', 'LoweredInTheDark']);

function checkSlot(
  slot: SlotView,
  assigned: readonly Assignment[],
  claims: ReadonlyMap<string, Claim>,
  pools: ReadonlyMap<string, PoolView>,
): Finding[] {
  const { podUid, name } = slot;
  const findings: Finding[] = [];
  const report = (rule: PlacementRule, sentence: string) => findings.push({ rule, podUid, sentence });
  if (assigned.filter(({ rung }) => rung === 'Awake').length > 1)
    report('TwoAwake', `two instances would be awake in ${name}`);
  for (const { revision } of assigned) {
    const claim = claims.get(revision);
    if (claim === undefined) report('Unclaimed', `${revision} would stay in ${name}, and no model uses it`);
    else if (!claim.pools.includes(slot.pool))
      report('WrongPool', `${revision} would be in ${name} of a pool it may not use`);
    if (!canRun(slot, claim))
      report('UnknownEngine', `${revision} would be in ${name}, whose agent does not know its engine`);
  }
  const pool = pools.get(slot.pool);
  const asleep = assigned.filter(({ rung }) => rung === 'Asleep').length;
  if (asleep > (pool?.sleepersPerSlotMax ?? 0))
    report('TooManyAsleep', `${asleep} instances would be asleep in ${name}`);
  const mostBytes = pool?.sleeperBytes ?? Number.POSITIVE_INFINITY;
  const bytes = assigned
    .filter(
      ({ revision, rung }) => rung === 'Asleep' || (rung === 'Awake' && maySleepIn(claims.get(revision), mostBytes)),
    )
    .reduce((sum, { revision }) => sum + (claims.get(revision)?.asleepBytes ?? 0), 0);
  if (asleep > 0 && bytes > mostBytes) report('TooLargeAsleep', `the sleepers in ${name} would hold ${bytes} bytes`);
  return findings;
}

/** Who never sleeps, or is too large by itself, holds nothing of the memory for sleepers. */
function maySleepIn(claim: Claim | undefined, mostBytes: number): boolean {
  return claim?.canSleep === true && (claim.asleepBytes ?? 0) <= mostBytes;
}

function checkInTheDark(slot: SlotView, assigned: readonly Assignment[]): Finding[] {
  const rungs = new Map(assigned.map(({ revision, rung }) => [revision, rung]));
  const lowered = slot.assigned.filter(({ revision, rung }) => {
    const next = rungs.get(revision);
    return next === undefined || (rung === 'Awake' && next !== 'Awake');
  });
  return lowered.map(({ revision }) => ({
    rule: 'LoweredInTheDark',
    podUid: slot.podUid,
    sentence: `${revision} would leave ${slot.name} before every slot is known`,
  }));
}

/** No revision is raised above what is wanted of it. */
function checkTotals(snapshot: PlaceSnapshot, placement: Placement): Finding[] {
  const awake = new Map<string, number>();
  const before = new Map<string, number>();
  for (const slot of snapshot.slots) {
    if (slot.isLeaving) continue;
    const now = awakeIn({ ...slot, assigned: placement.assigned.get(slot.podUid) ?? slot.assigned })?.revision;
    const then = awakeIn(slot)?.revision;
    if (now !== undefined && snapshot.copies?.get(slot.podUid)?.revision !== now)
      awake.set(now, (awake.get(now) ?? 0) + 1);
    if (then !== undefined) before.set(then, (before.get(then) ?? 0) + 1);
  }
  return snapshot.claims.flatMap(({ revision, desired }): Finding[] => {
    const count = awake.get(revision) ?? 0;
    if (count <= Math.max(desired, before.get(revision) ?? 0)) return [];
    return [
      { rule: 'TooManyAwake', sentence: `${count} instances of ${revision} would be awake, and ${desired} should be` },
    ];
  });
}

/** Claims together ask for no more new slots than there is room for below slots.max; one that leaves, or is to, makes room. */
function checkRoom({ pools, slots }: PlaceSnapshot, { unmet, givenUp }: Placement): Finding[] {
  return pools.flatMap(({ name, room, leaving = 0 }): Finding[] => {
    const asked = unmet.filter(({ pool }) => pool === name).length;
    const going = slots.filter((slot) => slot.pool === name && givenUp.includes(slot.name)).length;
    const most = room + leaving + going;
    if (asked <= most) return [];
    const sentence = `${asked} more slots would be asked for in pool ${name}, and there is room for ${most}`;
    return [{ rule: 'TooManySlots', sentence }];
  });
}

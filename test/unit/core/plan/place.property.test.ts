// Random worlds, and a random history of one: whatever comes, no slot gets two, no bound is passed, everybody makes progress.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Rung, residentRungs } from '../../../../src/api/link.ts';
import { checkPlacement } from '../../../../src/core/check/placement.ts';
import { planPlacement } from '../../../../src/core/plan/place.ts';
import { type Claim, type PlaceSnapshot, placeBounds } from '../../../../src/core/plan/placement.ts';
import { listOpenInstances } from '../../../../src/core/plan/routing.ts';
import { type Assignment, awakeIn, type InstanceView, type SlotView } from '../../../../src/core/plan/snapshot.ts';
import { assign, claimFor, reportOn } from '../../../support/placement.ts';

const revisions = ['a-1', 'a-2', 'b-1', 'c-1', 'd-1'];
const pools = ['p', 'q'];

const rungOf = fc.constantFrom<Rung>(
  'Staged',
  'Starting',
  'Awake',
  'Draining',
  'Sleeping',
  'Asleep',
  'Waking',
  'Stopping',
  'Failed',
);
const failure = fc.option(
  fc.record({ reason: fc.constant('LoadFailed'), message: fc.constant('no'), retryInMs: fc.nat(3) }),
  { nil: undefined },
);
const instance = (revision: string) =>
  fc
    .record({
      rung: rungOf,
      probed: fc.boolean(),
      inFlight: fc.nat(2),
      rungAgeMs: fc.nat(20_000),
      failure,
      failures: fc.option(
        fc.record({ count: fc.nat(3), last: fc.constant({ reason: 'LoadFailed', message: 'why' }) }),
        {
          nil: undefined,
        },
      ),
    })
    .map(
      ({ failure: failed, ...facts }): InstanceView => ({
        ...reportOn(revision, 'Staged'),
        ...facts,
        ...(failed === undefined ? {} : { failure: failed }),
      }),
    );
/** As an agent reports: at most one is resident. As a controller assigned: at most one awake. */
const slot = (name: string): fc.Arbitrary<SlotView> =>
  fc
    .record({
      pool: fc.constantFrom(...pools),
      isLeaving: fc.boolean(),
      isConnected: fc.boolean(),
      reported: fc.tuple(...revisions.map((revision) => fc.option(instance(revision), { nil: undefined }))),
      awake: fc.option(fc.constantFrom(...revisions), { nil: undefined }),
      asleep: fc.subarray(revisions),
    })
    .map(({ pool, isLeaving, isConnected, reported, awake, asleep }) => {
      let residents = 0;
      const instances = reported.flatMap((one) => {
        if (one === undefined) return [];
        if (residentRungs.has(one.rung)) residents += 1;
        return residents > 1 && residentRungs.has(one.rung) ? [] : [one];
      });
      const assigned: Assignment[] = asleep.filter((one) => one !== awake).map((one) => assign(one, 'Asleep'));
      if (awake !== undefined) assigned.push(assign(awake, 'Awake'));
      return { podUid: `uid-${name}`, name, pool, isLeaving, isUsable: isConnected && !isLeaving, instances, assigned };
    });
const claims: fc.Arbitrary<Claim[]> = fc.subarray(revisions).chain((chosen) =>
  fc.tuple(
    ...chosen.map((revision) =>
      fc
        .record({
          desired: fc.nat(3),
          min: fc.nat(1),
          canSleep: fc.boolean(),
          isBusy: fc.boolean(),
          waitedMs: fc.nat(100),
          asleepBytes: fc.nat(200),
          pools: fc.subarray(pools, { minLength: 1 }),
        })
        .map((facts) => claimFor(revision, facts.desired, facts)),
    ),
  ),
);
const snapshots: fc.Arbitrary<PlaceSnapshot> = fc.record({
  slots: fc.nat(4).chain((count) => fc.tuple(...Array.from({ length: count }, (_, at) => slot(`s${at}`)))),
  claims,
  pools: fc.tuple(
    ...pools.map((name) =>
      fc.record({
        name: fc.constant(name),
        room: fc.nat(2),
        sleepersPerSlotMax: fc.nat(2),
        sleeperBytes: fc.option(fc.nat(300), { nil: undefined }),
      }),
    ),
  ),
  isComplete: fc.boolean(),
});

test('no plan breaks a rule, and the same world gives the same plan', () => {
  fc.assert(
    fc.property(snapshots, (snapshot) => {
      const placement = planPlacement(snapshot);
      assert.deepEqual(checkPlacement(snapshot, placement), []);
      assert.deepEqual(planPlacement(snapshot), placement);
      for (const assigned of placement.assigned.values())
        assert.ok(assigned.filter(({ rung }) => rung === 'Awake').length <= 1);
    }),
    { numRuns: 1000 },
  );
});

test('a slot that cannot be told is not planned, and room is not spent twice', () => {
  fc.assert(
    fc.property(snapshots, (snapshot) => {
      const placement = planPlacement(snapshot);
      for (const one of snapshot.slots) assert.equal(placement.assigned.has(one.podUid), one.isUsable);
      for (const pool of snapshot.pools)
        assert.ok(placement.unmet.filter((unmet) => unmet.pool === pool.name).length <= pool.room);
    }),
  );
});

test('only an instance that is awake, probed and wanted so is open to routers', () => {
  fc.assert(
    fc.property(snapshots, fc.constantFrom(...revisions), (snapshot, stable) => {
      const slots = snapshot.slots.map((one) => ({
        ...one,
        address: '127.0.0.1:1',
        places: new Map<string, number>(),
      }));
      const routed = { model: 'm', stable, concurrency: 1, weightsBytes: 1, times: {}, failure: undefined, waitMs: 0 };
      for (const open of listOpenInstances(slots, [routed])) {
        const where = slots.find(({ podUid }) => podUid === open.podUid);
        const report = where?.instances.find(({ revision }) => revision === open.revision);
        assert.ok(where !== undefined && !where.isLeaving);
        assert.equal(awakeIn(where)?.revision, open.revision);
        assert.deepEqual([report?.rung, report?.probed], ['Awake', true]);
      }
    }),
  );
});

interface Turns {
  readonly names: readonly string[];
  readonly climbMs: number;
  readonly servedMs: Map<string, number>;
  readonly waitingSince: Map<string, number>;
  occupant: { readonly revision: string; readonly sinceMs: number } | undefined;
}

const STEP_MS = 500;
const bounds = { ...placeBounds, residencyMs: 15_000, settleMs: 1000 };

/** One slot, and every model has more to do than it can. */
function takeTurn(turns: Turns, nowMs: number): void {
  const { occupant } = turns;
  const demands = turns.names.map((name) => {
    const waitedMs = name === occupant?.revision ? 0 : nowMs - (turns.waitingSince.get(name) ?? 0);
    return claimFor(name, 1, { isBusy: true, waitedMs });
  });
  const pool = { name: 'default', room: 0, sleepersPerSlotMax: 8 };
  const plan = planPlacement(
    { slots: [slotOf(turns, nowMs)], claims: demands, pools: [pool], isComplete: true },
    bounds,
  );
  const next = plan.assigned.get('u')?.find(({ rung }) => rung === 'Awake')?.revision;
  if (next === undefined || next === occupant?.revision) return;
  if (occupant !== undefined) turns.waitingSince.set(occupant.revision, nowMs);
  turns.occupant = { revision: next, sinceMs: nowMs };
}

function slotOf({ occupant, climbMs, servedMs }: Turns, nowMs: number): SlotView {
  const frame = { podUid: 'u', name: 's', pool: 'default', isUsable: true, isLeaving: false };
  if (occupant === undefined) return { ...frame, instances: [], assigned: [] };
  const { revision, sinceMs } = occupant;
  const upMs = nowMs - sinceMs - climbMs;
  if (upMs >= 0) servedMs.set(revision, (servedMs.get(revision) ?? 0) + STEP_MS);
  const report = upMs >= 0 ? { inFlight: 2, rungAgeMs: upMs } : { rungAgeMs: nowMs - sinceMs };
  const instances = [reportOn(revision, upMs >= 0 ? 'Awake' : 'Starting', report)];
  return { ...frame, instances, assigned: [assign(revision, 'Awake')] };
}

test('models that compete for one slot all get their turn', () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 5 }), fc.integer({ min: 100, max: 3000 }), (count, climbMs) => {
      const names = ['a-1', 'b-1', 'c-1', 'd-1', 'e-1'].slice(0, count);
      const zero = () => new Map(names.map((name) => [name, 0]));
      const turns: Turns = { names, climbMs, servedMs: zero(), waitingSince: zero(), occupant: undefined };
      for (let nowMs = 0; nowMs < 120_000 * count; nowMs += STEP_MS) takeTurn(turns, nowMs);
      const times = [...turns.servedMs.values()];
      assert.ok(Math.min(...times) >= 90_000, `each is served for its share: ${times.join()}`);
    }),
    { numRuns: 10 },
  );
});

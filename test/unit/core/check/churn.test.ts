// The budget of changes: where something woke too often for nobody, nothing more does until the hour is over; what requests wait
// for, what has to prove itself, and what must go whatever it costs are never held back, and neither is any sleep.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { CHANGES_PER_HOUR_MAX, createChurnBudget } from '../../../../src/core/check/churn.ts';
import { planPlacement } from '../../../../src/core/plan/place.ts';
import type { Claim, Placement, PlaceSnapshot } from '../../../../src/core/plan/placement.ts';
import type { Assignment, SlotView } from '../../../../src/core/plan/snapshot.ts';
import { assign, awakeSlot, claimFor, placeSnapshot, reportOn, slotWith } from '../../../support/placement.ts';

const MINUTE_MS = 60_000;
const WAKES_MAX = CHANGES_PER_HOUR_MAX / 2;

function planOf(slot: SlotView, assigned: readonly Assignment[]): Placement {
  return { assigned: new Map([[slot.podUid, assigned]]), moves: [], unmet: [], givenUp: [] };
}

const down = slotWith('a', [reportOn('m-1', 'Asleep')], { assigned: [assign('m-1', 'Asleep')] });
const up = awakeSlot('a', 'm-1');
const wake = planOf(down, [assign('m-1', 'Awake')]);
const sleep = planOf(up, [assign('m-1', 'Asleep')]);
const unasked = claimFor('m-1', 1);

/** A slot in which something woke so often, once a minute from 0 on, and slept half a minute later. */
function flapped(wakes: number, claim: Claim = unasked) {
  const budget = createChurnBudget();
  for (let count = 0; count < wakes; count += 1) {
    budget.note(count * MINUTE_MS, placeSnapshot([down], [claim]), wake.assigned);
    budget.note((count + 0.5) * MINUTE_MS, placeSnapshot([up], [claim]), sleep.assigned);
  }
  return budget;
}

const NOW_MS = 45 * MINUTE_MS;

function check(slot: SlotView, plan: Placement, claims: readonly Claim[], changes: Partial<PlaceSnapshot> = {}) {
  return flapped(WAKES_MAX)
    .check(NOW_MS, placeSnapshot([slot], claims, changes), plan)
    .map(({ podUid }) => podUid);
}
const heldBack = ['uid-a'];

describe('a slot that has changed as often as it may', () => {
  test('wakes nothing that nobody waits for, and says why', () => {
    assert.deepEqual(check(down, wake, [unasked]), heldBack);
    const [held] = flapped(WAKES_MAX).check(NOW_MS, placeSnapshot([down], [unasked]), wake);
    assert.match(held?.sentence ?? '', /^a has used up its 60 changes of an hour/);
    assert.deepEqual(flapped(WAKES_MAX - 1).check(NOW_MS, placeSnapshot([down], [unasked]), wake), []);
  });

  test('wakes nothing beside what serves all that there is', () => {
    const served = claimFor('m-1', 2, { isBusy: true, pressing: 0 });
    assert.deepEqual(check(down, wake, [served]), heldBack);
    assert.deepEqual(check(down, wake, [{ ...served, pressing: 1 }]), [], 'the first one is for work');
    assert.deepEqual(check(down, wake, [{ ...served, waitedMs: 10 }]), [], 'somebody waits');
  });

  test('wakes it when the hour since the first one is over', () => {
    const at = (minutes: number) =>
      flapped(WAKES_MAX).check(minutes * MINUTE_MS, placeSnapshot([down], [unasked]), wake).length;
    assert.deepEqual([at(59.99), at(60)], [1, 0]);
  });

  const turn = planOf(up, [assign('m-1', 'Asleep'), assign('n-1', 'Awake')]);
  const idle = claimFor('m-1', 0);
  const rows: readonly [string, Placement, readonly Claim[], Partial<PlaceSnapshot>][] = [
    ['it is to sleep', sleep, [idle], {}],
    ['requests wait', turn, [idle, claimFor('n-1', 1, { isBusy: true })], {}],
    ['a candidate waits', turn, [idle, claimFor('n-1', 1, { waitedMs: 10 })], {}],
    ['one is never to sleep', turn, [idle, claimFor('n-1', 1, { min: 1 })], {}],
    ['the model of the occupant is gone', turn, [claimFor('n-1', 1)], {}],
    ['the occupant may not be there', turn, [claimFor('m-1', 1, { pools: ['other'] }), claimFor('n-1', 1)], {}],
    ['not every slot is known', wake, [unasked], { isComplete: false }],
  ];
  for (const [name, plan, claims, changes] of rows) {
    test(`is told the plan when ${name}`, () => assert.deepEqual(check(up, plan, claims, changes), []));
  }

  test('gets no copies, however busy their model is', () => {
    const busy = claimFor('m-1', 1, { isBusy: true });
    assert.deepEqual(check(down, wake, [busy]), []);
    assert.deepEqual(check(down, wake, [busy], { copies: new Map([['uid-a', { revision: 'm-1' }]]) }), heldBack);
  });

  test('lets go of what has failed', () => {
    const failed = slotWith('a', [reportOn('m-1', 'Failed')], { assigned: [assign('m-1', 'Awake')] });
    assert.deepEqual(check(failed, turn, [idle, claimFor('n-1', 1)]), []);
  });

  test('is forgotten when it is gone', () => {
    const budget = flapped(WAKES_MAX);
    budget.note(NOW_MS, placeSnapshot([], []), new Map());
    assert.deepEqual(budget.check(NOW_MS, placeSnapshot([down], [unasked]), wake), []);
  });
});

test('what requests waited for does not count', () => {
  const budget = flapped(WAKES_MAX, claimFor('m-1', 1, { isBusy: true }));
  assert.deepEqual(budget.check(NOW_MS, placeSnapshot([down], [unasked]), wake), []);
});

test('the figure of the pool is what counts', () => {
  const snapshot = placeSnapshot([down], [unasked]);
  const pools = snapshot.pools.map((pool) => ({ ...pool, changesPerHourMax: 4 }));
  const found = (wakes: number) => flapped(wakes).check(NOW_MS, { ...snapshot, pools }, wake).length;
  assert.deepEqual([found(1), found(2)], [0, 1]);
});

const step = fc.record({
  afterMs: fc.nat(5 * MINUTE_MS),
  desired: fc.array(fc.nat(2), { minLength: 3, maxLength: 3 }),
  isBusy: fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }),
});
const CHANGES_MAX = 4;

test('however orders come and go, no slot wakes for nobody more often than it may, and nobody who waits is held back', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const budget = createChurnBudget();
      const wakes: { readonly slot: string; readonly atMs: number }[] = [];
      let slots = [slotWith('a'), slotWith('b')];
      let nowMs = 0;
      for (const { afterMs, desired, isBusy } of steps) {
        nowMs += afterMs;
        const claims = desired.map((count, at) => claimFor(`m${at}-1`, count, { isBusy: isBusy[at] === true }));
        const base = placeSnapshot(slots, claims);
        const pools = base.pools.map((pool) => ({ ...pool, changesPerHourMax: CHANGES_MAX }));
        const snapshot = { ...base, pools };
        const placement = planPlacement(snapshot);
        const kept = new Set(budget.check(nowMs, snapshot, placement).map(({ podUid }) => podUid));
        const allowed = new Map([...placement.assigned].filter(([podUid]) => !kept.has(podUid)));
        budget.note(nowMs, snapshot, allowed);
        for (const slot of slots) {
          const planned = awakeOf(placement.assigned.get(slot.podUid) ?? []);
          assert.ok(!isBusyIn(claims, planned) || !kept.has(slot.podUid), 'who waits is not held back');
          const next = awakeOf(allowed.get(slot.podUid) ?? slot.assigned);
          const isWake = next !== undefined && next !== awakeOf(slot.assigned);
          if (isWake && !isBusyIn(claims, next)) wakes.push({ slot: slot.name, atMs: nowMs });
        }
        slots = slots.map((slot) => settle(slot, allowed.get(slot.podUid) ?? slot.assigned));
        checkWakes(wakes, nowMs);
      }
    }),
  );
});

function isBusyIn(claims: readonly Claim[], revision: string | undefined): boolean {
  return claims.some((claim) => claim.revision === revision && claim.isBusy);
}

function checkWakes(wakes: readonly { readonly slot: string; readonly atMs: number }[], nowMs: number): void {
  for (const name of ['a', 'b']) {
    const lately = wakes.filter(({ slot, atMs }) => slot === name && atMs > nowMs - 60 * MINUTE_MS);
    assert.ok(lately.length <= CHANGES_MAX / 2, `${lately.length} wakes in ${name} within an hour`);
  }
}

/** What was told is so at once. */
function settle(slot: SlotView, assigned: readonly Assignment[]): SlotView {
  return { ...slot, assigned, instances: assigned.map(({ revision, rung }) => reportOn(revision, rung)) };
}

function awakeOf(assigned: readonly Assignment[]): string | undefined {
  return assigned.find(({ rung }) => rung === 'Awake')?.revision;
}

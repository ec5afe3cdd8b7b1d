import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkPlacement, type PlacementRule } from '../../../../src/core/check/placement.ts';
import type { Claim } from '../../../../src/core/plan/placement.ts';
import type { Assignment, SlotView } from '../../../../src/core/plan/snapshot.ts';
import { assign, awakeSlot, claimFor, placeSnapshot, slotWith } from '../../../support/placement.ts';

function rulesBroken(
  slots: readonly SlotView[],
  claims: readonly Claim[],
  assigned: Readonly<Record<string, readonly Assignment[]>>,
  isComplete = true,
): PlacementRule[] {
  const planned = new Map(
    slots.flatMap((slot) => (slot.name in assigned ? [[slot.podUid, assigned[slot.name] ?? []]] : [])),
  );
  const snapshot = placeSnapshot(slots, claims, { isComplete, sleepersPerSlotMax: 1 });
  return checkPlacement(snapshot, { assigned: planned, moves: [], unmet: [], givenUp: [] }).map(({ rule }) => rule);
}

describe('a plan is not carried out when', () => {
  const both = [claimFor('m-1', 1), claimFor('n-1', 1)];
  test('two would be awake in a slot', () => {
    const assigned = { a: [assign('m-1', 'Awake'), assign('n-1', 'Awake')] };
    assert.deepEqual(rulesBroken([slotWith('a')], both, assigned), ['TwoAwake']);
    assert.ok(rulesBroken([slotWith('a')], both, assigned, false).includes('TwoAwake'));
  });
  test('something would stay that no model uses', () => {
    assert.deepEqual(rulesBroken([slotWith('a')], [], { a: [assign('m-1', 'Asleep')] }), ['Unclaimed']);
  });
  test('something would be in a pool that it may not use', () => {
    const claims = [claimFor('m-1', 1, { pools: ['other'] })];
    assert.deepEqual(rulesBroken([slotWith('a')], claims, { a: [assign('m-1', 'Awake')] }), ['WrongPool']);
  });
  test('too many would be asleep', () => {
    const assigned = { a: [assign('m-1', 'Asleep'), assign('n-1', 'Asleep')] };
    assert.deepEqual(rulesBroken([slotWith('a')], both, assigned), ['TooManyAsleep']);
  });
  test('the sleepers would hold more than there is for them', () => {
    const claims = [claimFor('m-1', 1, { asleepBytes: 60 }), claimFor('n-1', 1, { asleepBytes: 60 })];
    const assigned = new Map([['uid-a', [assign('m-1', 'Awake'), assign('n-1', 'Asleep')]]]);
    const broken = (sleeperBytes: number) =>
      checkPlacement(placeSnapshot([slotWith('a')], claims, { sleeperBytes }), {
        assigned,
        moves: [],
        unmet: [],
        givenUp: [],
      });
    assert.deepEqual(
      broken(119).map(({ rule }) => rule),
      ['TooLargeAsleep'],
    );
    assert.deepEqual(broken(120), []);
    claims[0] = claimFor('m-1', 1, { asleepBytes: 60, canSleep: false });
    assert.deepEqual(broken(60), [], 'who never sleeps is no sleeper');
  });
  test('more would be awake than should be', () => {
    const assigned = { a: [assign('m-1', 'Awake')], b: [assign('m-1', 'Awake')] };
    assert.deepEqual(rulesBroken([slotWith('a'), slotWith('b')], both, assigned), ['TooManyAwake']);
  });
  test('more new slots would be asked for than the pool may have', () => {
    const claim = claimFor('m-1', 3);
    const asked = (count: number, changes: { room?: number; leaving?: number }) => {
      const snapshot = placeSnapshot([], [claim]);
      const pools = snapshot.pools.map((pool) => ({ ...pool, ...changes }));
      const unmet = new Array(count).fill({ claim, pool: 'default' });
      return checkPlacement({ ...snapshot, pools }, { assigned: new Map(), moves: [], unmet, givenUp: [] });
    };
    assert.deepEqual(
      asked(3, { room: 1, leaving: 1 }).map(({ rule, podUid }) => [rule, podUid]),
      [['TooManySlots', undefined]],
    );
    assert.deepEqual(asked(3, { room: 2, leaving: 1 }), []);
  });
  test('something would go before every slot is known', () => {
    assert.deepEqual(rulesBroken([awakeSlot('a', 'm-1')], both, { a: [] }, false), ['LoweredInTheDark']);
    const asleep = { a: [assign('m-1', 'Asleep')] };
    assert.deepEqual(rulesBroken([awakeSlot('a', 'm-1')], both, asleep, false), ['LoweredInTheDark']);
  });
});

test('a plan that keeps the rules passes', () => {
  const slots = [awakeSlot('a', 'm-1'), slotWith('b')];
  const assigned = { a: [assign('m-1', 'Awake'), assign('n-1', 'Asleep')], b: [assign('n-1', 'Awake')] };
  assert.deepEqual(rulesBroken(slots, [claimFor('m-1', 1), claimFor('n-1', 1)], assigned), []);
});

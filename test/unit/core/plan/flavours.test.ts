// Slots of several engine images in one pool: who may run where, and which slot makes room for one of another image.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkPlacement } from '../../../../src/core/check/placement.ts';
import { planPlacement } from '../../../../src/core/plan/place.ts';
import type { PlaceSnapshot } from '../../../../src/core/plan/placement.ts';
import { assign, awakeSlot, claimFor, placeSnapshot, reportOn, slotWith } from '../../../support/placement.ts';

const flavour = `vllm@sha256:${'a'.repeat(64)}`;
const big = (changes: object = {}) => claimFor('big-1', 1, { flavour, isBusy: true, ...changes });

function plan(snapshot: PlaceSnapshot) {
  const placement = planPlacement(snapshot);
  assert.deepEqual(checkPlacement(snapshot, placement), []);
  const assigned = (name: string) =>
    placement.assigned.get(`uid-${name}`)?.map(({ revision, rung }) => `${revision}@${rung}`);
  return { assigned, pools: placement.unmet.map(({ pool }) => pool), givenUp: placement.givenUp };
}

describe('a revision of one engine image', () => {
  test('comes up in a slot of its image alone', () => {
    const slots = [slotWith('a'), slotWith('b', [], { flavour })];
    const planned = plan(placeSnapshot(slots, [big(), claimFor('small-1', 1)]));
    assert.deepEqual([planned.assigned('a'), planned.assigned('b')], [['small-1@Awake'], ['big-1@Awake']]);
  });

  test('has a slot made while there is room, and takes none from others', () => {
    const planned = plan(placeSnapshot([slotWith('a')], [big()], { room: 1 }));
    assert.deepEqual([planned.pools, planned.givenUp], [['default'], []]);
  });

  test('has an idle slot of another image go when the pool is full; the emptiest first', () => {
    const sleeper = slotWith('a', [reportOn('small-1', 'Asleep')], { assigned: [assign('small-1', 'Asleep')] });
    const planned = plan(placeSnapshot([sleeper, slotWith('b')], [big(), claimFor('small-1', 0)]));
    assert.deepEqual([planned.pools, planned.givenUp], [['default'], ['b']]);
  });

  test('keeps a slot that is to go from others', () => {
    const planned = plan(placeSnapshot([slotWith('a')], [big({ waitedMs: 9 }), claimFor('small-1', 1)]));
    assert.deepEqual([planned.givenUp, planned.assigned('a')], [['a'], []]);
  });

  test('has an occupant without work leave first, and nothing goes meanwhile', () => {
    const slots = [awakeSlot('a', 'small-1')];
    const planned = plan(placeSnapshot(slots, [big(), claimFor('small-1', 1)]));
    assert.deepEqual([planned.assigned('a'), planned.givenUp], [['small-1@Asleep'], []]);
    const leaving = slotWith('a', [reportOn('small-1', 'Sleeping')], { assigned: [assign('small-1', 'Asleep')] });
    const next = plan(placeSnapshot([leaving], [big({ waitedMs: 9 }), claimFor('small-1', 1)]));
    assert.deepEqual([next.assigned('a'), next.givenUp], [['small-1@Asleep'], []]);
  });

  test('waits for an occupant with work, and for one that is never taken away', () => {
    const busy = awakeSlot('a', 'small-1', { inFlight: 1, rungAgeMs: 10 });
    const claims = [big(), claimFor('small-1', 1, { isBusy: true })];
    assert.deepEqual(plan(placeSnapshot([busy], claims)).assigned('a'), ['small-1@Awake']);
    const kept = [big(), claimFor('small-1', 1, { min: 1 })];
    assert.deepEqual(plan(placeSnapshot([awakeSlot('a', 'small-1')], kept)).assigned('a'), ['small-1@Awake']);
  });

  test('replaces nothing in the dark, and nothing because it failed in a slot of its own', () => {
    assert.deepEqual(plan(placeSnapshot([slotWith('a')], [big()], { isComplete: false })).givenUp, []);
    const failure = { reason: 'LoadFailed', message: 'It failed.', retryInMs: 1000 };
    const failed = slotWith('b', [reportOn('big-1', 'Failed', { failure })], { flavour });
    assert.deepEqual(plan(placeSnapshot([slotWith('a'), failed], [big()])).givenUp, []);
  });

  test('waits for the place of a slot that leaves, and has no second one go', () => {
    const pools = [{ name: 'default', room: 0, sleepersPerSlotMax: 8, leaving: 1 }];
    const planned = plan(placeSnapshot([slotWith('a')], [big()], { pools }));
    assert.deepEqual([planned.pools, planned.givenUp], [['default'], []]);
  });

  test('is taken out of a slot of another image', () => {
    const slots = [awakeSlot('a', 'big-1')];
    assert.deepEqual(plan(placeSnapshot(slots, [big()])).assigned('a'), []);
  });
});

// Whether somebody has to leave a slot before one more can be awake: the same rule for the controller and the simulator.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isFreeSlot, readSupply } from '../../../../../src/core/plan/scale/supply-reading.ts';
import type { SlotView } from '../../../../../src/core/plan/snapshot.ts';
import { assign, awakeSlot, reportOn, slotWith } from '../../../../support/placement.ts';

const sleeper = (name: string) => slotWith(name, [reportOn('m-1', 'Asleep')], { assigned: [assign('m-1', 'Asleep')] });
const empty = slotWith('e', []);
const own = awakeSlot('o', 'm-1');
const takenSleeper = awakeSlot('t', 'n-1', {}, ['m-1']);

function hasRoom(...slots: readonly SlotView[]): boolean {
  const holding = slots.filter(({ instances }) => instances.some(({ revision }) => revision === 'm-1'));
  return readSupply('m-1', { holding, wanted: [], isAnyFree: slots.some(isFreeSlot) }).hasRoom;
}

test('a sleeper in a free slot has room, and so has a free slot where none sleeps', () => {
  assert.equal(hasRoom(sleeper('a')), true);
  assert.equal(hasRoom(own, empty), true);
});

test('sleepers whose slots are all taken have none, also beside an empty slot: the wake is sooner than a start', () => {
  assert.equal(hasRoom(takenSleeper, empty), false);
  assert.equal(hasRoom(takenSleeper, sleeper('a')), true);
});

test('nothing that is free has none, also for one that is awake already', () => {
  assert.equal(hasRoom(own), false);
  assert.equal(hasRoom({ ...sleeper('a'), isUsable: false }), false);
});

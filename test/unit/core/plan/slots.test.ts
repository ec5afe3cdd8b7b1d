import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type PoolSlot, planSlots, SLOT_UNUSED_MS_MAX, type SlotsSnapshot } from '../../../../src/core/plan/slots.ts';

const slot = (name: string, changes: Partial<PoolSlot> = {}): PoolSlot => ({
  name,
  isLeaving: false,
  isBroken: false,
  isOccupied: false,
  unusedMs: 0,
  ...changes,
});

function plan(changes: Partial<SlotsSnapshot>) {
  const { create, remove } = planSlots({ min: 0, max: 3, slots: [], lacking: 0, isComplete: true, ...changes });
  return [create, remove.map(({ name }) => name)];
}

describe('how many slots', () => {
  const idle = { unusedMs: SLOT_UNUSED_MS_MAX };
  const rows: readonly [string, Partial<SlotsSnapshot>, number, string[]][] = [
    ['the least are made', { min: 2 }, 2, []],
    ['what is lacking is made', { slots: [slot('a')], lacking: 1 }, 1, []],
    ['never more than the most', { slots: [slot('a')], lacking: 9 }, 2, []],
    ['one that leaves still counts', { min: 3, slots: [slot('a'), slot('b'), slot('c', { isLeaving: true })] }, 0, []],
    ['a broken one goes and is made up for', { min: 1, slots: [slot('a', { isBroken: true })] }, 1, ['a']],
    ['a broken one stays in the dark', { slots: [slot('a', { isBroken: true })], isComplete: false }, 0, []],
    ['an unused one goes after a while', { slots: [slot('a', idle), slot('b')] }, 0, ['a']],
    ['an unused one of the least stays', { min: 2, slots: [slot('a', idle), slot('b', idle)] }, 0, []],
    ['an occupied one stays', { slots: [slot('a', { ...idle, isOccupied: true })] }, 0, []],
    ['none goes while one is lacking', { slots: [slot('a', idle)], lacking: 1 }, 1, []],
    [
      'the most was lowered: the emptiest goes',
      { max: 1, slots: [slot('a', { isOccupied: true }), slot('b')] },
      0,
      ['b'],
    ],
    ['what should stand free is made', { slots: [slot('a', { isOccupied: true })], reserved: 3 }, 2, []],
    ['no more stand free than there may be', { slots: [slot('a')], reserved: 9 }, 2, []],
    ['what should stand free stays', { slots: [slot('a', idle), slot('b', idle)], reserved: 1 }, 0, ['a']],
    ['none goes in the dark', { max: 1, slots: [slot('a'), slot('b')], isComplete: false }, 0, []],
  ];
  for (const [name, snapshot, create, remove] of rows)
    test(name, () => assert.deepEqual(plan(snapshot), [create, remove]));
});

test('there are never more than the most, and never fewer sound ones left than the least', () => {
  const slots = fc.array(
    fc.record({
      isLeaving: fc.boolean(),
      isBroken: fc.boolean(),
      isOccupied: fc.boolean(),
      unusedMs: fc.nat(SLOT_UNUSED_MS_MAX * 2),
    }),
    { maxLength: 8 },
  );
  fc.assert(
    fc.property(
      slots,
      fc.nat(4),
      fc.nat(4),
      fc.nat(5),
      fc.nat(9),
      fc.boolean(),
      (facts, min, more, lacking, reserved, isComplete) => {
        const max = Math.max(1, min + more);
        const all = facts.map((fact, at) => slot(`s${at}`, fact));
        const { create, remove } = planSlots({ min, max, slots: all, lacking, reserved, isComplete });
        if (create > 0) assert.ok(all.length + create <= max);
        const names = new Set(remove.map(({ name }) => name));
        assert.equal(names.size, remove.length, 'none is removed twice');
        const sound = all.filter((one) => !one.isLeaving && !one.isBroken);
        const left = sound.filter(({ name }) => !names.has(name)).length;
        assert.ok(left >= Math.min(min, sound.length));
        if (!isComplete) assert.equal(remove.length, 0);
      },
    ),
  );
});

test('a slot that is given up goes, and the one in its place is made when it is gone', () => {
  const given = slot('a', { isGivenUp: true });
  assert.deepEqual(plan({ min: 1, max: 1, slots: [given], lacking: 1 }), [0, ['a']]);
  assert.deepEqual(plan({ min: 1, max: 1, slots: [{ ...given, isLeaving: true }], lacking: 1 }), [0, []]);
  assert.deepEqual(plan({ min: 1, max: 1, lacking: 1 }), [1, []]);
  assert.deepEqual(plan({ max: 1, slots: [{ ...given, isOccupied: true }], lacking: 1 }), [0, []]);
  assert.deepEqual(plan({ max: 1, slots: [given], lacking: 1, isComplete: false }), [0, []]);
});

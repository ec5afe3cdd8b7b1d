// Agents that are too old for an engine, or for this controller: what is placed in their slots, and when they are replaced.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { checkPlacement } from '../../../../src/core/check/placement.ts';
import { planPlacement } from '../../../../src/core/plan/place.ts';
import type { Claim, PlaceSnapshot } from '../../../../src/core/plan/placement.ts';
import { OUTDATED_IDLE_MS_MIN, type PoolSlot, planSlots } from '../../../../src/core/plan/slots.ts';
import type { Assignment, SlotView } from '../../../../src/core/plan/snapshot.ts';

const old: Partial<SlotView> = { lacks: new Set(['Sim'] as const) };

function slot(name: string, changes: Partial<SlotView> = {}): SlotView {
  const frame = { podUid: `uid-${name}`, name, pool: 'default', isUsable: true, isLeaving: false };
  return { ...frame, instances: [], assigned: [], ...changes };
}

function claim(model: string, engine: 'Sim' | 'Llama' | undefined, desired = 1): Claim {
  const frame = { pools: ['default'], min: 0, canSleep: true, isBusy: true, isPatient: false, waitedMs: 0 };
  return { model, revision: `${model}-1`, desired, ...(engine === undefined ? {} : { engine }), ...frame };
}

function snapshot(slots: readonly SlotView[], claims: readonly Claim[], isComplete = true): PlaceSnapshot {
  return { slots, claims, pools: [{ name: 'default', sleepersPerSlotMax: 8, room: 0 }], isComplete };
}

const assignedIn = (plan: ReturnType<typeof planPlacement>, name: string) =>
  plan.assigned.get(`uid-${name}`)?.map(({ model, rung }) => `${model} ${rung}`);

describe('an engine that an agent does not know', () => {
  test('goes to the slot whose agent does', () => {
    const plan = planPlacement(
      snapshot([slot('a', old), slot('b')], [claim('imitated', 'Sim'), claim('real', 'Llama')]),
    );
    assert.deepEqual([assignedIn(plan, 'a'), assignedIn(plan, 'b')], [['real Awake'], ['imitated Awake']]);
  });

  test('has no place when there is none', () => {
    const plan = planPlacement(snapshot([slot('a', old)], [claim('imitated', 'Sim')]));
    assert.deepEqual(assignedIn(plan, 'a'), []);
    assert.equal(plan.unmet.length, 1);
  });

  test('leaves a slot whose agent was replaced by an older one', () => {
    const assigned: Assignment[] = [{ model: 'imitated', revision: 'imitated-1', rung: 'Awake' }];
    const plan = planPlacement(snapshot([slot('a', { ...old, assigned })], [claim('imitated', 'Sim')]));
    assert.deepEqual(assignedIn(plan, 'a'), []);
    assert.match(plan.moves[0]?.reason ?? '', /does not know the engine/);
  });

  for (const isComplete of [true, false]) {
    test(`is found by the linter, ${isComplete ? 'in the light' : 'in the dark'}`, () => {
      const wrong = snapshot([slot('a', old)], [claim('imitated', 'Sim')], isComplete);
      const assigned = new Map([['uid-a', [{ model: 'imitated', revision: 'imitated-1', rung: 'Awake' as const }]]]);
      const findings = checkPlacement(wrong, { assigned, moves: [], unmet: [], givenUp: [] });
      assert.deepEqual(
        findings.map(({ rule, podUid }) => [rule, podUid]),
        [['UnknownEngine', 'uid-a']],
      );
    });
  }

  test('is never planned there, whatever the slots and claims', () => {
    const engines = fc.constantFrom('Sim' as const, 'Llama' as const, undefined);
    const worlds = fc.record({
      ages: fc.array(fc.boolean(), { maxLength: 6 }),
      wanted: fc.array(fc.record({ engine: engines, desired: fc.nat(3) }), { maxLength: 6 }),
      isComplete: fc.boolean(),
    });
    fc.assert(
      fc.property(worlds, ({ ages, wanted, isComplete }) => {
        const slots = ages.map((isOld, at) => slot(`s${at}`, isOld ? old : {}));
        const claims = wanted.map(({ engine, desired }, at) => claim(`m${at}`, engine, desired));
        const plan = planPlacement(snapshot(slots, claims, isComplete));
        assert.deepEqual(checkPlacement(snapshot(slots, claims, isComplete), plan), []);
        const imitated = new Set(claims.filter(({ engine }) => engine === 'Sim').map(({ revision }) => revision));
        for (const { podUid, lacks } of slots) {
          const given = plan.assigned.get(podUid) ?? [];
          assert.ok(lacks === undefined || given.every(({ revision }) => !imitated.has(revision)));
        }
      }),
    );
  });
});

describe('slots that cannot be commanded', () => {
  const poolSlot = (name: string, changes: Partial<PoolSlot> = {}): PoolSlot => ({
    ...{ name, isLeaving: false, isBroken: false, isOccupied: true, unusedMs: 0 },
    ...changes,
  });
  const plan = (slots: readonly PoolSlot[], changes: object = {}) => {
    const { create, remove } = planSlots({ min: 2, max: 2, slots, lacking: 0, isComplete: true, ...changes });
    return [create, remove.map(({ name }) => name)];
  };
  const idle = { outdatedIdleMs: OUTDATED_IDLE_MS_MIN };

  test('are replaced when they are idle, one after the other, the idlest first', () => {
    const idler = poolSlot('b', { outdatedIdleMs: OUTDATED_IDLE_MS_MIN + 1 });
    assert.deepEqual(plan([poolSlot('a', idle), idler]), [0, ['b']]);
    assert.deepEqual(plan([poolSlot('a', idle), poolSlot('b', { isLeaving: true })]), [0, []]);
  });

  test('stay while they have requests, and while not every slot is known', () => {
    const busy = poolSlot('a', { outdatedIdleMs: OUTDATED_IDLE_MS_MIN - 1 });
    assert.deepEqual(plan([busy, poolSlot('b')]), [0, []]);
    assert.deepEqual(plan([poolSlot('a', idle), poolSlot('b')], { isComplete: false }), [0, []]);
  });

  test('are made up for at once where the pool has room', () => {
    assert.deepEqual(plan([poolSlot('a', idle), poolSlot('b')], { max: 3 }), [1, ['a']]);
  });
});

// Whether a plan is caught that leaves a free sleeper and starts from nothing elsewhere, and not blamed for what it could not have.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Placement, PlaceSnapshot } from '../../../src/core/plan/placement.ts';
import type { Assignment, InstanceView, SlotView } from '../../../src/core/plan/snapshot.ts';
import { readCopyUse } from '../../../src/sim/copy-use.ts';

function slot(name: string, rungs: Readonly<Record<string, InstanceView['rung']>>): SlotView {
  const instances = Object.entries(rungs).map(
    ([model, rung]): InstanceView => ({
      id: `${name}/${model}/1`,
      model,
      revision: model,
      rung,
      probed: false,
      inFlight: 0,
      rungAgeMs: 0,
      idleMs: 0,
      failures: undefined,
    }),
  );
  const assigned = instances.map(({ model, rung }): Assignment => {
    return { model, revision: model, rung: rung === 'Awake' ? 'Awake' : 'Asleep' };
  });
  return { podUid: name, name, pool: 'default', isUsable: true, isLeaving: false, instances, assigned };
}

function use(
  slots: readonly SlotView[],
  awake: Readonly<Record<string, string>>,
  copies: PlaceSnapshot['copies'] = new Map(),
) {
  const snapshot: PlaceSnapshot = { slots, claims: [], pools: [], isComplete: true, copies };
  const assigned = new Map(
    Object.entries(awake).map(([name, model]) => [name, [{ model, revision: model, rung: 'Awake' as const }]]),
  );
  const placement: Placement = { assigned, moves: [], unmet: [], givenUp: [] };
  return readCopyUse(snapshot, placement);
}

const cases: readonly [string, ReturnType<typeof use>, { free: number; taken: number }][] = [
  ['a sleeper is woken', use([slot('a', { m: 'Asleep' }), slot('b', {})], { a: 'm' }), { free: 1, taken: 1 }],
  ['a free one is left', use([slot('a', { m: 'Asleep' }), slot('b', {})], { b: 'm' }), { free: 1, taken: 0 }],
  [
    'its slot is in use',
    use([slot('a', { m: 'Asleep', n: 'Awake' }), slot('b', {})], { b: 'm' }),
    { free: 0, taken: 0 },
  ],
  [
    'another model got its slot',
    use([slot('a', { m: 'Asleep' }), slot('b', {})], { a: 'n', b: 'm' }),
    { free: 0, taken: 0 },
  ],
  ['nothing is asleep', use([slot('a', {})], { a: 'm' }), { free: 0, taken: 0 }],
  [
    'it was awake before',
    use([slot('a', { m: 'Awake' }), slot('b', { m: 'Asleep' })], { a: 'm' }),
    { free: 0, taken: 0 },
  ],
  [
    'a second copy is made, to go to sleep',
    use([slot('a', { m: 'Asleep' }), slot('b', {})], { b: 'm' }, new Map([['b', { revision: 'm' }]])),
    { free: 0, taken: 0 },
  ],
];

for (const [what, seen, expected] of cases) {
  test(what, () => assert.deepEqual(seen, expected));
}

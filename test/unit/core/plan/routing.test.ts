import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { adoptInstances } from '../../../../src/core/plan/adopt.ts';
import { estimateClimb, guessClimb, learnClimb } from '../../../../src/core/plan/climb.ts';
import {
  describeWarmth,
  divideShares,
  listOpenInstances,
  type RoutedModel,
  type RoutedSlot,
} from '../../../../src/core/plan/routing.ts';
import type { SlotView } from '../../../../src/core/plan/snapshot.ts';
import { assign, awakeSlot, reportOn, slotWith } from '../../../support/placement.ts';

const model: RoutedModel = {
  model: 'm',
  stable: 'm-1',
  concurrency: 8,
  weightsBytes: 4_000_000,
  times: { stagedMs: 2000, asleepMs: 300 },
  failure: undefined,
  waitMs: 0,
};
const address = '10.0.0.1:8000';
const routed = (slot: SlotView, changes: Partial<RoutedSlot> = {}): RoutedSlot => ({
  ...slot,
  address,
  places: new Map(),
  ...changes,
});

describe('what is open to routers', () => {
  const open = (slot: Parameters<typeof listOpenInstances>[0][number]) =>
    listOpenInstances([slot], [model]).map(({ instance }) => instance);
  test('an instance that is awake and wanted so', () => {
    assert.deepEqual(listOpenInstances([routed(awakeSlot('a', 'm-1'))], [model]), [
      { instance: 'pod/m-1/1', podUid: 'uid-a', model: 'm', revision: 'm-1', address, concurrency: 8 },
    ]);
  });
  test('for no more requests than its engine was started for', () => {
    const slot = routed(awakeSlot('a', 'm-1'), { places: new Map([['pod/m-1/1', 3]]) });
    assert.equal(listOpenInstances([slot], [model])[0]?.concurrency, 3);
  });
  const closed: readonly [string, Parameters<typeof open>[0]][] = [
    ['one whose probe is not through', routed(awakeSlot('a', 'm-1', { probed: false }))],
    ['one of a revision that does not answer', routed(awakeSlot('a', 'm-2'))],
    [
      'one that is to sleep',
      routed(slotWith('a', [reportOn('m-1', 'Awake')], { assigned: [assign('m-1', 'Asleep')] })),
    ],
    ['one in a slot that leaves', routed(awakeSlot('a', 'm-1'), { isLeaving: true })],
    ['one whose address is not known', routed(awakeSlot('a', 'm-1'), { address: undefined })],
    ['one that drains', routed(awakeSlot('a', 'm-1', { rung: 'Draining' }))],
  ];
  for (const [name, slot] of closed) test(`not ${name}`, () => assert.deepEqual(open(slot), []));
});

describe('shares', () => {
  const instance = { instance: 'i', podUid: 'p', model: 'm', revision: 'm-1', address };
  test('never add up to more than the instance serves, and nobody who asks is starved for ever', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 }),
        fc.array(fc.boolean(), { minLength: 1, maxLength: 12 }),
        fc.nat(1000),
        (concurrency, asking, turn) => {
          const routers = asking.map((asks, at) => ({ name: `r${at}`, models: new Set(asks ? ['m'] : []) }));
          const shares = divideShares({ ...instance, concurrency }, routers, turn);
          const sum = [...shares.values()].reduce((total, share) => total + share, 0);
          assert.equal(sum, concurrency);
          const those = routers.filter(({ models }) => models.size > 0);
          if (those.length > 0)
            assert.deepEqual(
              [...shares.keys()],
              those.map(({ name }) => name),
            );
          const got = new Set<string>();
          for (let round = turn; round < turn + routers.length; round += 1)
            for (const [name, share] of divideShares({ ...instance, concurrency }, routers, round))
              if (share > 0) got.add(name);
          assert.equal(got.size, shares.size);
        },
      ),
    );
  });
  test('without routers there is nothing to divide', () => {
    assert.equal(divideShares({ ...instance, concurrency: 3 }, [], 0).size, 0);
  });
});

describe('warmth', () => {
  const warmth = (slots: Parameters<typeof describeWarmth>[1], changes: Partial<RoutedModel> = {}) =>
    describeWarmth({ ...model, ...changes }, slots);
  test('is that of the warmest instance', () => {
    const slots = [
      slotWith('a', [reportOn('m-1', 'Asleep')]),
      slotWith('b', [reportOn('m-1', 'Starting', { rungAgeMs: 500 })]),
    ];
    assert.deepEqual(warmth(slots), { model: 'm', rung: 'Starting', etaMs: 1500 });
  });
  test('counts what has to happen before, but not for a climb', () => {
    assert.equal(warmth([slotWith('a', [reportOn('m-1', 'Asleep')])], { waitMs: 700 }).etaMs, 1000);
    assert.equal(warmth([slotWith('a', [reportOn('m-1', 'Waking', { rungAgeMs: 100 })])], { waitMs: 700 }).etaMs, 200);
    assert.equal(warmth([], { waitMs: 700 }).etaMs, 2700);
  });
  test('an awake one without its probe is still waking', () => {
    assert.equal(warmth([awakeSlot('a', 'm-1', { probed: false })]).rung, 'Waking');
  });
  test('before the first climb the size gives the guess', () => {
    const { stagedMs, asleepMs } = guessClimb(4_000_000_000);
    assert.equal(warmth([], { times: {}, weightsBytes: 4_000_000_000 }).etaMs, stagedMs);
    assert.ok(stagedMs > 5000 && asleepMs < stagedMs);
  });
  const failed = (reason: string, count: number, retryInMs = 900) => [
    slotWith('a', [
      reportOn('m-1', 'Failed', {
        failures: { count, last: { reason, message: 'why' } },
        failure: { reason, message: 'why', retryInMs },
      }),
    ]),
  ];
  test('a lasting failure is told, a first one of another kind is waited out, and none outlives its retry', () => {
    assert.deepEqual(warmth(failed('LoadFailed', 1)).failure, { reason: 'LoadFailed', message: 'why' });
    assert.equal(warmth(failed('EngineExited', 1)).failure, undefined);
    assert.equal(warmth(failed('EngineExited', 2)).failure?.reason, 'EngineExited');
    assert.equal(warmth(failed('LoadFailed', 5, 0)).failure, undefined);
    assert.equal(warmth(failed('EngineExited', 1)).etaMs, 2900);
  });
});

test('climbs are smoothed, and an estimate never says that it is over', () => {
  const first = learnClimb({}, { from: 'Asleep', totalMs: 100 });
  assert.deepEqual(first, { asleepMs: 100 });
  assert.deepEqual(learnClimb(first, { from: 'Asleep', totalMs: 200 }), { asleepMs: 140 });
  assert.equal(estimateClimb({ rung: 'Waking', rungAgeMs: 9999 }, first, 1), 200);
  assert.equal(estimateClimb({ rung: 'Awake', rungAgeMs: 1 }, first, 1), 0);
});

test('a new controller keeps what it finds', () => {
  const rungs = [
    'Awake',
    'Waking',
    'Starting',
    'Asleep',
    'Sleeping',
    'Draining',
    'Staged',
    'Failed',
    'Absent',
  ] as const;
  const adopted = adoptInstances(rungs.map((rung) => reportOn(`m-${rung}`, rung)));
  assert.deepEqual(
    adopted.map(({ rung }) => rung),
    ['Awake', 'Awake', 'Awake', 'Asleep', 'Asleep', 'Asleep', 'Staged', 'Staged'],
  );
});

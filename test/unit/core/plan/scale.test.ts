import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { planScale, type ScaleSnapshot } from '../../../../src/core/plan/scale.ts';
import type { Ascent } from '../../../../src/core/plan/snapshot.ts';

const quiet = { queued: 0, inFlight: 0, oldestQueuedMs: 0, wakeLeaseMs: 0 };
const up = (idleMs = 0, inFlight = 0) => ({ ascent: 'Up' as const, inFlight, idleMs });

function decide(changes: Partial<ScaleSnapshot>) {
  return planScale({
    model: 'demo',
    minAwake: 0,
    maxAwake: 2,
    sleepAfterMs: 60_000,
    concurrency: 4,
    load: quiet,
    isLoadKnown: true,
    instances: [],
    ...changes,
  });
}

describe('how many should be awake', () => {
  const rows: readonly [string, Partial<ScaleSnapshot>, number, string, RegExp][] = [
    ['nobody asks', {}, 0, 'Keep', /nobody asks/],
    ['one waits', { load: { ...quiet, queued: 1 } }, 1, 'Wake', /requests wait/],
    ['more wait than one serves', { load: { ...quiet, queued: 5 } }, 2, 'Wake', /requests wait/],
    ['more wait than the most serves', { load: { ...quiet, queued: 50 } }, 2, 'Wake', /maxAwake is 2/],
    ['a caller was sent away', { load: { ...quiet, wakeLeaseMs: 1 } }, 1, 'Wake', /told to come back/],
    ['the least is one', { minAwake: 1 }, 1, 'Wake', /minAwake is 1/],
    ['one serves', { load: { ...quiet, inFlight: 1 }, instances: [up(0, 1)] }, 1, 'Keep', /being served/],
    ['only the agent knows of a request', { instances: [up(0, 1)] }, 1, 'Keep', /being served/],
    ['one served lately', { instances: [up(59_999)] }, 1, 'Keep', /less than 60 s ago/],
    ['one is idle for long', { instances: [up(60_000)] }, 0, 'Sleep', /nothing came for 60 s/],
    ['one of two is idle for long', { instances: [up(60_000), up(10)] }, 1, 'Sleep', /nothing came/],
    ['an idle one is the least', { minAwake: 1, instances: [up(60_000)] }, 1, 'Keep', /minAwake/],
    ['the most was lowered', { maxAwake: 1, instances: [up(), up()] }, 1, 'Sleep', /maxAwake was lowered/],
    ['a climb goes on', { instances: [{ ascent: 'Climbing', inFlight: 0, idleMs: 99_999 }] }, 1, 'Keep', /./],
    [
      'a failed one has no one to serve',
      { instances: [{ ascent: 'Failed', inFlight: 0, idleMs: 0 }] },
      0,
      'Sleep',
      /./,
    ],
    ['nothing is known', { isLoadKnown: false, instances: [up(99_999)] }, 1, 'Hold', /no router says/],
    [
      'nothing is known and the most was lowered',
      { isLoadKnown: false, maxAwake: 1, instances: [up(), up()] },
      2,
      'Hold',
      /no router/,
    ],
    ['a part is known and waits', { isLoadKnown: false, load: { ...quiet, queued: 1 } }, 1, 'Wake', /requests wait/],
  ];
  for (const [name, snapshot, desired, action, sentence] of rows) {
    test(name, () => {
      const decision = decide(snapshot);
      assert.deepEqual([decision.desired, decision.action], [desired, action]);
      assert.match(decision.sentence, sentence);
      assert.equal(decision.terms.find((term) => term.name === 'desired')?.value, desired);
    });
  }

  test('the counterfactual names the nearest other world', () => {
    const otherwise = (changes: Partial<ScaleSnapshot>) =>
      decide(changes).terms.find(({ name }) => name === 'otherwise')?.value;
    assert.equal(otherwise({}), 'the first request wakes one');
    assert.equal(otherwise({ load: { ...quiet, queued: 50 } }), 'with maxAwake 13 it would be 13');
    assert.equal(otherwise({ load: { ...quiet, queued: 1 } }), 'without requests it would be 0');
    assert.equal(otherwise({ minAwake: 1 }), 'with minAwake 0 it would be 0');
    assert.equal(otherwise({ instances: [up(10)] }), 'without the instances kept it would be 0');
  });
});

const ascents = fc.constantFrom<Ascent>('Up', 'Climbing', 'Waiting', 'Failed');
const snapshots = fc.record({
  model: fc.constant('m'),
  minAwake: fc.nat(3),
  maxAwake: fc.integer({ min: 3, max: 6 }),
  sleepAfterMs: fc.integer({ min: 1, max: 100_000 }),
  concurrency: fc.integer({ min: 1, max: 8 }),
  load: fc.record({ queued: fc.nat(100), inFlight: fc.nat(100), oldestQueuedMs: fc.nat(), wakeLeaseMs: fc.nat(10) }),
  isLoadKnown: fc.boolean(),
  instances: fc.array(fc.record({ ascent: ascents, inFlight: fc.nat(3), idleMs: fc.nat(200_000) }), { maxLength: 6 }),
});

test('the bounds hold, silence lowers nothing, and the same gives the same', () => {
  fc.assert(
    fc.property(snapshots, (snapshot) => {
      const decision = planScale(snapshot);
      assert.deepEqual(planScale(snapshot), decision);
      assert.ok(decision.desired >= Math.min(snapshot.minAwake, snapshot.maxAwake));
      const most = snapshot.isLoadKnown ? snapshot.maxAwake : Math.max(snapshot.maxAwake, snapshot.instances.length);
      assert.ok(decision.desired <= most);
      if (!snapshot.isLoadKnown) assert.ok(decision.desired >= snapshot.instances.length);
      if (snapshot.load.queued > 0) assert.ok(decision.desired >= 1);
      assert.ok(decision.sentence.length <= 512);
    }),
  );
});

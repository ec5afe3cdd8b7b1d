import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type InstanceView, planSlot, type SlotView } from '../../../src/agent/slot-plan.ts';

function view(
  revision: string,
  rung: InstanceView['rung'],
  wanted: InstanceView['wanted'],
  more: Partial<InstanceView> = {},
) {
  return { revision, rung, wanted, inFlight: 0, drainLeftMs: 0, retryInMs: 0, ...more };
}

function plan(instances: readonly InstanceView[], more: Partial<SlotView> = {}) {
  const { action, lookAgainInMs } = planSlot({ instances, isGivingUp: false, ...more });
  return action === undefined ? lookAgainInMs : `${action.type} ${action.revision}`;
}

describe('what a slot does next', () => {
  const rows: [string, readonly InstanceView[], string | number | undefined][] = [
    ['starts who is wanted awake', [view('a', 'Staged', 'Awake')], 'start a'],
    ['wakes a sleeper', [view('a', 'Asleep', 'Awake')], 'wake a'],
    [
      'leaves alone what is where it should be',
      [view('a', 'Awake', 'Awake'), view('b', 'Asleep', 'Asleep')],
      undefined,
    ],
    [
      'drains the resident before another climbs',
      [view('a', 'Awake', 'Asleep'), view('b', 'Asleep', 'Awake')],
      'drain a',
    ],
    [
      'waits for requests in flight',
      [view('a', 'Draining', 'Asleep', { inFlight: 1, drainLeftMs: 700 }), view('b', 'Asleep', 'Awake')],
      700,
    ],
    [
      'cuts by sleeping when the drain is over',
      [view('a', 'Draining', 'Asleep', { inFlight: 1 }), view('b', 'Asleep', 'Awake')],
      'sleep a',
    ],
    ['sleeps when nothing is in flight', [view('a', 'Draining', 'Asleep', { drainLeftMs: 700 })], 'sleep a'],
    ['stops who is not named', [view('a', 'Draining', 'Absent')], 'stop a'],
    ['takes a draining instance back', [view('a', 'Draining', 'Awake', { inFlight: 1, drainLeftMs: 9 })], 'resume a'],
    ['stops a sleeper that is not wanted', [view('a', 'Awake', 'Awake'), view('b', 'Asleep', 'Staged')], 'stop b'],
    ['stops it before another climbs', [view('a', 'Staged', 'Awake'), view('b', 'Asleep', 'Absent')], 'stop b'],
    ['waits for the back-off', [view('a', 'Failed', 'Awake', { retryInMs: 40 })], 40],
    ['tries again after it', [view('a', 'Failed', 'Awake')], 'start a'],
    ['settles a failure that is not wanted up', [view('a', 'Failed', 'Staged', { retryInMs: 40 })], 'settle a'],
    ['forgets who is gone', [view('a', 'Staged', 'Absent')], 'forget a'],
    ['makes a sleeper when nobody is wanted awake', [view('a', 'Staged', 'Asleep')], 'start a'],
    ['makes no sleeper beside the resident', [view('a', 'Awake', 'Awake'), view('b', 'Staged', 'Asleep')], undefined],
    [
      'makes no sleeper while another is to come up',
      [view('a', 'Failed', 'Awake', { retryInMs: 40 }), view('b', 'Staged', 'Asleep')],
      40,
    ],
    ['puts the new sleeper to sleep', [view('a', 'Awake', 'Asleep')], 'drain a'],
    ['leaves a staged one staged', [view('a', 'Staged', 'Staged')], undefined],
  ];
  for (const [what, instances, expected] of rows) test(what, () => assert.equal(plan(instances), expected));

  test('does nothing beside a running transition', () => {
    const instances = [view('a', 'Starting', 'Awake'), view('b', 'Asleep', 'Absent')];
    assert.equal(plan(instances, { moving: 'a' }), undefined);
  });

  test('gives up a climb that nobody wants any more, once', () => {
    for (const rung of ['Starting', 'Waking'] as const) {
      const instances = [view('a', rung, 'Absent'), view('b', 'Asleep', 'Awake')];
      assert.equal(plan(instances, { moving: 'a' }), 'giveUp a');
      assert.equal(plan(instances, { moving: 'a', isGivingUp: true }), undefined);
    }
  });

  test('lets a climb finish whose instance is to sleep afterwards', () => {
    assert.equal(plan([view('a', 'Starting', 'Asleep')], { moving: 'a' }), undefined);
  });

  test('does not give up a stop', () => {
    assert.equal(plan([view('a', 'Stopping', 'Absent')], { moving: 'a' }), undefined);
  });
});

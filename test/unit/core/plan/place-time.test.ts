// Where an instance comes up when it is known how long climbs take: the slot in which it is awake first, the harm to others
// counted as time, and again at every plan until it has begun.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { planPlacement } from '../../../../src/core/plan/place.ts';
import type { Claim, Placement } from '../../../../src/core/plan/placement.ts';
import type { SlotView } from '../../../../src/core/plan/snapshot.ts';
import { assign, awakeSlot, claimFor, placeSnapshot, reportOn, slotWith } from '../../../support/placement.ts';

const climb = { wakeMs: 1000, startMs: 45_000, drainMs: 3000, sleepMs: 3000 };
const timed = (revision: string, desired: number, changes: Partial<Claim> = {}) =>
  claimFor(revision, desired, { climb, chance: 0, ...changes });
const wanted = timed('m-1', 1, { isBusy: true, waitedMs: 5000 });

/** Nothing is resident, and these sleep. */
function sleepingSlot(name: string, asleep: readonly string[]): SlotView {
  return slotWith(
    name,
    asleep.map((one) => reportOn(one, 'Asleep')),
    { assigned: asleep.map((one) => assign(one, 'Asleep')) },
  );
}

/** `m-1` is to be awake here, once `occupant` is out. */
function waitingSlot(name: string, occupant: string, rung: 'Draining' | 'Sleeping' = 'Draining'): SlotView {
  const inFlight = rung === 'Draining' ? 1 : 0;
  return slotWith(name, [reportOn(occupant, rung, { inFlight, rungAgeMs: 500 }), reportOn('m-1', 'Asleep')], {
    assigned: [assign('m-1', 'Awake'), assign(occupant, 'Asleep')],
  });
}

function awakeAt({ assigned }: Placement, revision: string): string[] {
  return [...assigned].flatMap(([podUid, all]) =>
    all.some((one) => one.revision === revision && one.rung === 'Awake') ? [podUid] : [],
  );
}

const plan = (slots: readonly SlotView[], claims: readonly Claim[]) => planPlacement(placeSnapshot(slots, claims));

describe('a model that is to be awake', () => {
  test('takes a clear slot with its sleeper before one whose occupant has to sleep first', () => {
    const slots = [awakeSlot('a', 'n-1', {}, ['m-1']), sleepingSlot('b', ['m-1'])];
    assert.deepEqual(awakeAt(plan(slots, [wanted, timed('n-1', 0)]), 'm-1'), ['uid-b']);
  });

  test('has an idle occupant sleep rather than start from nothing in a clear slot', () => {
    const slots = [awakeSlot('a', 'n-1', {}, ['m-1']), sleepingSlot('b', [])];
    assert.deepEqual(awakeAt(plan(slots, [wanted, timed('n-1', 0)]), 'm-1'), ['uid-a']);
  });

  const busy = timed('n-1', 1, { isBusy: true });
  const justWoken = awakeSlot('a', 'n-1', { inFlight: 2, rungAgeMs: 200 }, ['m-1']);

  test('waits for a sleeper whose slot has work when a start takes longer', () => {
    const placement = plan([justWoken, sleepingSlot('b', [])], [timed('m-1', 1, { isBusy: true }), busy]);
    assert.deepEqual(awakeAt(placement, 'm-1'), []);
    assert.deepEqual(awakeAt(placement, 'n-1'), ['uid-a']);
  });

  describe('beside one whose usual work and its own are too much for one slot', () => {
    const share = (load: number) => [
      timed('m-1', 1, { isBusy: true, waitedMs: 100, load }),
      timed('n-1', 1, { isBusy: true, load: 0.5 }),
    ];
    const pools = [{ name: 'default', sleepersPerSlotMax: 8, room: 3 }];
    const grown = (load: number, slot = justWoken) =>
      planPlacement(placeSnapshot([slot], share(load), { pools })).unmet.map(({ pool }) => pool);

    test('asks for one more slot while it waits for its turn', () => {
      assert.deepEqual(grown(0.5), ['default']);
      assert.deepEqual(grown(0.1), [undefined], 'a turn now and then is no reason to grow');
    });

    test('has it sleep where it is idle, as ever, and starts nowhere', () => {
      const idle = awakeSlot('a', 'n-1', { rungAgeMs: 60_000, idleMs: 9000 }, ['m-1']);
      assert.deepEqual(awakeAt(plan([idle, sleepingSlot('b', [])], share(0.5)), 'm-1'), ['uid-a']);
    });

    test('takes its turn rather than a clear slot in which it has failed', () => {
      const failure = { reason: 'LoadFailed', message: 'no', retryInMs: 500 };
      const broken = slotWith('b', [reportOn('m-1', 'Staged', { failure })], { assigned: [assign('m-1', 'Staged')] });
      const settled = awakeSlot('a', 'n-1', { inFlight: 2, rungAgeMs: 60_000 }, ['m-1']);
      assert.deepEqual(awakeAt(plan([settled, broken], share(0.5)), 'm-1'), ['uid-a']);
    });

    test('takes its turn until that slot is there, and the other one asks', () => {
      const settled = awakeSlot('a', 'n-1', { inFlight: 2, rungAgeMs: 60_000 }, ['m-1']);
      assert.deepEqual(grown(0.5, settled), []);
      const placement = planPlacement(placeSnapshot([settled], share(0.5), { pools }));
      assert.deepEqual(awakeAt(placement, 'm-1'), ['uid-a']);
    });

    test('starts in a clear slot, although a turn would be sooner', () => {
      assert.deepEqual(awakeAt(plan([justWoken, sleepingSlot('b', [])], share(0.5)), 'm-1'), ['uid-b']);
      assert.deepEqual(awakeAt(plan([justWoken, sleepingSlot('b', [])], share(0.1)), 'm-1'), []);
    });
  });

  test('for a caller who was told to come back keeps its slot until he has come', () => {
    const promised = timed('n-1', 1, { isBusy: true, isPromised: true });
    const others = (idleMs: number) => awakeSlot('a', 'n-1', { rungAgeMs: 20_000, idleMs }, ['m-1']);
    assert.deepEqual(awakeAt(plan([others(20_000)], [wanted, promised]), 'n-1'), ['uid-a'], 'nobody has come yet');
    assert.deepEqual(
      awakeAt(plan([others(2000)], [wanted, promised]), 'm-1'),
      ['uid-a'],
      'now it is the next one’s turn',
    );
  });

  test('below its minimum takes its turn with who has work, however many of it are awake', () => {
    const slots = [awakeSlot('a', 'm-1'), awakeSlot('b', 'n-1', { inFlight: 3 }, ['m-1'])];
    const claims = (min: number) => [timed('m-1', 2, { min, isBusy: true }), busy];
    assert.deepEqual(awakeAt(plan(slots, claims(2)), 'm-1'), ['uid-a', 'uid-b']);
    assert.deepEqual(awakeAt(plan(slots, claims(1)), 'm-1'), ['uid-a']);
  });

  test('grows no pool for what only a sleeper could do', () => {
    const claim = timed('m-1', 4, { isBusy: true, waitedMs: 5000, coldMax: 1 });
    const pools = [{ name: 'default', sleepersPerSlotMax: 8, room: 10 }];
    const placement = planPlacement(placeSnapshot([awakeSlot('a', 'm-1', { inFlight: 9 })], [claim], { pools }));
    assert.deepEqual(
      placement.unmet.map(({ pool, isWakeOnly }) => [pool, isWakeOnly]),
      [[undefined, true]],
    );
  });

  test('that has one too many keeps who serves, and lets go who is still on the way', () => {
    const starting = slotWith('a', [reportOn('m-1', 'Starting', { rungAgeMs: 40_000 })], {
      assigned: [assign('m-1', 'Awake')],
    });
    const serving = [
      awakeSlot('b', 'm-1', { idleMs: 90_000, rungAgeMs: 90_000 }),
      awakeSlot('b', 'm-1', { inFlight: 1 }),
    ];
    for (const one of serving) assert.deepEqual(awakeAt(plan([starting, one], [timed('m-1', 1)]), 'm-1'), ['uid-b']);
  });

  test('takes the copy of it that is nearly made, and not one more start', () => {
    const copy = (rungAgeMs: number) =>
      slotWith('a', [reportOn('m-1', 'Starting', { rungAgeMs })], { assigned: [assign('m-1', 'Awake')] });
    const copies = new Map([['uid-a', { revision: 'm-1' }]]);
    const planned = (slots: readonly SlotView[]) => planPlacement(placeSnapshot(slots, [wanted], { copies }));
    const adopted = planned([copy(44_000), sleepingSlot('b', [])]);
    assert.deepEqual([adopted.adopted, awakeAt(adopted, 'm-1'), adopted.unmet], [['uid-a'], ['uid-a'], []]);
    // A sleeper is sooner, and then the copy goes on to be one.
    const woken = planned([copy(1000), sleepingSlot('b', ['m-1'])]);
    assert.deepEqual([woken.adopted, awakeAt(woken, 'm-1')], [[], ['uid-a', 'uid-b']]);
  });

  test('starts from nothing when that is sooner', () => {
    const fast = { ...climb, startMs: 2000 };
    const claims = [timed('m-1', 1, { isBusy: true, climb: fast }), busy];
    assert.deepEqual(awakeAt(plan([justWoken, sleepingSlot('b', [])], claims), 'm-1'), ['uid-b']);
  });

  test('of two clear slots takes the one whose sleepers are less likely to be needed', () => {
    const slots = [sleepingSlot('a', ['m-1', 'eager-1']), sleepingSlot('b', ['m-1', 'rare-1'])];
    const claims = [wanted, timed('eager-1', 0, { chance: 0.9 }), timed('rare-1', 0, { chance: 0.01 })];
    assert.deepEqual(awakeAt(plan(slots, claims), 'm-1'), ['uid-b']);
  });
});

describe('on several nodes', () => {
  const onNode = (slot: SlotView, node: string): SlotView => ({ ...slot, node });
  const nodesOf = (placement: Placement, slots: readonly SlotView[]) =>
    awakeAt(placement, 'm-1').map((podUid) => slots.find((slot) => slot.podUid === podUid)?.node);

  test('a burst wakes on all of them, since weights share the way of their node', () => {
    const slots = ['a', 'b', 'c', 'd', 'e', 'f'].map((name, at) =>
      onNode(sleepingSlot(name, ['m-1']), at < 3 ? 'one' : 'two'),
    );
    const burst = timed('m-1', 4, { isBusy: true });
    assert.deepEqual(nodesOf(plan(slots, [burst]), slots).sort(), ['one', 'one', 'two', 'two']);
  });

  test('wakes that are under way count, and a busy node is taken when it is sooner all the same', () => {
    const waking = (name: string, revision: string) =>
      onNode(
        slotWith(name, [reportOn(revision, 'Waking', { rungAgeMs: 100 })], { assigned: [assign(revision, 'Awake')] }),
        'one',
      );
    const others = ['x-1', 'y-1', 'z-1'].map((revision) => timed(revision, 1, { isBusy: true }));
    const busyNode = [waking('p', 'x-1'), waking('q', 'y-1'), waking('r', 'z-1')];
    const here = onNode(sleepingSlot('a', ['m-1']), 'one');
    const there = onNode(sleepingSlot('b', ['m-1']), 'two');
    assert.deepEqual(awakeAt(plan([...busyNode, here, there], [wanted, ...others]), 'm-1'), ['uid-b']);
    const occupied = onNode(awakeSlot('b', 'n-1', { rungAgeMs: 60_000 }, ['m-1']), 'two');
    assert.deepEqual(awakeAt(plan([...busyNode, here, occupied], [wanted, ...others, timed('n-1', 0)]), 'm-1'), [
      'uid-a',
    ]);
  });

  test('the second instance goes where the first is not', () => {
    const first = onNode(awakeSlot('a', 'm-1'), 'one');
    const slots = [first, onNode(sleepingSlot('b', ['m-1']), 'one'), onNode(sleepingSlot('c', ['m-1']), 'two')];
    assert.deepEqual(nodesOf(plan(slots, [timed('m-1', 2, { isBusy: true })]), slots).sort(), ['one', 'two']);
  });
});

describe('a model that waits until a slot is clear', () => {
  const others = [wanted, timed('n-1', 0)];

  test('goes to one with a sleeper of it that has become clear meanwhile, and keeps its copy', () => {
    const placement = plan([waitingSlot('a', 'n-1'), sleepingSlot('b', ['m-1'])], others);
    assert.deepEqual(awakeAt(placement, 'm-1'), ['uid-b']);
    assert.deepEqual(
      placement.assigned
        .get('uid-a')
        ?.map(({ revision, rung }) => [revision, rung])
        .sort(),
      [
        ['m-1', 'Asleep'],
        ['n-1', 'Asleep'],
      ],
    );
  });

  test('leaves the slot to the occupant when that is wanted again', () => {
    const cut = { ...waitingSlot('a', 'n-1'), isUsable: false };
    assert.deepEqual(
      plan([cut, sleepingSlot('b', ['m-1'])], others).moves,
      [],
      'a slot without its link is told nothing',
    );
    const slots = [waitingSlot('a', 'n-1'), sleepingSlot('b', ['m-1'])];
    const placement = plan(slots, [wanted, timed('n-1', 1, { isBusy: true })]);
    assert.deepEqual([awakeAt(placement, 'm-1'), awakeAt(placement, 'n-1')], [['uid-b'], ['uid-a']]);
  });

  test('stays when it would have to start from nothing elsewhere, or has begun', () => {
    assert.deepEqual(awakeAt(plan([waitingSlot('a', 'n-1'), sleepingSlot('b', [])], others), 'm-1'), ['uid-a']);
    const begun = slotWith('a', [reportOn('m-1', 'Waking', { rungAgeMs: 100 })], {
      assigned: [assign('m-1', 'Awake')],
    });
    assert.deepEqual(awakeAt(plan([begun, sleepingSlot('b', ['m-1'])], [wanted]), 'm-1'), ['uid-a']);
  });

  test('stays when it has just been told, and nothing is in the way', () => {
    const told = slotWith('b', [reportOn('m-1', 'Asleep')], { assigned: [assign('m-1', 'Awake')] });
    assert.deepEqual(awakeAt(plan([sleepingSlot('a', ['m-1']), told], [wanted]), 'm-1'), ['uid-b']);
  });

  test('just stays awake when it was on its own way out', () => {
    const leaving = slotWith('a', [reportOn('m-1', 'Draining', { inFlight: 1 })], {
      assigned: [assign('m-1', 'Asleep')],
    });
    assert.deepEqual(awakeAt(plan([leaving, sleepingSlot('b', ['m-1'])], [wanted]), 'm-1'), ['uid-a']);
    const recalled = { ...leaving, assigned: [assign('m-1', 'Awake')] };
    assert.deepEqual(awakeAt(plan([recalled, sleepingSlot('b', ['m-1'])], [wanted]), 'm-1'), ['uid-a']);
  });

  test('does not move while not every slot is known', () => {
    const slots = [waitingSlot('a', 'n-1'), sleepingSlot('b', ['m-1'])];
    const placement = planPlacement(placeSnapshot(slots, others, { isComplete: false }));
    assert.deepEqual(awakeAt(placement, 'm-1'), ['uid-a']);
  });
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkPlacement } from '../../../../src/core/check/placement.ts';
import { planPlacement } from '../../../../src/core/plan/place.ts';
import type { PlaceSnapshot } from '../../../../src/core/plan/placement.ts';
import { assign, awakeSlot, claimFor, placeSnapshot, reportOn, slotWith } from '../../../support/placement.ts';

/** Slots as `name: revision@rung …`, after the linter had nothing to say. */
function plan(snapshot: PlaceSnapshot) {
  const placement = planPlacement(snapshot);
  assert.deepEqual(checkPlacement(snapshot, placement), []);
  const slots = Object.fromEntries(
    snapshot.slots.map(({ name, podUid }) => [
      name,
      placement.assigned
        .get(podUid)
        ?.map(({ revision, rung }) => `${revision}@${rung}`)
        .join(' '),
    ]),
  );
  return {
    slots,
    unmet: placement.unmet.map(({ claim, pool }) => `${claim.revision} ${pool}`),
    moves: placement.moves,
  };
}

describe('where one comes up', () => {
  test('a free slot with its sleeping copy goes before an empty one', () => {
    const slots = [slotWith('a'), slotWith('b', [reportOn('m-1', 'Asleep')], { assigned: [assign('m-1', 'Asleep')] })];
    assert.deepEqual(plan(placeSnapshot(slots, [claimFor('m-1', 1)])).slots, { a: '', b: 'm-1@Awake' });
  });

  test('pools count in the order of the model', () => {
    const slots = [slotWith('a', [], { pool: 'second' }), slotWith('b', [], { pool: 'first' })];
    const pools = ['second', 'first'].map((name) => ({ name, room: 0, sleepersPerSlotMax: 8 }));
    const snapshot = placeSnapshot(slots, [claimFor('m-1', 1, { pools: ['first', 'second'] })], { pools });
    assert.deepEqual(plan(snapshot).slots, { a: '', b: 'm-1@Awake' });
  });

  test('a slot that is leaving, or that cannot be told, is not used', () => {
    const slots = [slotWith('a', [], { isLeaving: true, isUsable: false }), slotWith('b', [], { isUsable: false })];
    const result = plan(placeSnapshot(slots, [claimFor('m-1', 1)], { room: 1 }));
    assert.deepEqual(result.unmet, ['m-1 default']);
  });

  test('a new slot goes before taking one from somebody, and no more are asked for than there is room', () => {
    const slots = [awakeSlot('a', 'x-1')];
    const claims = [claimFor('x-1', 1), claimFor('m-1', 2, { isBusy: true })];
    assert.deepEqual(plan(placeSnapshot(slots, claims, { room: 1 })).unmet, ['m-1 default']);
    assert.deepEqual(plan(placeSnapshot(slots, claims, { room: 1 })).slots, { a: 'm-1@Awake x-1@Asleep' });
    assert.deepEqual(plan(placeSnapshot(slots, claims, { room: 2 })).slots, { a: 'x-1@Awake' });
  });

  test('several of one revision come up in several slots', () => {
    const result = plan(placeSnapshot([slotWith('a'), slotWith('b'), slotWith('c')], [claimFor('m-1', 2)]));
    assert.deepEqual(result.slots, { a: 'm-1@Awake', b: 'm-1@Awake', c: '' });
  });
});

describe('who gives way', () => {
  const asking = claimFor('m-1', 1, { isBusy: true, waitedMs: 100 });
  const rows: readonly [string, Parameters<typeof awakeSlot>[2], Parameters<typeof claimFor>[2], boolean][] = [
    ['an idle occupant', {}, {}, true],
    ['an idle occupant that has just come', { rungAgeMs: 500 }, {}, false],
    ['one whose requests are still on their way', { rungAgeMs: 5000 }, { isBusy: true }, false],
    ['a busy one after its residency', { inFlight: 3 }, { isBusy: true }, true],
    ['a busy one before', { inFlight: 3, rungAgeMs: 14_999 }, { isBusy: true }, false],
    ['the last one of the least', {}, { min: 1 }, false],
    ['one that climbs', { rung: 'Starting', probed: false }, {}, false],
    ['one that failed', { rung: 'Failed', probed: false, rungAgeMs: 0 }, { isBusy: true }, true],
  ];
  for (const [name, report, claim, yields] of rows) {
    test(`${name}: ${yields ? 'yes' : 'no'}`, () => {
      const slots = [awakeSlot('a', 'x-1', report)];
      const result = plan(placeSnapshot(slots, [claimFor('x-1', 1, claim), asking]));
      assert.match(result.slots.a ?? '', yields ? /^m-1@Awake/ : /^x-1@Awake/);
      assert.deepEqual(result.unmet, yields ? [] : ['m-1 undefined']);
    });
  }

  test('the one that waits longest goes first, and nobody is taken from twice', () => {
    const claims = [claimFor('x-1', 1), asking, claimFor('n-1', 1, { isBusy: true, waitedMs: 200 })];
    const result = plan(placeSnapshot([awakeSlot('a', 'x-1')], claims));
    assert.match(result.slots.a ?? '', /^n-1@Awake/);
    assert.deepEqual(result.unmet, ['m-1 undefined']);
  });

  test('a model with one awake takes no slot from busy ones', () => {
    const slots = [awakeSlot('a', 'x-1', { inFlight: 1 }), awakeSlot('b', 'm-1', { inFlight: 1 })];
    const claims = [claimFor('x-1', 1, { isBusy: true }), claimFor('m-1', 2, { isBusy: true })];
    assert.deepEqual(plan(placeSnapshot(slots, claims)).slots, { a: 'x-1@Awake', b: 'm-1@Awake' });
  });

  test('a candidate may take the slot of its own stable version, even the last of the least', () => {
    const claims = [claimFor('m-1', 1, { min: 1 }), claimFor('m-2', 1)];
    assert.deepEqual(plan(placeSnapshot([awakeSlot('a', 'm-1')], claims)).slots, { a: 'm-2@Awake m-1@Asleep' });
  });

  test('a patient one takes an idle slot, and none that has work', () => {
    const patient = claimFor('m-2', 1, { isPatient: true });
    const claims = (isBusy: boolean) => [claimFor('m-1', 1, { isBusy }), patient];
    const slots = [awakeSlot('a', 'm-1')];
    assert.match(plan(placeSnapshot(slots, claims(true))).slots.a ?? '', /^m-1@Awake/);
    assert.match(plan(placeSnapshot(slots, claims(false))).slots.a ?? '', /^m-2@Awake/);
  });

  test('what may not sleep is stopped instead', () => {
    const claims = [claimFor('x-1', 1, { canSleep: false }), asking];
    assert.deepEqual(plan(placeSnapshot([awakeSlot('a', 'x-1')], claims)).slots, { a: 'm-1@Awake' });
  });
});

describe('who goes', () => {
  test('the idlest sleeps when fewer should be awake', () => {
    const slots = [
      awakeSlot('a', 'm-1', { idleMs: 5 }),
      awakeSlot('b', 'm-1', { idleMs: 50 }),
      awakeSlot('c', 'm-1', { inFlight: 1 }),
    ];
    assert.deepEqual(plan(placeSnapshot(slots, [claimFor('m-1', 2)])).slots, {
      a: 'm-1@Awake',
      b: 'm-1@Asleep',
      c: 'm-1@Awake',
    });
  });

  test('what no claim covers goes, asleep or awake', () => {
    assert.deepEqual(plan(placeSnapshot([awakeSlot('a', 'old-1', {}, ['old-2'])], [])).slots, { a: '' });
  });

  test('what may not use the pool any more goes', () => {
    const claims = [claimFor('m-1', 1, { pools: ['other'] })];
    assert.deepEqual(plan(placeSnapshot([awakeSlot('a', 'm-1')], claims)).slots, { a: '' });
  });

  test('a sleeper whose process ended is not made again', () => {
    const slots = [slotWith('a', [reportOn('m-1', 'Failed')], { assigned: [assign('m-1', 'Asleep')] })];
    assert.deepEqual(plan(placeSnapshot(slots, [claimFor('m-1', 0)])).slots, { a: '' });
  });

  test('the sleepers unused for longest are stopped when there are too many', () => {
    const ages = { 'a-1': 10, 'b-1': 30, 'c-1': 20 };
    const instances = Object.entries(ages).map(([revision, rungAgeMs]) => reportOn(revision, 'Asleep', { rungAgeMs }));
    const assigned = Object.keys(ages).map((revision) => assign(revision, 'Asleep'));
    const claims = Object.keys(ages).map((revision) => claimFor(revision, 0));
    const snapshot = placeSnapshot([slotWith('a', instances, { assigned })], claims, { sleepersPerSlotMax: 2 });
    assert.deepEqual(plan(snapshot).slots, { a: 'a-1@Asleep c-1@Asleep' });
  });

  test('sleepers are stopped when they hold more memory than there is for them, counting who is awake', () => {
    const ages = { 'a-1': 10, 'b-1': 30, 'c-1': 20 };
    const instances = Object.entries(ages).map(([revision, rungAgeMs]) => reportOn(revision, 'Asleep', { rungAgeMs }));
    const assigned = [...Object.keys(ages).map((revision) => assign(revision, 'Asleep')), assign('w-1', 'Awake')];
    const claims = [...Object.keys(ages), 'w-1'].map((revision) =>
      claimFor(revision, revision === 'w-1' ? 1 : 0, { asleepBytes: 100 }),
    );
    const slots = [slotWith('a', [...instances, reportOn('w-1', 'Awake')], { assigned })];
    const withRoom = (sleeperBytes: number) => plan(placeSnapshot(slots, claims, { sleeperBytes })).slots;
    assert.deepEqual(withRoom(400), { a: 'w-1@Awake a-1@Asleep b-1@Asleep c-1@Asleep' });
    assert.deepEqual(withRoom(399), { a: 'w-1@Awake a-1@Asleep c-1@Asleep' });
    assert.deepEqual(withRoom(250), { a: 'w-1@Awake a-1@Asleep' });
    // Who is awake serves, whatever it will hold; it just cannot sleep beside others.
    assert.deepEqual(withRoom(50), { a: 'w-1@Awake' });
  });

  test('who may never sleep holds nothing of the memory for sleepers', () => {
    const claims = [
      claimFor('n-1', 1, { asleepBytes: 900, canSleep: false, isBusy: true }),
      claimFor('m-1', 0, { asleepBytes: 100 }),
    ];
    const slots = [awakeSlot('a', 'n-1', {}, ['m-1'])];
    assert.deepEqual(plan(placeSnapshot(slots, claims, { sleeperBytes: 100 })).slots, { a: 'n-1@Awake m-1@Asleep' });
  });

  test('who is awake and too large to sleep stops none of the sleepers beside it', () => {
    const claims = [claimFor('n-1', 1, { asleepBytes: 900, isBusy: true }), claimFor('m-1', 0, { asleepBytes: 100 })];
    const slots = [awakeSlot('a', 'n-1', {}, ['m-1'])];
    assert.deepEqual(plan(placeSnapshot(slots, claims, { sleeperBytes: 200 })).slots, { a: 'n-1@Awake m-1@Asleep' });
  });

  test('the third copy of what is often used is stopped before the only one of what is not', () => {
    const climb = { wakeMs: 1000, startMs: 45_000, drainMs: 3000, sleepMs: 3000 };
    const claims = [claimFor('often-1', 0, { climb, chance: 0.5 }), claimFor('rare-1', 0, { climb, chance: 0.05 })];
    const asleep = (name: string, revisions: readonly string[]) =>
      slotWith(
        name,
        revisions.map((one) => reportOn(one, 'Asleep')),
        { assigned: revisions.map((one) => assign(one, 'Asleep')) },
      );
    const slots = [asleep('a', ['often-1', 'rare-1']), asleep('b', ['often-1']), asleep('c', ['often-1'])];
    const kept = plan(placeSnapshot(slots, claims, { sleepersPerSlotMax: 1 })).slots;
    assert.deepEqual(kept, { a: 'rare-1@Asleep', b: 'often-1@Asleep', c: 'often-1@Asleep' });
  });

  test('what would not fit asleep is stopped when it is not needed any more', () => {
    const claims = [claimFor('w-1', 0, { asleepBytes: 100 })];
    const slots = [awakeSlot('a', 'w-1')];
    assert.deepEqual(plan(placeSnapshot(slots, claims, { sleeperBytes: 99 })).slots, { a: '' });
    assert.deepEqual(plan(placeSnapshot(slots, claims, { sleeperBytes: 100 })).slots, { a: 'w-1@Asleep' });
  });

  test('what failed here is tried in a free slot, and its failure stays known', () => {
    const failure = { reason: 'LoadFailed', message: 'no', retryInMs: 500 };
    const slots = [awakeSlot('a', 'm-1', { rung: 'Failed', probed: false, failure }), slotWith('b')];
    assert.deepEqual(plan(placeSnapshot(slots, [claimFor('m-1', 1)])).slots, { a: 'm-1@Staged', b: 'm-1@Awake' });
  });

  test('what fails everywhere asks for no new slot and takes nobody’s while it has to wait', () => {
    const failure = { reason: 'LoadFailed', message: 'no', retryInMs: 500 };
    const slots = [
      slotWith('a', [reportOn('x-1', 'Awake'), reportOn('m-1', 'Staged', { failure })], {
        assigned: [assign('x-1', 'Awake'), assign('m-1', 'Staged')],
      }),
    ];
    const claims = [claimFor('x-1', 1), claimFor('m-1', 1, { isBusy: true })];
    const result = plan(placeSnapshot(slots, claims, { room: 5 }));
    assert.deepEqual(result.slots, { a: 'x-1@Awake m-1@Staged' });
    assert.deepEqual(result.unmet, ['m-1 undefined']);
  });
});

describe('before every slot is known', () => {
  test('instances are woken in free slots, and none is lowered', () => {
    const slots = [awakeSlot('a', 'old-1', {}, ['old-2']), awakeSlot('b', 'm-1'), slotWith('c')];
    const claims = [claimFor('m-1', 0), claimFor('n-1', 1, { isBusy: true })];
    assert.deepEqual(plan(placeSnapshot(slots, claims, { isComplete: false })).slots, {
      a: 'old-1@Awake old-2@Asleep',
      b: 'm-1@Awake',
      c: 'n-1@Awake',
    });
  });

  test('nobody has to give way', () => {
    const claims = [claimFor('x-1', 1), claimFor('m-1', 1, { isBusy: true })];
    assert.deepEqual(plan(placeSnapshot([awakeSlot('a', 'x-1')], claims, { isComplete: false })).slots, {
      a: 'x-1@Awake',
    });
  });
});

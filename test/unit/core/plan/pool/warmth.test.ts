// What the pool knows of models and slots: idle gaps, rates of use, how busy slots are, what a copy is worth, who stays awake.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  type CopyModel,
  type CopySlot,
  type CopyWorld,
  listCopies,
  planCopy as planCopyIn,
  waitingWith,
  worthOfCopy,
} from '../../../../../src/core/plan/pool/copies.ts';
import { chanceOfUse, emptyGaps, type IdleGaps, learnGap } from '../../../../../src/core/plan/pool/idle-gaps.ts';
import { staysAwake } from '../../../../../src/core/plan/pool/rung.ts';
import { createSlotUse } from '../../../../../src/core/plan/pool/slot-use.ts';
import { learnUse, startUses, usesPerMs } from '../../../../../src/core/plan/pool/use-rate.ts';

const learned = (gapMs: number, times: number): IdleGaps =>
  Array.from({ length: times }, () => gapMs).reduce(learnGap, emptyGaps());

describe('idle gaps', () => {
  test('a model that comes back after a minute is likely to just before, and not right after its last use', () => {
    const gaps = learned(60_000, 50);
    assert.ok(chanceOfUse(gaps, 33_000, 45_000) > 0.9);
    assert.ok(chanceOfUse(gaps, 1000, 5000) < 0.1);
  });

  test('who stayed away for longer than ever is not expected', () => {
    const gaps = learned(2000, 200);
    assert.ok(chanceOfUse(gaps, 3_600_000, 45_000) < 0.05);
  });

  test('a chance is a chance, and more time is never less likely', () => {
    const gaps = fc.array(fc.nat(10_000_000), { maxLength: 60 }).map((list) => list.reduce(learnGap, emptyGaps()));
    fc.assert(
      fc.property(gaps, fc.nat(200_000_000), fc.nat(1_000_000), fc.nat(1_000_000), (known, idleMs, a, b) => {
        const [short, long] = a < b ? [a, b] : [b, a];
        const low = chanceOfUse(known, idleMs, short);
        const high = chanceOfUse(known, idleMs, long);
        assert.ok(low >= 0 && high <= 1 && low <= high + 1e-9, `${low} ${high}`);
      }),
    );
  });
});

test('a rate of use follows what happens, and fades', () => {
  let uses = startUses(0);
  for (let minute = 1; minute <= 60; minute += 1) uses = learnUse(uses, minute * 60_000);
  const perMinute = usesPerMs(uses, 3_600_000) * 60_000;
  assert.ok(perMinute > 0.8 && perMinute < 1.2, `${perMinute}`);
  assert.ok(usesPerMs(uses, 4 * 3_600_000) * 60_000 < 0.1);
});

test('a slot that another model held half of the time is to be had half of the time', () => {
  const use = createSlotUse();
  for (let second = 0; second <= 3600; second += 1)
    use.note(second * 1000, new Map([['s', second % 2 === 0 ? 'a' : undefined]]));
  const taken = use.takenShare('s', 'b');
  assert.ok(taken > 0.4 && taken < 0.6, `${taken}`);
  assert.ok(use.takenShare('s', 'a') < 0.1);
});

describe('who stays awake', () => {
  const rates = { sleepMs: 2800, wakeMs: 900 };
  test('alone in its slots it does', () =>
    assert.ok(staysAwake({ ...rates, idleMs: 1e6, usePerMs: 0, othersPerMs: 0 })));
  test('with eager neighbours it does not', () =>
    assert.ok(!staysAwake({ ...rates, idleMs: 10_000, usePerMs: 1e-6, othersPerMs: 1e-4 })));
  test('a sleep and a wake have to pay', () =>
    assert.ok(staysAwake({ ...rates, idleMs: 3000, usePerMs: 0, othersPerMs: 1 })));
});

describe('copies', () => {
  const model = (name: string, usesPerHour: number): CopyModel => ({
    name,
    usesPerMs: usesPerHour / 3_600_000,
    startMs: 45_000,
    blockedMs: 10_000,
  });
  const slot = (name: string, models: readonly string[], changes: Partial<CopySlot> = {}): CopySlot => ({
    name,
    models,
    isFree: true,
    sleepersMax: 2,
    ...changes,
  });
  const world = (models: readonly CopyModel[], slots: readonly CopySlot[]) => ({
    models: new Map(models.map((one) => [one.name, one])),
    slots,
    takenShare: () => 0.5,
  });

  const planCopy = (seen: CopyWorld) => planCopyIn(listCopies(seen), seen.slots);

  test('without a copy everybody waits for a start, with one for a taken slot, with two for both', () => {
    const one = model('a', 3600);
    const takenWith = (slots: readonly CopySlot[]) => listCopies(world([one], slots)).byModel.get('a')?.allTaken;
    assert.equal(waitingWith(one, takenWith([])), 45);
    assert.equal(waitingWith(one, takenWith([slot('s', ['a'])])), 5);
    assert.equal(waitingWith(one, takenWith([slot('s', ['a']), slot('t', ['a'])])), 2.5);
  });

  test('the model without a copy goes first, into the slot with room', () => {
    const plan = planCopy(
      world([model('a', 60), model('b', 60)], [slot('s', ['a']), slot('t', ['a'], { isFree: false })]),
    );
    assert.deepEqual([plan?.model, plan?.slot, plan?.instead], ['b', 's', undefined]);
  });

  test('a node that has none goes before one that has', () => {
    const slots = [
      slot('s', ['a'], { node: 'x', isFree: false }),
      slot('t', [], { node: 'x' }),
      slot('u', [], { node: 'y' }),
    ];
    const takenShare = (name: string) => (name === 'u' ? 0.51 : 0.5);
    assert.equal(planCopy({ ...world([model('a', 600)], slots), takenShare })?.slot, 'u');
  });

  test('a full slot gives up what is worth least, and only for more', () => {
    const models = [model('often', 600), model('rare', 1), model('new', 60)];
    const full = [slot('s', ['often', 'rare']), slot('t', ['rare'], { isFree: false })];
    assert.deepEqual(planCopy(world(models, full))?.instead, 'rare');
    const worse = [model('often', 600), model('rare', 100), model('new', 0.1)];
    assert.equal(planCopy(world(worse, [slot('s', ['often', 'rare'])])), undefined);
  });

  test('a slot that is full by bytes gives up one that makes room, however little another one is worth', () => {
    const models = [
      { ...model('large', 20), asleepBytes: 6 },
      { ...model('small', 1), asleepBytes: 1 },
      { ...model('new', 600), asleepBytes: 4 },
    ];
    const at = (sleeperBytesMax: number) => [slot('s', ['large', 'small'], { sleepersMax: 9, sleeperBytesMax })];
    assert.deepEqual(planCopy(world(models, at(11)))?.instead, undefined, 'there is room');
    assert.equal(planCopy(world(models, at(11)))?.model, 'new');
    assert.equal(planCopy(world(models, at(10)))?.instead, 'small');
    assert.equal(planCopy(world(models, at(9)))?.instead, 'large');
    assert.equal(planCopy(world(models, at(3))), undefined, 'nothing that goes makes enough room');
  });

  test('of what saves the same, what holds less memory goes first', () => {
    const models = [
      { ...model('heavy', 60), asleepBytes: 8 },
      { ...model('light', 50), asleepBytes: 2 },
    ];
    assert.equal(planCopy(world(models, [slot('s', [], { sleeperBytesMax: 8 })]))?.model, 'light');
  });

  test('a slot gets no copy that it may not hold', () => {
    const models = [model('a', 60), model('b', 30)];
    const mayHold = (_: string, name: string) => name !== 'a';
    assert.equal(planCopy({ ...world(models, [slot('s', [])]), mayHold })?.model, 'b');
  });

  test('no start in a slot whose sleepers are used all the time', () => {
    const models = [model('busy', 36_000), model('new', 2)];
    assert.equal(planCopy(world(models, [slot('s', ['busy'])])), undefined);
  });

  test('the last copy is worth a start, a second one less', () => {
    const both = world([model('a', 60)], [slot('s', ['a']), slot('t', ['a'])]);
    const last = world([model('a', 60)], [slot('s', ['a'])]);
    assert.ok(worthOfCopy(listCopies(last), 'a', 's') > 5 * worthOfCopy(listCopies(both), 'a', 's'));
  });
});

// Which copies are made, against the plain definition of it, and how much is weighed for that in a large pool.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  type CopyModel,
  type CopyPlan,
  type CopySlot,
  type CopyWorld,
  listCopies,
  planCopy,
} from '../../../../../src/core/plan/pool/copies.ts';
import {
  type CopyInput,
  createCopyPlanner,
  MAKING_MAX,
  WEIGHED_MAX,
} from '../../../../../src/core/plan/pool/copy-planner.ts';
import type { SlotView } from '../../../../../src/core/plan/snapshot.ts';

/** The definition, with nothing remembered: every question is asked again for every slot and model. */
function plainCopy(world: CopyWorld): CopyPlan | undefined {
  const slotsOf = (model: string) => world.slots.filter(({ models }) => models.includes(model)).map(({ name }) => name);
  const waiting = (model: CopyModel, slots: readonly string[]) => {
    if (slots.length === 0) return model.usesPerMs * model.startMs;
    const allTaken = slots.reduce((share, slot) => share * world.takenShare(slot, model.name), 1);
    return model.usesPerMs * allTaken * model.blockedMs;
  };
  const worthOf = (name: string, slot: string) => {
    const model = world.models.get(name);
    if (model === undefined) return 0;
    const without = slotsOf(name).filter((other) => other !== slot);
    return waiting(model, without) - waiting(model, slotsOf(name));
  };
  const bytesOf = (name: string) => world.models.get(name)?.asleepBytes ?? 0;
  const makeRoom = (slot: CopySlot, model: CopyModel) => {
    const held = slot.models.reduce((sum, name) => sum + bytesOf(name), 0);
    const lacking = held + bytesOf(model.name) - (slot.sleeperBytesMax ?? Number.POSITIVE_INFINITY);
    if (slot.models.length < slot.sleepersMax && lacking <= 0) return { instead: undefined, worth: 0 };
    return slot.models
      .filter((name) => bytesOf(name) >= lacking)
      .map((name) => ({ instead: name, worth: worthOf(name, slot.name) }))
      .sort((a, b) => a.worth - b.worth)[0];
  };
  let best: CopyPlan | undefined;
  for (const slot of world.slots.filter(({ isFree, sleepersMax }) => isFree && sleepersMax > 0)) {
    const uses = slot.models.reduce((sum, name) => sum + (world.models.get(name)?.usesPerMs ?? 0), 0);
    const plans = [...world.models.values()].flatMap((model) => {
      if (slot.models.includes(model.name) || world.mayHold?.(slot.name, model.name) === false) return [];
      const room = makeRoom(slot, model);
      if (room === undefined) return [];
      const slots = slotsOf(model.name);
      const gain = waiting(model, slots) - waiting(model, [...slots, slot.name]) - room.worth;
      if (!(gain * 1_200_000 > uses * model.startMs * (model.startMs / 2))) return [];
      return [
        {
          plan: { slot: slot.name, model: model.name, instead: room.instead, gain },
          value: gain / Math.max(1, bytesOf(model.name)),
        },
      ];
    });
    const [first] = plans.sort((a, b) => b.value - a.value);
    if (first !== undefined && (best === undefined || first.plan.gain > best.gain)) best = first.plan;
  }
  return best;
}

const names = ['a', 'b', 'c', 'd', 'e', 'f'];
const someModels = fc.tuple(
  ...names.map((name) =>
    fc.record(
      {
        name: fc.constant(name),
        usesPerMs: fc
          .constantFrom(1e-7, 1e-6, 1e-5, 1e-4)
          .chain((rate) => fc.integer({ min: 1, max: 9 }).map((by) => rate * by)),
        startMs: fc.integer({ min: 500, max: 90_000 }),
        blockedMs: fc.integer({ min: 100, max: 20_000 }),
        asleepBytes: fc.nat(9),
      },
      { requiredKeys: ['name', 'usesPerMs', 'startMs', 'blockedMs'] },
    ),
  ),
);
const someSlots = fc.array(
  fc.record(
    {
      models: fc.subarray([...names, 'gone']),
      isFree: fc.boolean(),
      sleepersMax: fc.nat(5),
      sleeperBytesMax: fc.nat(20),
    },
    { requiredKeys: ['models', 'isFree', 'sleepersMax'] },
  ),
  { maxLength: 12 },
);

test('what is planned is what the plain definition says, for all slots and for those of one node', () => {
  let planned = 0;
  const shares = fc.array(fc.constantFrom(0, 0.1, 0.3, 0.5, 1), { minLength: 13, maxLength: 13 });
  fc.assert(
    fc.property(someModels, someSlots, shares, fc.nat(3), (models, drawn, taken, forbidden) => {
      const slots: CopySlot[] = drawn.map((slot, index) => ({ ...slot, name: `s${index}` }));
      const numberOf = (slot: string, model: string) => Number(slot.slice(1)) + model.charCodeAt(0);
      const world: CopyWorld = {
        models: new Map(models.map((model) => [model.name, model])),
        slots,
        takenShare: (slot, model) => taken[numberOf(slot, model) % taken.length] ?? 0,
        mayHold: (slot, model) => numberOf(slot, model) % 4 >= forbidden,
      };
      const plan = planCopy(listCopies(world), slots);
      assert.deepEqual(plan, plainCopy(world));
      if (plan !== undefined) planned += 1;
      const there = slots.slice(0, 4);
      const elsewhere = slots.slice(4).map((slot) => ({ ...slot, isFree: false }));
      assert.deepEqual(planCopy(listCopies(world), there), plainCopy({ ...world, slots: [...there, ...elsewhere] }));
    }),
    { numRuns: 1000 },
  );
  assert.ok(planned > 100, 'many of them plan something');
});

const PER_NODE = 8;
const slotOf = (index: number): SlotView => ({
  podUid: `p${index}`,
  name: `slot-${index}`,
  pool: 'default',
  isUsable: true,
  isLeaving: false,
  instances: [],
  assigned: [],
});
const nodeOf = (podUid: string) => `node-${Math.floor(Number(podUid.slice(1)) / PER_NODE)}`;

interface Asked {
  /** Slots about which it was asked whether they may hold something, of the last plan. */
  readonly slots: Set<string>;
  questions: number;
}

/** A hundred models that nobody has a copy of, and slots that all stand free. */
function largePool(
  slots: number,
  sleepersMax: number,
): { readonly input: (nowMs: number) => CopyInput; readonly asked: Asked } {
  const asked: Asked = { slots: new Set(), questions: 0 };
  const models = new Map(
    Array.from({ length: 100 }, (_, index) => {
      const name = `m${index}`;
      return [name, { name, usesPerMs: 1e-6 * (index + 1), startMs: 45_000, blockedMs: 8000 }] as const;
    }),
  );
  const views = Array.from({ length: slots }, (_, index) => slotOf(index));
  const mayHold = (podUid: string) => {
    asked.slots.add(podUid);
    asked.questions += 1;
    return false;
  };
  const input = (nowMs: number) => ({
    nowMs,
    models,
    slots: views,
    budgetOf: () => ({ sleepersMax }),
    nodeOf,
    mayHold,
  });
  return { input, asked };
}

describe('a thousand slots that all stand free', () => {
  test('are looked at a part at a time, and each has its turn', () => {
    const { input, asked } = largePool(1000, 4);
    const planner = createCopyPlanner();
    const seen = new Set<string>();
    for (let look = 0; look < 11; look += 1) {
      asked.questions = 0;
      asked.slots.clear();
      planner.plan(input(look * 5000));
      assert.ok(asked.questions > 0 && asked.questions <= WEIGHED_MAX, `${asked.questions} in one look`);
      for (const slot of asked.slots) seen.add(slot);
    }
    assert.equal(seen.size, 1000);
  });

  test('are looked at all together where there are few', () => {
    const { input, asked } = largePool(96, 4);
    createCopyPlanner().plan(input(0));
    assert.equal(asked.slots.size, 96);
  });

  test('are not looked at when nothing may sleep in them', () => {
    const { input, asked } = largePool(1000, 0);
    createCopyPlanner().plan(input(0));
    assert.equal(asked.questions, 0);
  });
});

describe('two copies at a time are made in a pool', () => {
  const model = { name: 'm', usesPerMs: 1e-4, startMs: 45_000, blockedMs: 8000 };
  const inputWith = (nowMs: number, slots: readonly SlotView[], startMs = (_: string) => model.startMs): CopyInput => ({
    nowMs,
    models: new Map(['m', 'n'].map((name) => [name, { ...model, name, startMs: startMs(name) }])),
    slots,
    budgetOf: () => ({ sleepersMax: 1 }),
    nodeOf,
  });
  const onNodes = (count: number, pool: string, from = 0) =>
    Array.from({ length: count }, (_, index) => ({ ...slotOf((from + index) * PER_NODE), pool }));
  const starting = (slot: SlotView): SlotView => {
    const report = {
      id: 'i',
      model: 'm',
      revision: 'm',
      rung: 'Starting',
      probed: false,
      inFlight: 0,
      rungAgeMs: 0,
    } as const;
    return { ...slot, instances: [{ ...report, failures: undefined }] };
  };

  test('however many nodes it has, and the next begins when one is over', () => {
    const planner = createCopyPlanner();
    const slots = onNodes(125, 'default');
    const first = [...planner.plan(inputWith(0, slots)).keys()];
    assert.equal(first.length, MAKING_MAX);
    const during = slots.map((slot) => (first.includes(slot.podUid) ? starting(slot) : slot));
    assert.deepEqual([...planner.plan(inputWith(10_000, during)).keys()], first);
    const [over = '', goesOn = ''] = first;
    const after = during.map((slot) => (slot.podUid === over ? { ...slotOf(0), podUid: over, isUsable: false } : slot));
    const next = [...planner.plan(inputWith(20_000, after)).keys()];
    assert.equal(next.length, MAKING_MAX);
    assert.ok(next.includes(goesOn) && !next.includes(over));
  });

  test('and as many in another one', () => {
    const planner = createCopyPlanner();
    const slots = [...onNodes(5, 'default'), ...onNodes(5, 'large', 5)];
    const copies = planner.plan(inputWith(0, slots));
    const pools = slots.filter(({ podUid }) => copies.has(podUid)).map(({ pool }) => pool);
    assert.deepEqual(pools, ['default', 'default', 'large', 'large']);
  });

  test('those that save most', () => {
    const mayHold = (podUid: string, name: string) => name === (['p24', 'p32'].includes(podUid) ? 'n' : 'm');
    const startMs = (name: string) => (name === 'n' ? 90_000 : 45_000);
    const copies = createCopyPlanner().plan({ ...inputWith(0, onNodes(5, 'default'), startMs), mayHold });
    assert.deepEqual([...copies.keys()].sort(), ['p24', 'p32']);
  });
});

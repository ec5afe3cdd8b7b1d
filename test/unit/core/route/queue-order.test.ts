import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { createQueueOrder, type QueueItem } from '../../../../src/core/route/queue-order.ts';

const bounds = { itemsMax: 8, bytesMax: 100 };
const item = (id: string, changes: Partial<QueueItem> = {}): QueueItem => ({
  ...{ id, tenant: 'a', cost: 10, bytes: 1, orderMs: 0 },
  ...changes,
});

type Step =
  | {
      readonly do: 'enter';
      readonly tenant: string;
      readonly cost: number;
      readonly bytes: number;
      readonly orderMs: number;
    }
  | { readonly do: 'take' }
  | { readonly do: 'putBack' | 'remove'; readonly at: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    do: fc.constant('enter' as const),
    tenant: fc.constantFrom('a', 'b', 'c'),
    cost: fc.integer({ min: 0, max: 50 }),
    bytes: fc.integer({ min: 0, max: 60 }),
    orderMs: fc.nat(5),
  }),
  fc.record({ do: fc.constant('take' as const) }),
  fc.record({ do: fc.constantFrom('putBack' as const, 'remove' as const), at: fc.nat(20) }),
);

/** The queue beside a plain model of it: what waits and what is taken. */
function createPair() {
  const order = createQueueOrder<QueueItem>(bounds);
  const waiting = new Map<string, QueueItem>();
  const taken = new Map<string, QueueItem>();
  const held = () => [...waiting.values(), ...taken.values()];
  const ofTenant = (items: Iterable<QueueItem>, tenant: string) =>
    [...items].filter((other) => other.tenant === tenant);
  const bytesOf = (items: readonly QueueItem[]) => items.reduce((sum, { bytes }) => sum + bytes, 0);
  const hasRoom = ({ tenant, bytes }: QueueItem) => {
    const hasPlace = waiting.size < 8 && ofTenant(waiting.values(), tenant).length < 4;
    return hasPlace && bytesOf(ofTenant(held(), tenant)) + bytes <= 50 && bytesOf(held()) + bytes <= 100;
  };
  const enter = (entering: QueueItem) => {
    const fits = hasRoom(entering);
    assert.equal(order.enter(entering), fits);
    if (fits) waiting.set(entering.id, entering);
  };
  const take = () => {
    const expected = order.peek();
    const next = order.take();
    assert.equal(next, expected);
    assert.equal(next === undefined, waiting.size === 0);
    if (next === undefined) return;
    assert.ok(waiting.delete(next.id));
    taken.set(next.id, next);
  };
  const putBack = (id: string) => {
    const back = taken.get(id);
    assert.equal(order.putBack(id), back !== undefined);
    if (back !== undefined && taken.delete(id)) waiting.set(id, back);
  };
  const remove = (id: string) => {
    assert.equal(order.remove(id), waiting.delete(id) || taken.delete(id));
  };
  const apply = (each: Step, index: number) => {
    if (each.do === 'enter') enter(item(`i${index}`, each));
    else if (each.do === 'take') take();
    else {
      const id = held()[each.at]?.id ?? 'nobody';
      if (each.do === 'putBack') putBack(id);
      else remove(id);
    }
  };
  const check = () => {
    assert.deepEqual(order.held(), { items: held().length, bytes: bytesOf(held()) });
    assert.ok(order.held().bytes <= bounds.bytesMax);
    assert.equal(order.waitingCount(), waiting.size);
    assert.deepEqual(new Set(order.waiting().map(({ id }) => id)), new Set(waiting.keys()));
    for (const id of waiting.keys()) assert.ok(order.isWaiting(id));
    for (const id of taken.keys()) assert.equal(order.isWaiting(id), false);
  };
  return { apply, check };
}

describe('the order of a queue', () => {
  test('never exceeds its bounds and never loses or doubles an item, whatever happens', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const pair = createPair();
        for (const [index, each] of steps.entries()) {
          pair.apply(each, index);
          pair.check();
        }
      }),
      { numRuns: 300 },
    );
  });

  test('what is taken leaves room for others to wait; its bytes still count', () => {
    const order = createQueueOrder<QueueItem>(bounds);
    for (let index = 0; index < 40; index += 1) {
      assert.ok(order.enter(item(`taken${index}`)), `item ${index}`);
      order.take();
    }
    const waiting = Array.from({ length: 6 }, (_, index) => order.enter(item(`waiting${index}`)));
    assert.deepEqual(waiting, [true, true, true, true, false, false]);
    assert.equal(order.enter(item('large', { tenant: 'b', bytes: 50 })), true);
    assert.equal(order.enter(item('too large', { tenant: 'c', bytes: 7 })), false);
  });

  test('inside a tenant the earliest deadline goes first, and who came back before all', () => {
    const order = createQueueOrder<QueueItem>(bounds);
    for (const [id, orderMs] of [
      ['late', 9],
      ['soon', 1],
      ['soon too', 1],
    ] as const) {
      order.enter(item(id, { orderMs }));
    }
    assert.equal(order.oldest()?.id, 'late');
    const first = order.take();
    assert.equal(first?.id, 'soon');
    order.enter(item('first', { orderMs: 0 }));
    order.putBack('soon');
    assert.deepEqual([order.take()?.id, order.take()?.id, order.take()?.id], ['soon', 'first', 'soon too']);
  });

  test('tenants share by tokens, not by requests', () => {
    const order = createQueueOrder<QueueItem>({ itemsMax: 1000, bytesMax: 1e6 });
    for (let index = 0; index < 100; index += 1) {
      order.enter(item(`big${index}`, { tenant: 'big', cost: 100 }));
      order.enter(item(`small${index}`, { tenant: 'small', cost: 10 }));
    }
    let bigTokens = 0;
    let smallTokens = 0;
    for (let taken = 0; taken < 55; taken += 1) {
      if (order.take()?.tenant === 'big') bigTokens += 100;
      else smallTokens += 10;
    }
    assert.ok(Math.abs(bigTokens - smallTokens) <= 100, `${bigTokens} and ${smallTokens}`);
  });

  test('who was idle is not owed the past', () => {
    const order = createQueueOrder<QueueItem>({ itemsMax: 1000, bytesMax: 1e6 });
    for (let index = 0; index < 50; index += 1) order.enter(item(`a${index}`));
    for (let taken = 0; taken < 25; taken += 1) order.take();
    for (let index = 0; index < 50; index += 1) order.enter(item(`b${index}`, { tenant: 'b' }));
    const next = Array.from({ length: 10 }, () => order.take()?.tenant);
    assert.ok(next.includes('a') && next.includes('b'), next.join());
  });
});

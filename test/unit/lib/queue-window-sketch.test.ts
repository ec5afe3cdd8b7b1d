// The three that keep figures in bounded memory, against plain arrays that keep everything.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type BoundedQueue, createBoundedQueue } from '../../../src/lib/bounded-queue.ts';
import { createSketch } from '../../../src/lib/quantile.ts';
import { createRng } from '../../../src/lib/rng.ts';
import { createWindow } from '../../../src/lib/window.ts';

type QueueStep = { readonly offer: number } | 'take' | 'drain';

/** Does the same to the queue and to an array, and compares what both say. */
function step(queue: BoundedQueue<number>, model: number[], action: QueueStep): void {
  if (action === 'take') assert.equal(queue.take(), model.shift());
  else if (action === 'drain') assert.deepEqual(queue.drain(), model.splice(0));
  else {
    const fits = model.length < queue.capacity;
    assert.equal(queue.offer(action.offer), fits);
    if (fits) model.push(action.offer);
  }
  assert.equal(queue.size, model.length);
  assert.equal(queue.peek(), model[0]);
}

describe('the bounded queue', () => {
  test('is a queue that refuses what does not fit', () => {
    const steps = fc.oneof(
      fc.record({ offer: fc.integer() }),
      fc.constant('take' as const),
      fc.constant('drain' as const),
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), fc.array(steps, { maxLength: 200 }), (capacity, actions) => {
        const queue = createBoundedQueue<number>(capacity);
        const model: number[] = [];
        for (const action of actions) step(queue, model, action);
      }),
    );
    assert.throws(() => createBoundedQueue(0), RangeError);
  });
});

describe('the sliding window', () => {
  test('agrees with a list of everything that came', () => {
    const came = fc.array(fc.record({ waitMs: fc.nat(400), value: fc.integer({ min: -50, max: 50 }) }), {
      maxLength: 60,
    });
    fc.assert(
      fc.property(came, fc.nat(1500), (events, laterMs) => {
        const stepMs = 100;
        const window = createWindow({ spanMs: 1000, stepMs });
        let nowMs = 12_345;
        const all: { atMs: number; value: number }[] = [];
        for (const { waitMs, value } of events) {
          nowMs += waitMs;
          window.add(nowMs, value);
          all.push({ atMs: nowMs, value });
        }
        nowMs += laterMs;
        const oldest = Math.floor(nowMs / stepMs) - 9;
        const inside = all.filter(({ atMs }) => Math.floor(atMs / stepMs) >= oldest).map(({ value }) => value);
        assert.deepEqual(window.read(nowMs), {
          count: inside.length,
          sum: inside.reduce((total, value) => total + value, 0),
          max: inside.length === 0 ? 0 : Math.max(...inside),
        });
        assert.equal(
          window.steps(nowMs).reduce((total, sum) => total + sum, 0),
          window.read(nowMs).sum,
        );
      }),
    );
  });

  test('steps are in order, the running one last', () => {
    const window = createWindow({ spanMs: 300, stepMs: 100 });
    for (const [atMs, value] of [
      [0, 1],
      [150, 2],
      [250, 3],
      [299, 4],
    ] as const)
      window.add(atMs, value);
    assert.deepEqual(window.steps(299), [1, 2, 7]);
    assert.deepEqual(window.steps(300), [2, 7, 0]);
    window.add(100, 5);
    assert.deepEqual(window.steps(300), [2, 7, 5], 'a late one counts as now');
    assert.throws(() => createWindow({ spanMs: 250, stepMs: 100 }), RangeError);
  });
});

describe('the quantile sketch', () => {
  const ranks = [0, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 1];

  function assertClose(values: readonly number[], quantile: (rank: number) => number | undefined, error: number): void {
    const sorted = [...values].sort((a, b) => a - b);
    for (const rank of ranks) {
      const exact = sorted[Math.floor(rank * (sorted.length - 1))] ?? Number.NaN;
      const found = quantile(rank) ?? Number.NaN;
      assert.ok(Math.abs(found - exact) <= error * exact + 1e-9, `${rank}: ${found} is not ${exact}`);
    }
  }

  test('every quantile is off by at most its relative error', () => {
    const value = fc.oneof(fc.double({ min: 0, max: 1e6, noNaN: true }), fc.constant(0));
    fc.assert(
      fc.property(
        fc.array(value, { minLength: 1, maxLength: 300 }),
        fc.constantFrom(0.01, 0.05),
        (values, relativeError) => {
          const sketch = createSketch({ relativeError });
          for (const one of values) sketch.add(one);
          assert.equal(sketch.count, values.length);
          assertClose(values, sketch.quantile, relativeError * 1.000001);
        },
      ),
    );
  });

  test('two sketches merge into what one would have been, through JSON', () => {
    const rng = createRng(5);
    const values = Array.from({ length: 2000 }, () => 1000 * rng.next() ** 4);
    const [left, right, whole] = [createSketch(), createSketch(), createSketch()];
    for (const [at, value] of values.entries()) {
      whole.add(value);
      (at % 3 === 0 ? left : right).add(value);
    }
    const merged = createSketch({ state: JSON.parse(JSON.stringify(left.state())) });
    merged.merge(JSON.parse(JSON.stringify(right.state())));
    assert.deepEqual(merged.state(), whole.state());
    assertClose(values, merged.quantile, 0.0101);
    merged.merge(createSketch().state());
    assert.deepEqual(merged.state(), whole.state(), 'an empty one adds nothing');
  });

  test('memory is bounded, and the upper quantiles stay exact', () => {
    const sketch = createSketch({ relativeError: 0.001 });
    const values = Array.from({ length: 5000 }, (_, at) => 1.005 ** at);
    for (const value of values) sketch.add(value);
    assert.ok(sketch.state().bins.length <= 1024);
    assert.ok(JSON.stringify(sketch.state()).length < 32 * 1024);
    const p99 = values[Math.floor(0.99 * 4999)] ?? 0;
    assert.ok(Math.abs((sketch.quantile(0.99) ?? 0) / p99 - 1) <= 0.0011);
  });

  test('refuses what it cannot hold', () => {
    const sketch = createSketch();
    assert.equal(sketch.quantile(0.5), undefined);
    for (const value of [-1, Number.NaN, Number.POSITIVE_INFINITY]) assert.throws(() => sketch.add(value), RangeError);
    assert.throws(() => sketch.merge(createSketch({ relativeError: 0.02 }).state()), RangeError);
    assert.throws(() => createSketch({ relativeError: 0 }), RangeError);
  });
});

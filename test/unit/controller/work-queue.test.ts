import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { createWorkQueue, done, type Outcome, type WorkKey } from '../../../src/controller/work-queue.ts';
import { createManualClock } from '../../../src/lib/clock.ts';
import { silentLog } from '../../../src/lib/log.ts';

/** A queue whose reconciles end when the test says so. */
function setUp(concurrencyMax = 2) {
  const clock = createManualClock();
  const running = new Map<string, (outcome: Outcome) => void>();
  const started: string[] = [];
  const outcomes: string[] = [];
  const queue = createWorkQueue({
    reconcile({ name }: WorkKey, signal) {
      assert.equal(running.has(name), false, 'a key is never worked on twice at the same time');
      started.push(name);
      return new Promise<Outcome>((resolve, reject) => {
        running.set(name, resolve);
        signal.addEventListener('abort', () => reject(new Error('aborted')));
      });
    },
    onOutcome: ({ name }, { type }) => void outcomes.push(`${name} ${type}`),
    concurrencyMax,
    clock,
    rng: { next: () => 0.5, below: () => 0 },
    log: silentLog,
  });
  const end = async (name: string, outcome: Outcome = done) => {
    const resolve = running.get(name);
    running.delete(name);
    resolve?.(outcome);
    await setImmediate();
  };
  return { clock, queue, running, started, outcomes, end };
}

const names = fc.constantFrom('a', 'b', 'c', 'd');
const operations = fc.oneof(fc.record({ add: names }), fc.record({ end: names, failed: fc.boolean() }));
type Operation = typeof operations extends fc.Arbitrary<infer One> ? One : never;

describe('the work queue', () => {
  test('keeps a key once, and works on it again when it came during the work', async () => {
    const { queue, started, end } = setUp();
    queue.add('k', 'a');
    queue.add('k', 'a');
    queue.add('k', 'a');
    assert.deepEqual(started, ['a']);
    await end('a');
    assert.deepEqual(started, ['a', 'a']);
    await end('a');
    assert.deepEqual(started, ['a', 'a']);
  });

  test('works on no more keys at once than it may', async () => {
    const { queue, started, end } = setUp(2);
    for (const name of ['a', 'b', 'c']) queue.add('k', name);
    assert.deepEqual(started, ['a', 'b']);
    await end('b');
    assert.deepEqual(started, ['a', 'b', 'c']);
  });

  test('comes back after a failure with a growing wait, and at once when it is added', async () => {
    const { queue, started, end, clock, outcomes } = setUp();
    queue.add('k', 'a');
    await end('a', { type: 'failed', sentence: 'no' });
    clock.advance(199);
    assert.equal(started.length, 1);
    clock.advance(1);
    assert.equal(started.length, 2, '100 ms and half of 200 ms');
    await end('a', { type: 'failed', sentence: 'no' });
    clock.advance(200);
    assert.equal(started.length, 2);
    clock.advance(100);
    assert.equal(started.length, 3, '100 ms and half of 400 ms');
    await end('a', { type: 'failed', sentence: 'no' });
    queue.add('k', 'a');
    assert.equal(started.length, 4);
    await end('a');
    assert.equal(clock.pendingTimers(), 0);
    assert.deepEqual(outcomes, ['a failed', 'a failed', 'a failed', 'a done']);
  });

  test('waits as long as the server says', async () => {
    const { queue, started, end, clock } = setUp();
    queue.add('k', 'a');
    await end('a', { type: 'failed', sentence: 'busy', retryAfterMs: 5000 });
    clock.advance(4999);
    assert.equal(started.length, 1);
    clock.advance(1);
    assert.equal(started.length, 2);
  });

  test('looks again when it is told to', async () => {
    const { queue, started, end, clock } = setUp();
    queue.add('k', 'a');
    await end('a', { type: 'again', afterMs: 1000 });
    clock.advance(1000);
    assert.equal(started.length, 2);
    await end('a', { type: 'conflict' });
    clock.advance(25);
    assert.equal(started.length, 3);
  });

  test('stops: what runs is aborted, nothing is left', async () => {
    const { queue, clock, started, end } = setUp();
    queue.add('k', 'waits');
    await end('waits', { type: 'again', afterMs: 1000 });
    queue.add('k', 'runs');
    await queue.stop();
    assert.equal(clock.pendingTimers(), 0);
    queue.add('k', 'late');
    assert.deepEqual(started, ['waits', 'runs']);
  });

  test('every key that is added is worked on after it was added', async () => {
    await fc.assert(fc.asyncProperty(fc.array(operations, { maxLength: 40 }), runOperations), { numRuns: 50 });
  });
});

async function runOperations(history: readonly Operation[]): Promise<void> {
  const lab = setUp();
  const addedAt = new Map<string, number>();
  for (const one of history) {
    if ('add' in one) {
      addedAt.set(one.add, lab.started.length);
      lab.queue.add('k', one.add);
    } else await lab.end(one.end, one.failed ? { type: 'failed', sentence: 'no' } : done);
  }
  await endAll(lab);
  for (const [name, at] of addedAt) assert.ok(lab.started.lastIndexOf(name) >= at, `${name} was worked on`);
}

async function endAll({ running, clock, end }: ReturnType<typeof setUp>): Promise<void> {
  for (let left = 200; left > 0 && (running.size > 0 || clock.pendingTimers() > 0); left -= 1) {
    for (const name of [...running.keys()]) await end(name);
    clock.advance(100_000);
  }
}

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { NEWS_REST_MS_MAX } from '../../../src/controller/bounds.ts';
import { createWorkQueue, done, type Outcome, type WorkKey } from '../../../src/controller/work-queue.ts';
import { createManualClock } from '../../../src/lib/clock.ts';
import { silentLog } from '../../../src/lib/log.ts';

/** A queue whose reconciles end when the test says so. */
function setUp(concurrencyMax = 2, kindMax: Readonly<Record<string, number>> = {}) {
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
    kindMax,
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
  /** So often that it would wait for the longest time. */
  const failOften = async (name: string) => {
    queue.add('k', name);
    for (let time = 0; time < 9; time += 1) {
      await end(name, { type: 'failed', sentence: 'no' });
      clock.advance(60_000);
    }
    await end(name, { type: 'failed', sentence: 'no' });
  };
  return { clock, queue, running, started, outcomes, end, failOften };
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

  test('works on no more keys at once when each adds another as it begins, however many wait', async () => {
    let [running, most] = [0, 0];
    const queue = createWorkQueue({
      async reconcile({ kind, name }: WorkKey) {
        running += 1;
        most = Math.max(most, running);
        if (kind === 'Model') queue.add('Pin', name);
        await setImmediate();
        running -= 1;
        return done;
      },
      onOutcome: () => {},
      concurrencyMax: 2,
      clock: createManualClock(),
      rng: { next: () => 0.5, below: () => 0 },
      log: silentLog,
    });
    for (let at = 0; at < 50; at += 1) queue.add('Model', `m${at}`);
    while (running > 0) await setImmediate();
    assert.equal(most, 2);
    await queue.stop();
  });

  test('leaves room beside a kind that is slow: of it no more at once than it may, in their order', async () => {
    const { queue, started, end } = setUp(3, { slow: 2 });
    for (const name of ['s1', 's2', 's3', 's4']) queue.add('slow', name);
    queue.add('fast', 'f1');
    queue.add('fast', 'f2');
    assert.deepEqual(started, ['s1', 's2', 'f1']);
    await end('f1');
    assert.deepEqual(started.slice(3), ['f2']);
    await end('f2');
    assert.equal(started.length, 4);
    await end('s2', { type: 'failed', sentence: 'no' });
    assert.deepEqual(started.slice(4), ['s3']);
    await end('s1');
    assert.deepEqual(started.slice(5), ['s4']);
  });

  test('comes back after a failure with a growing wait', async () => {
    const { queue, started, end, clock, outcomes } = setUp();
    queue.add('k', 'a');
    await end('a', { type: 'failed', sentence: 'no' });
    clock.advance(199);
    assert.equal(started.length, 1);
    clock.advance(1);
    assert.equal(started.length, 2, '100 ms and half of 200 ms');
    await end('a', { type: 'failed', sentence: 'no' });
    clock.advance(299);
    assert.equal(started.length, 2);
    clock.advance(1);
    assert.equal(started.length, 3, '100 ms and half of 400 ms');
    await end('a');
    assert.equal(clock.pendingTimers(), 0);
    assert.deepEqual(outcomes, ['a failed', 'a failed', 'a done']);
  });

  test('of a failing reconcile that is brought back by what it writes itself rests longer and longer', async () => {
    const { queue, started, end, clock } = setUp();
    queue.add('k', 'a');
    for (let ms = 0; ms < 60_000; ms += 10) {
      // The write comes back once while it runs and once after it.
      queue.add('k', 'a');
      await end('a', { type: 'failed', sentence: 'no' });
      queue.add('k', 'a');
      clock.advance(10);
    }
    assert.ok(started.length >= 12 && started.length <= 22, `${started.length} times in a minute`);
  });

  test('acts on news of what failed within seconds, however long the wait has grown', async () => {
    const { queue, started, clock, failOften } = setUp();
    await failOften('a');
    queue.add('k', 'a');
    clock.advance(NEWS_REST_MS_MAX - 1);
    assert.equal(started.length, 10);
    clock.advance(1);
    assert.equal(started.length, 11);
  });

  test('acts at once on what a person changed, and what failed before does not count', async () => {
    const { queue, started, end, clock, failOften } = setUp();
    await failOften('a');
    queue.renew('k', 'a');
    queue.add('k', 'a');
    assert.equal(started.length, 11);
    queue.renew('k', 'a');
    queue.add('k', 'a');
    await end('a', { type: 'failed', sentence: 'no' });
    assert.equal(started.length, 12, 'also when it was changed during the work');
    await end('a', { type: 'failed', sentence: 'no' });
    clock.advance(300);
    assert.equal(started.length, 13);
    queue.renew('k', 'b');
    assert.equal(started.length, 13, 'nobody asked for b');
  });

  test('waits as long as the server says', async () => {
    const { queue, started, end, clock } = setUp();
    queue.add('k', 'a');
    await end('a', { type: 'failed', sentence: 'busy', retryAfterMs: 5000 });
    clock.advance(4999);
    queue.add('k', 'a');
    assert.equal(started.length, 1, 'whatever is heard of it meanwhile');
    clock.advance(1);
    assert.equal(started.length, 2);
    await end('a', { type: 'failed', sentence: 'busy', retryAfterMs: 40_000 });
    queue.add('k', 'a');
    clock.advance(39_999);
    assert.equal(started.length, 2);
    clock.advance(1);
    assert.equal(started.length, 3);
    await end('a', { type: 'failed', sentence: 'busy', retryAfterMs: 86_400_000 });
    queue.add('k', 'a');
    clock.advance(60_000);
    assert.equal(started.length, 4, 'and no longer than a minute where there is news');
  });

  test('comes back soon after a conflict, and more and more slowly after more of them', async () => {
    const { queue, started, end, clock, running } = setUp();
    queue.add('k', 'a');
    await end('a', { type: 'conflict' });
    clock.advance(25);
    assert.equal(started.length, 2);
    await end('a', { type: 'conflict' });
    clock.advance(49);
    queue.add('k', 'a');
    assert.equal(started.length, 2);
    clock.advance(1);
    assert.equal(started.length, 3, '25 ms and half of 50 ms');
    for (let ms = 0; ms < 90_000; ms += 5) {
      await end('a', { type: 'conflict' });
      clock.advance(5);
    }
    // Half of a second and 25 ms: the gap between the writes of others has to be found.
    assert.ok(started.length > 150 && started.length < 200, `${started.length} times while a watch was silent`);
    clock.advance(2000);
    await end('a');
    queue.add('k', 'a');
    await end('a');
    queue.add('k', 'a');
    await end('a', { type: 'conflict' });
    queue.add('k', 'a');
    assert.equal(running.has('a'), true, 'the news may be what the cache lacked');
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

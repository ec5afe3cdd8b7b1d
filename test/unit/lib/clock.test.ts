// Time by hand, and the few functions that rest on it. The system clock is only looked at for direction.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { createManualClock, deadlineSignal, delay, every, systemClock } from '../../../src/lib/clock.ts';

describe('the manual clock', () => {
  test('fires in the order of time, then of setting', () => {
    const times = fc.array(fc.nat(1000), { minLength: 1, maxLength: 50 });
    fc.assert(
      fc.property(times, (delays) => {
        const clock = createManualClock();
        const fired: number[] = [];
        for (const [at, delayMs] of delays.entries()) clock.after(delayMs, () => fired.push(at));
        clock.advance(1000);
        const expected = [...delays.keys()].sort((a, b) => (delays[a] ?? 0) - (delays[b] ?? 0) || a - b);
        assert.deepEqual(fired, expected);
        assert.equal(clock.pendingTimers(), 0);
      }),
    );
  });

  test('a timer set while firing is honoured inside the span', () => {
    const clock = createManualClock(0);
    const seen: number[] = [];
    clock.after(10, () => clock.after(5, () => seen.push(clock.nowMs())));
    clock.advance(14);
    assert.deepEqual(seen, []);
    clock.advance(1);
    assert.deepEqual(seen, [15]);
    assert.equal(clock.wallMs(), 15);
  });

  test('cancelled timers do not fire, and fireNext says whether there was one', () => {
    const clock = createManualClock();
    const timer = clock.after(5, () => assert.fail('fired'));
    timer.cancel();
    timer.cancel();
    assert.equal(clock.fireNext(), false);
    let fired = false;
    clock.after(7, () => {
      fired = true;
    });
    assert.equal(clock.fireNext(), true);
    assert.ok(fired);
    assert.equal(clock.nowMs(), 7);
  });
});

describe('delay', () => {
  test('resolves at its time and leaves nothing behind', async () => {
    const clock = createManualClock();
    const controller = new AbortController();
    const waited = delay(clock, 10, controller.signal);
    clock.advance(10);
    await waited;
    assert.equal(clock.pendingTimers(), 0);
  });

  test('rejects with the reason of the signal and frees the timer', async () => {
    const clock = createManualClock();
    const controller = new AbortController();
    const waited = delay(clock, 10, controller.signal);
    controller.abort(new Error('no longer wanted'));
    await assert.rejects(waited, /no longer wanted/);
    assert.equal(clock.pendingTimers(), 0);
    await assert.rejects(delay(clock, 10, controller.signal), /no longer wanted/);
  });
});

describe('every', () => {
  test('ticks at its interval until cancelled, even from inside the tick', () => {
    const clock = createManualClock();
    let ticks = 0;
    const timer = every(clock, 10, () => {
      ticks += 1;
      if (ticks === 3) timer.cancel();
    });
    clock.advance(100);
    assert.equal(ticks, 3);
    assert.equal(clock.pendingTimers(), 0);
  });
});

describe('deadlineSignal', () => {
  test('aborts at its time with its reason', () => {
    const clock = createManualClock();
    const { signal } = deadlineSignal(clock, 10, { reason: new Error('too late') });
    clock.advance(9);
    assert.equal(signal.aborted, false);
    clock.advance(1);
    assert.match(String(signal.reason), /too late/);
  });

  test('follows its parent, and cancel frees timer and listener', () => {
    const clock = createManualClock();
    const parent = new AbortController();
    const followed = deadlineSignal(clock, 10, { reason: new Error('too late'), parent: parent.signal });
    const freed = deadlineSignal(clock, 10, { reason: new Error('too late'), parent: parent.signal });
    freed.cancel();
    parent.abort(new Error('gone'));
    assert.match(String(followed.signal.reason), /gone/);
    assert.equal(freed.signal.aborted, false);
    followed.cancel();
    assert.equal(clock.pendingTimers(), 0);
    assert.ok(deadlineSignal(clock, 10, { reason: new Error('a'), parent: parent.signal }).signal.aborted);
  });
});

test('the system clock goes forward and fires', async () => {
  const startMs = systemClock.nowMs();
  await delay(systemClock, 1);
  assert.ok(systemClock.nowMs() > startMs);
  systemClock.after(60_000, () => {}, { background: true }).cancel();
});

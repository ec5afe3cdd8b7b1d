// The simulator's time and the rate that transfers of one node share.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createEventQueue } from '../../../src/sim/event-queue.ts';
import { createNodeChannel } from '../../../src/sim/node.ts';

test('events come in order of time, equal ones in the order they were set', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(20), { maxLength: 60 }), (times) => {
      const events = createEventQueue();
      const fired: { timeMs: number; index: number }[] = [];
      for (const [index, timeMs] of times.entries()) events.at(timeMs, () => fired.push({ timeMs, index }));
      while (events.next());
      const expected = times
        .map((timeMs, index) => ({ timeMs, index }))
        .sort((a, b) => a.timeMs - b.timeMs || a.index - b.index);
      assert.deepEqual(fired, expected);
    }),
  );
});

test('what is cancelled never comes, and nothing comes in the past', () => {
  const events = createEventQueue();
  const seen: number[] = [];
  events.at(5, () => {
    events.at(1, () => seen.push(events.nowMs));
  });
  events.at(6, () => seen.push(-1)).cancel();
  while (events.next());
  assert.deepEqual(seen, [5]);
});

test('two transfers go at full rate, four at half of it', () => {
  const times = (count: number) => {
    const events = createEventQueue();
    const channel = createNodeChannel(events, 2);
    const ends: number[] = [];
    for (let index = 0; index < count; index += 1) channel.transfer(1000, () => ends.push(events.nowMs));
    while (events.next());
    return ends;
  };
  assert.deepEqual(times(2), [1000, 1000]);
  assert.deepEqual(times(4), [2000, 2000, 2000, 2000]);
});

test('a transfer that ends early or is cancelled leaves its rate to the others', () => {
  const events = createEventQueue();
  const channel = createNodeChannel(events, 1);
  const ends: Record<string, number> = {};
  channel.transfer(1000, () => {
    ends.long = events.nowMs;
  });
  const cut = channel.transfer(1000, () => {
    ends.cut = events.nowMs;
  });
  events.at(500, () => cut.cancel());
  while (events.next());
  // Half rate for 500 ms, then 750 ms alone.
  assert.deepEqual(ends, { long: 1250 });
  assert.equal(channel.active, 0);
});

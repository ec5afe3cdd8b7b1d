import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { createManualClock } from '../../../../src/lib/clock.ts';
import { createFairSender, type SenderBounds } from '../../../../src/router/ws/fair-sender.ts';
import type { Lane } from '../../../../src/router/ws/lane.ts';
import { createFakeSocket, type FakeSocketOptions } from '../../../support/fake-socket.ts';

const bounds: SenderBounds = {
  frameBytesMax: 1000,
  bufferedBytesMax: 2000,
  stallMsMax: 10_000,
  laneBytesMax: 20_000,
  lanesBytesMax: 50_000,
};

function setUp(changes: Partial<SenderBounds> = {}, socketOptions: FakeSocketOptions = {}) {
  const clock = createManualClock();
  const fake = createFakeSocket(socketOptions);
  let stalls = 0;
  const sender = createFairSender({
    ...{ socket: fake.socket, clock, bounds: { ...bounds, ...changes } },
    onStall() {
      stalls += 1;
    },
  });
  const overflowed: string[] = [];
  const lasts: string[] = [];
  const gone: string[] = [];
  const open = (id: string): Lane => {
    const lane: Lane = sender.openLane({
      id,
      onOverflow() {
        overflowed.push(id);
        lane.cutOff({ type: 'error', members: Buffer.from(''), isLast: true });
      },
      onLast: () => lasts.push(id),
    });
    lane.onGone(() => gone.push(id));
    return lane;
  };
  return { ...fake, clock, sender, open, overflowed, lasts, gone, stalls: () => stalls };
}

function push(lane: Lane, fields: object, isLast = false): void {
  lane.push({
    type: isLast ? 'chat.done' : 'chat.chunk',
    members: Buffer.from(`,${JSON.stringify(fields).slice(1, -1)}`),
    isLast,
  });
}

interface Said {
  readonly type: string;
  readonly id: string;
  readonly seq: number;
  readonly n?: number;
}

const said = (messages: readonly string[]): Said[] => messages.map((text) => JSON.parse(text) as Said);

describe('the fair sender', () => {
  test('takes lanes in turns once the reader is behind', () => {
    const { open, messages, read } = setUp();
    const [a, b, c] = [open('a'), open('b'), open('c')];
    // Fills what may wait in the socket: from here on there are turns.
    push(a, { n: 0, pad: 'x'.repeat(3000) });
    for (let n = 1; n <= 3; n += 1) push(a, { n, pad: 'x'.repeat(700) });
    for (let n = 1; n <= 3; n += 1) push(b, { n, pad: 'x'.repeat(700) });
    push(c, { n: 1 });
    assert.equal(messages.length, 1);
    while (messages.length < 8) read();
    assert.equal(
      said(messages)
        .map(({ id, n }) => `${id}${n}`)
        .join(' '),
      'a0 a1 b1 c1 a2 b2 a3 b3',
    );
  });

  test('cuts long messages into frames of bounded size, and never mixes two of them', () => {
    const { open, messages, frames } = setUp();
    push(open('a'), { pad: 'ü'.repeat(2000) });
    push(open('b'), { n: 1 });
    assert.ok(frames.every(({ bytes }) => bytes <= 1000));
    assert.deepEqual(
      frames.map(({ fin }) => fin),
      [false, false, false, false, true],
    );
    assert.equal(said(messages)[0]?.id, 'a');
  });

  test('numbers without gaps, also when what waited was dropped', () => {
    const { open, messages, read } = setUp();
    const lane = open('a');
    push(lane, { n: 1, pad: 'x'.repeat(3000) });
    for (let n = 2; n < 9; n += 1) push(lane, { n });
    lane.cutOff({ type: 'error', members: Buffer.from(''), isLast: true });
    push(lane, { n: 9 });
    read();
    assert.deepEqual(
      said(messages).map(({ type, seq }) => [type, seq]),
      [
        ['chat.chunk', 1],
        ['error', 2],
      ],
    );
  });

  test('a lane is free when its last event is taken, and gone when it has left', () => {
    const { open, read, lasts, gone } = setUp();
    push(open('a'), {}, true);
    assert.deepEqual([lasts, gone], [['a'], []]);
    read();
    assert.deepEqual(gone, ['a']);
  });

  test('says once that a reader stalls, and not when it goes on', () => {
    const { open, read, clock, stalls, sender } = setUp();
    const lane = open('a');
    push(lane, { pad: 'x'.repeat(3000) });
    clock.advance(9999);
    read(2000);
    clock.advance(10_000);
    assert.equal(stalls(), 0);
    push(lane, { pad: 'x'.repeat(3000) });
    push(lane, { n: 1 });
    clock.advance(10_000);
    assert.equal(stalls(), 1);
    sender.stop();
    assert.equal(clock.pendingTimers(), 0);
  });

  for (const inBatches of [false, true]) {
    test(`a reader that goes on is not a stall, however long the backlog stands (in batches: ${inBatches})`, () => {
      const real = { frameBytesMax: 16_384, bufferedBytesMax: 1_048_576, laneBytesMax: 4e6, lanesBytesMax: 4e6 };
      const { open, read, clock, stalls, sender } = setUp(real, { inBatches });
      const lane = open('a');
      for (let n = 0; n < 200; n += 1) push(lane, { n, pad: 'x'.repeat(10_000) });
      // 20 kB/s, with more than the mark waiting nearly all the time.
      for (let second = 0; second < 45; second += 1) {
        clock.advance(1000);
        read(20_000);
      }
      assert.equal(stalls(), 0);
      clock.advance(10_000);
      assert.equal(stalls(), 1);
      sender.stop();
    });
  }

  test('what is on its way leaves after a stop as well', () => {
    const { open, messages, sender } = setUp({ bufferedBytesMax: 200_000, laneBytesMax: 1e6, lanesBytesMax: 1e6 });
    const lane = open('a');
    for (let n = 0; n < 10; n += 1) push(lane, { n, pad: 'x'.repeat(10_000) });
    assert.ok(messages.length < 10);
    sender.stop();
    assert.equal(messages.length, 10);
  });

  test('a lane that holds too much overflows, and so does the fullest when all hold too much', () => {
    const one = setUp();
    const lane = one.open('a');
    for (let n = 0; n < 40; n += 1) push(lane, { pad: 'x'.repeat(1000) });
    assert.deepEqual(one.overflowed, ['a']);
    const many = setUp({ laneBytesMax: 1e9 });
    const [small, large] = [many.open('small'), many.open('large')];
    for (let n = 0; n < 60; n += 1) push(large, { pad: 'x'.repeat(800) });
    for (let n = 0; n < 20; n += 1) push(small, { pad: 'x'.repeat(800) });
    assert.deepEqual(many.overflowed, ['large']);
  });

  test('notices go first, and there is a bound on them', () => {
    const { open, sender, messages, read } = setUp();
    push(open('a'), { pad: 'x'.repeat(3000) });
    push(open('b'), { n: 1 });
    let taken = 0;
    while (sender.notify('{"type":"error"}')) taken += 1;
    assert.equal(taken, 256);
    read();
    assert.equal(said(messages)[1]?.type, 'error');
  });

  test('after a stop nothing is sent, and every lane is gone', () => {
    const { open, sender, messages, gone, read } = setUp();
    const lane = open('a');
    push(lane, { pad: 'x'.repeat(3000) });
    push(lane, { n: 2 });
    sender.stop();
    push(lane, { n: 3 });
    read();
    assert.deepEqual([messages.length, gone], [1, ['a']]);
    open('late');
    assert.deepEqual(gone, ['a', 'late']);
  });

  test('whatever the readers and writers do, order and bounds hold', () => {
    const step = fc.record({
      kind: fc.constantFrom('push', 'push', 'push', 'read', 'end'),
      lane: fc.nat(4),
      bytes: fc.nat(4000),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const { open, messages, frames, read, socket } = setUp();
        const lanes = ['a', 'b', 'c', 'd', 'e'].map(open);
        for (const [n, { kind, lane, bytes }] of steps.entries()) {
          if (kind === 'read') read(bytes);
          else push(lanes[lane]!, { n, pad: 'x'.repeat(bytes) }, kind === 'end');
          // One message beyond the bound at most.
          assert.ok(socket.bufferedAmount <= bounds.bufferedBytesMax + 4128);
        }
        while (socket.bufferedAmount > 0) read();
        assert.ok(frames.every(({ bytes }) => bytes <= bounds.frameBytesMax));
        for (const mine of Map.groupBy(said(messages), ({ id }) => id).values()) assertInOrder(mine);
      }),
    );
  });
});

/** Numbered from 1 without gaps, in the order of the pushes, nothing after the last one. */
function assertInOrder(events: readonly Said[]): void {
  assert.deepEqual(
    events.map(({ seq }) => seq),
    events.map((_, index) => index + 1),
  );
  const order = events.flatMap(({ n }) => n ?? []);
  assert.deepEqual(
    order,
    [...order].sort((one, other) => one - other),
  );
  assert.ok(events.slice(0, -1).every(({ type }) => type === 'chat.chunk'));
}

import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { createManualClock, type ManualClock } from '../../../src/lib/clock.ts';
import { createDepartures, type Departures } from '../../../src/router/upstream/departures.ts';

describe('a slot that has left the table while a request is there', () => {
  let clock: ManualClock;
  let departures: Departures;
  let dialled: string[];
  let isThere: boolean;
  let lost: string[];
  beforeEach(() => {
    clock = createManualClock();
    dialled = [];
    lost = [];
    isThere = false;
    const dial = async (address: string) => {
      dialled.push(address);
      return isThere;
    };
    departures = createDepartures({ clock, dial });
    departures.keepOnly(new Set(['a:1', 'b:1']));
  });
  const watch = (address: string) => departures.watch(address, () => lost.push(address));
  /** What a dialled slot says is known in the next turn. */
  const pass = async (times: number) => {
    for (let turn = 0; turn < times; turn += 1) {
      await setImmediate();
      clock.advance(2000);
    }
    await setImmediate();
  };

  test('is lost when it takes no connections twice in a row, for every request that is there', async () => {
    watch('a:1');
    watch('a:1');
    watch('b:1');
    departures.keepOnly(new Set(['b:1']));
    await setImmediate();
    assert.deepEqual([dialled, lost], [['a:1'], []]);
    await pass(5);
    assert.deepEqual(
      [dialled, lost],
      [
        ['a:1', 'a:1'],
        ['a:1', 'a:1'],
      ],
    );
    assert.equal(clock.pendingTimers(), 0);
  });

  test('keeps its requests while it takes connections, and with one failure between', async () => {
    isThere = true;
    watch('a:1');
    departures.keepOnly(new Set());
    await pass(10);
    isThere = false;
    await pass(1);
    isThere = true;
    await pass(5);
    assert.ok(dialled.length > 15, `${dialled.length}`);
    assert.deepEqual(lost, []);
  });

  test('is left alone when it is back, when its last request has ended, and at the end', async () => {
    isThere = true;
    const leave = watch('a:1');
    const leaveAsWell = watch('a:1');
    departures.keepOnly(new Set());
    await pass(1);
    departures.keepOnly(new Set(['a:1']));
    assert.equal(clock.pendingTimers(), 0);
    departures.keepOnly(new Set());
    await pass(1);
    leave();
    assert.equal(clock.pendingTimers(), 1);
    leaveAsWell();
    assert.equal(clock.pendingTimers(), 0);
    watch('b:1');
    departures.keepOnly(new Set());
    await pass(1);
    departures.stop();
    assert.equal(clock.pendingTimers(), 0);
    assert.deepEqual(lost, []);
  });
});

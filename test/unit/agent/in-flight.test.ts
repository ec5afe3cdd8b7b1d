import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createInFlight, RequestCut } from '../../../src/agent/in-flight.ts';

test('in flight: exact, and released once', async () => {
  const counts: number[] = [];
  const flights = createInFlight(() => counts.push(flights.count()));
  const first = flights.board();
  const second = flights.board();
  let isEmpty = false;
  const empty = flights.whenEmpty().then(() => {
    isEmpty = true;
  });
  first.release();
  first.release();
  assert.equal(flights.count(), 1);
  assert.equal(isEmpty, false);
  flights.cutAll(new RequestCut('draining', 'it is over'));
  assert.equal(first.cut.aborted, false);
  assert.equal(second.cut.reason.code, 'draining');
  second.release();
  await empty;
  assert.deepEqual(counts, [1, 2, 1, 0]);
  await flights.whenEmpty();
});

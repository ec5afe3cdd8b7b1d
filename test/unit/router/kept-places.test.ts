import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createManualClock } from '../../../src/lib/clock.ts';
import { createKeptPlaces, placeKey } from '../../../src/router/queue/kept-places.ts';

const body = Buffer.from('{}');

test('a place is taken back once, and for a minute after the time that was told', () => {
  const clock = createManualClock();
  const places = createKeptPlaces(clock);
  const key = placeKey('a', 'demo', body);
  places.keep(key, 42, 1000);
  assert.equal(places.isEmpty(), false);
  assert.equal(places.takeBack(key), 42);
  assert.equal(places.takeBack(key), undefined);
  places.keep(key, 42, 1000);
  clock.advance(60_999);
  assert.equal(places.takeBack(key), 42);
  places.keep(key, 42, 1000);
  clock.advance(61_000);
  assert.equal(places.takeBack(key), undefined);
});

test('nobody takes the place of another tenant, model or body', () => {
  const keys = [
    placeKey('a', 'demo', body),
    placeKey('b', 'demo', body),
    placeKey('a', 'other', body),
    placeKey('a', 'demo', Buffer.from('{} ')),
  ];
  assert.equal(new Set(keys).size, keys.length);
});

test('no more than ten thousand are kept, the newest', () => {
  const places = createKeptPlaces(createManualClock());
  for (let index = 0; index <= 10_000; index += 1) places.keep(`k${index}`, index, 0);
  assert.equal(places.takeBack('k0'), undefined);
  assert.equal(places.takeBack('k1'), 1);
  assert.equal(places.takeBack('k10000'), 10_000);
});

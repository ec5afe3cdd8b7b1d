// Weeks of a service: made by the seed, with the rate, the clusters and the swing that were asked for.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawService, type ServiceShape } from '../../../src/sim/load/service.ts';

const shape: ServiceShape = {
  clients: 6,
  ratePerSecond: 2,
  days: 7,
  variation: 3,
  daySwing: 0,
  weather: 0,
  ownWeather: 0,
  seed: 3,
};

function draw(changes: Partial<ServiceShape> = {}): number[][] {
  const times: number[][] = Array.from({ length: shape.clients }, () => []);
  drawService({ ...shape, ...changes }, (client, atMs) => times[client]?.push(atMs));
  return times;
}

test('the same seed makes the same requests, in order of time within the span, at about the rate asked for', () => {
  const times = draw();
  assert.deepEqual(draw(), times);
  assert.notDeepEqual(draw({ seed: 4 })[0]?.slice(0, 20), times[0]?.slice(0, 20));
  for (const one of times) {
    assert.ok(one.every((atMs, index) => atMs >= (one[index - 1] ?? 0) && atMs < 7 * 86_400_000));
  }
  const rate = times.flat().length / (7 * 86_400);
  assert.ok(rate > 1.9 && rate < 2.1, `${rate} a second`);
  const ratio = (times[0]?.length ?? 0) / (times[3]?.length ?? 1);
  assert.ok(ratio > 3.6 && ratio < 4.4, `the first client has ${ratio} times as many as the fourth`);
});

test('gaps of both families are clustered as asked', () => {
  // Weekdays alone have one rate.
  const weekdays = draw({ days: 5 });
  for (const client of [0, 1]) {
    const one = weekdays[client] ?? [];
    const gaps = one.slice(1).map((atMs, index) => atMs - (one[index] ?? 0));
    const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
    const variance = gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length;
    const variation = Math.sqrt(variance) / mean;
    assert.ok(variation > 2.7 && variation < 3.3, `client ${client}: ${variation}`);
  }
});

test('nights and weekends have fewer', () => {
  const hours = (times: number[], isIn: (hour: number, day: number) => boolean) =>
    times.filter((atMs) => isIn(Math.floor(atMs / 3_600_000) % 24, Math.floor(atMs / 86_400_000))).length;
  const times = draw({ daySwing: 0.8 }).flat();
  // The phase of each client moves it by a few hours.
  const night = hours(times, (hour, day) => day < 5 && (hour < 3 || hour >= 21));
  const noon = hours(times, (hour, day) => day < 5 && hour >= 9 && hour < 15);
  assert.ok(noon > 2 * night, `${noon} at noon, ${night} at night`);
  const weekday = hours(times, (_hour, day) => day < 5) / 5;
  const weekend = hours(times, (_hour, day) => day >= 5) / 2;
  assert.ok(weekend / weekday > 0.65 && weekend / weekday < 0.85, `${weekend} of ${weekday}`);
});

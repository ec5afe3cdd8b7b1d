import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createReporter } from '../../../src/agent/reporter.ts';
import { createManualClock } from '../../../src/lib/clock.ts';

function start() {
  const clock = createManualClock();
  const sent: number[] = [];
  const reporter = createReporter({ send: () => sent.push(clock.nowMs()), withinMs: 20, everyMs: 1000, clock });
  return { clock, sent, reporter };
}

test('reports: the first change goes out at once, later ones together within 20 ms', () => {
  const { clock, sent, reporter } = start();
  reporter.touch();
  reporter.touch();
  clock.advance(0);
  assert.deepEqual(sent, [0]);
  clock.advance(5);
  reporter.touch();
  clock.advance(5);
  reporter.touch();
  clock.advance(30);
  assert.deepEqual(sent, [0, 20]);
});

test('reports: at a steady pace without changes', () => {
  const { clock, sent, reporter } = start();
  clock.advance(3000);
  assert.deepEqual(sent, [1000, 2000, 3000]);
  reporter.touch();
  reporter.stop();
  clock.advance(3000);
  assert.deepEqual(sent, [1000, 2000, 3000]);
  assert.equal(clock.pendingTimers(), 0);
});

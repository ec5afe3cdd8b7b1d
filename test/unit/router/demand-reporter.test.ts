import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createManualClock } from '../../../src/lib/clock.ts';
import { createDemandReporter } from '../../../src/router/link/demand-reporter.ts';

function createRig() {
  const clock = createManualClock();
  const sent: number[] = [];
  return { clock, sent, reporter: createDemandReporter(clock, () => sent.push(clock.nowMs())) };
}

describe('when the controller hears of the demand', () => {
  test('at once, when it is urgent', () => {
    const { sent, reporter } = createRig();
    reporter.urgent();
    assert.deepEqual(sent, [0]);
  });

  test('urgent ones in a row come 10 ms apart', () => {
    const { clock, sent, reporter } = createRig();
    for (let call = 0; call < 100; call += 1) reporter.urgent();
    clock.advance(500);
    assert.deepEqual(sent, [0, 10]);
  });

  test('changes are sent together, within 100 ms', () => {
    const { clock, sent, reporter } = createRig();
    for (let call = 0; call < 100; call += 1) {
      reporter.changed();
      clock.advance(1);
    }
    clock.advance(100);
    assert.deepEqual(sent, [50, 100]);
  });

  test('each second in any case, and never after stop', () => {
    const { clock, sent, reporter } = createRig();
    clock.advance(3000);
    assert.deepEqual(sent, [1000, 2000, 3000]);
    reporter.changed();
    reporter.stop();
    reporter.urgent();
    clock.advance(5000);
    assert.equal(sent.length, 3);
    assert.equal(clock.pendingTimers(), 0);
  });
});

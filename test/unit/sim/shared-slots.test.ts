// Twelve models on four slots under a Zipf load, beside plain sleeping after a time without requests: the small, exact relative of
// `npm run bench:pool`, which does the same through real processes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateLoad } from '../../../src/sim/load/generate.ts';
import { lruSleepersPolicy } from '../../../src/sim/policy/lru-sleepers.ts';
import { stokerPolicy } from '../../../src/sim/policy/stoker.ts';
import { createScenario } from '../../../src/sim/setup.ts';
import { simRun, simSetup } from '../../support/simulation.ts';

for (const seed of [1, 2, 3]) {
  test(`more come in time on fewer accelerator hours than with a plain idle timeout, seed ${seed}`, async () => {
    const load = generateLoad('zipf', { seed, models: 12, ratePerSecond: 1, spanMs: 900_000 });
    const setup = simSetup({
      profile: 'Size7B',
      slots: 4,
      slotsPerNode: 4,
      sleepersPerSlotMax: 4,
      firstTokenMsMax: 10_000,
    });
    const scenario = createScenario(load, { ...setup, maxAwake: 1 });
    const own = await simRun(scenario, stokerPolicy());
    const plain = await simRun(scenario, lruSleepersPolicy(300_000));
    assert.ok(own.within > plain.within, `${own.within} against ${plain.within} within`);
    assert.ok(own.awakeHours < plain.awakeHours, `${own.awakeHours} h against ${plain.awakeHours} h`);
    assert.ok(own.metBy.Asleep > 0 && own.metBy.Awake > 0, JSON.stringify(own.metBy));
  });
}

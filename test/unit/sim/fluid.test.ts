// The fluid against the simulator that knows single requests: the same load, the same scaler, about the same cost.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FluidLoad, fixedFluid, fluidReplicas, runFluid, stokerFluid } from '../../../src/sim/fluid.ts';
import { generateLoad } from '../../../src/sim/load/generate.ts';
import { staticPolicy } from '../../../src/sim/policy/static.ts';
import { stokerPolicy } from '../../../src/sim/policy/stoker.ts';
import { modelProfiles } from '../../../src/sim/profile.ts';
import { createScenario } from '../../../src/sim/setup.ts';
import { simRun, simSetup } from '../../support/simulation.ts';

const lengths = { promptTokens: 1000, outputTokens: 200 };
const model = { profile: modelProfiles.Size70B, firstTokenMsMax: 5000 };

function bothOf(name: 'step' | 'diurnal', spanMs: number) {
  const drawn = generateLoad(name, { seed: 4, ratePerSecond: 12, spanMs });
  const requests = drawn.requests.map((request) => ({ ...request, ...lengths }));
  const arrivals = new Uint16Array(spanMs / 1000);
  for (const { atMs } of requests) arrivals[Math.floor(atMs / 1000)] = (arrivals[Math.floor(atMs / 1000)] ?? 0) + 1;
  const load: FluidLoad = { arrivals, ...lengths };
  return { scenario: createScenario({ ...drawn, requests }, simSetup({ slots: 30, sleepersPerSlotMax: 8 })), load };
}

for (const name of ['step', 'diurnal'] as const) {
  test(`${name}: the scaler keeps about as much awake, and as many come in time`, async () => {
    const { scenario, load } = bothOf(name, 7_200_000);
    const fluid = runFluid(load, model, stokerFluid(load, model));
    const exact = await simRun(scenario, stokerPolicy());
    const ratio = fluid.awakeHours / exact.awakeHours;
    assert.ok(ratio > 0.9 && ratio < 1.1, `${fluid.awakeHours} h for ${exact.awakeHours} h`);
    assert.ok(Math.abs(fluid.within - exact.within) < 0.01, `${fluid.within} for ${exact.within}`);
  });
}

test('a fixed fleet that is too small misses in both, and costs all of its hours', async () => {
  const { scenario, load } = bothOf('step', 1_800_000);
  const fluid = runFluid(load, model, fixedFluid(2));
  const exact = await simRun(scenario, staticPolicy(2));
  assert.ok(Math.abs(fluid.awakeHours - 1) < 0.01, `${fluid.awakeHours} h`);
  assert.ok(fluid.within < 0.6 && exact.within < 0.6, `${fluid.within} and ${exact.within}`);
});

test('silence costs nothing and is all in time', () => {
  const load = { arrivals: new Uint16Array(600), ...lengths };
  assert.deepEqual(runFluid(load, model, stokerFluid(load, model)), { within: 0, awakeHours: 0, peakAwake: 0 });
});

test('replicas for a rate: the work of a request, at the use that is aimed at', () => {
  // 1000 × 0.091 ms, and 200 steps of (29.5 / 64 + 0.35) ms: 253.19 ms of work; ten a second at a use of 0.82.
  assert.ok(Math.abs(fluidReplicas(10, lengths, model.profile) - 2.5319 / 0.82) < 0.001);
});

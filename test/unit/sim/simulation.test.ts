// Whole runs: the same seed gives the same run, nothing that came is lost whatever breaks, and small cases come out as by hand.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { findStaticFleet, withSlots } from '../../../src/sim/hindsight.ts';
import { generateLoad } from '../../../src/sim/load/generate.ts';
import { parsePolicies, policyCatalogue } from '../../../src/sim/policy/catalogue.ts';
import type { PolicyFactory } from '../../../src/sim/policy/policy.ts';
import { staticFleet, staticPolicy } from '../../../src/sim/policy/static.ts';
import { stokerPolicy } from '../../../src/sim/policy/stoker.ts';
import { replayDecisions } from '../../../src/sim/replay.ts';
import { type Faults, noFaults } from '../../../src/sim/scenario.ts';
import { createScenario } from '../../../src/sim/setup.ts';
import { simRun, simSetup, simTrace } from '../../support/simulation.ts';

const load = (seed = 1, spanMs = 600_000) => generateLoad('zipf', { seed, models: 4, ratePerSecond: 3, spanMs });

const policyOf = (name: string): PolicyFactory => parsePolicies(name)[0]?.factory ?? stokerPolicy();

test('a run is made by its seed alone', async () => {
  const run = (seed: number) =>
    simRun(createScenario(load(), simSetup({ sigma: 0.4, slotsPerNode: 4, seed })), stokerPolicy());
  assert.equal(JSON.stringify(await run(1)), JSON.stringify(await run(1)));
  assert.notEqual(JSON.stringify(await run(1)), JSON.stringify(await run(2)));
});

test('one request on an engine that is awake waits for its prompt only', async () => {
  const scenario = createScenario(simTrace([[0, 1000, 10]]), simSetup());
  const { within, firstTokenMs, awakeHours, metBy } = await simRun(scenario, staticPolicy(1));
  assert.equal(firstTokenMs.p50, 29.5 + 91);
  assert.equal(within, 1);
  assert.deepEqual(metBy, { Awake: 1, Asleep: 0, Staged: 0 });
  // Nine more tokens, one a step.
  assert.ok(Math.abs(awakeHours * 3_600_000 - (120.5 + 9 * 29.85)) < 1e-6);
});

test('one request to a sleeper waits for the decision, the wake and its prompt', async () => {
  const scenario = createScenario(simTrace([[500, 1000, 1]]), simSetup());
  const { firstTokenMs, metBy, wakes, starts } = await simRun(scenario, stokerPolicy());
  assert.equal(firstTokenMs.p50, 100 + 3000 + 120.5);
  assert.deepEqual(metBy, { Awake: 0, Asleep: 1, Staged: 0 });
  assert.deepEqual([wakes, starts], [1, 0]);
});

test('one request with nothing asleep waits for the start that the pool began before it', async () => {
  const scenario = createScenario(simTrace([[500, 1000, 1]]), simSetup({ isCold: true }));
  const { firstTokenMs, within, metBy } = await simRun(scenario, stokerPolicy());
  // The copy to sleep began at 0, the request came at 500.
  assert.equal(firstTokenMs.p50, 120_000 - 500 + 120.5);
  assert.equal(within, 0);
  assert.deepEqual(metBy, { Awake: 0, Asleep: 0, Staged: 1 });
});

test('the peak is the most that held a slot at one moment, however short it was', async () => {
  const scenario = createScenario(
    simTrace([
      [0, 10, 1],
      [3_600_000, 10, 1],
    ]),
    simSetup(),
  );
  const burst: PolicyFactory = () => ({
    name: 'burst',
    everyMs: 1000,
    decide: ({ nowMs }) => new Map([['model', { desired: nowMs >= 10_000 && nowMs < 12_000 ? 3 : 1 }]]),
  });
  const { peakHeld, timeline } = await simRun(scenario, burst);
  assert.equal(peakHeld, 3);
  assert.ok(
    timeline.every(({ awake, climbing }) => awake + climbing < 2.5),
    'no mean shows it',
  );
});

test('a slot that another model holds has to be left first', async () => {
  const scenario = createScenario(simTrace([[60_500, 1000, 1]]), simSetup({ isOccupied: true }));
  const { firstTokenMs } = await simRun(scenario, stokerPolicy());
  assert.equal(firstTokenMs.p50, 100 + 5500 + 3000 + 120.5);
});

for (const name of [...Object.keys(policyCatalogue), 'static-4']) {
  test(`every request is served with the policy ${name}`, async () => {
    const scenario = createScenario(load(3), simSetup({ slots: 16 }));
    const result = await simRun(scenario, policyOf(name));
    assert.equal(result.requests, scenario.trace.requests.length);
    assert.equal(result.unserved, 0);
    const { Awake, Asleep, Staged } = result.metBy;
    assert.equal(Awake + Asleep + Staged, result.requests);
    assert.equal(
      result.timeline.reduce((sum, { arrivals }) => sum + arrivals, 0),
      result.requests,
    );
  });
}

const faults = fc.record({
  failedWakes: fc.double({ min: 0, max: 0.6, noNaN: true }),
  silences: fc.array(
    fc.nat(200_000).map((fromMs) => ({ fromMs, toMs: fromMs + 90_000 })),
    { maxLength: 2 },
  ),
  leakMiB: fc.constantFrom(0, 100, 600),
  lostNodes: fc.array(
    fc.record({ atMs: fc.nat(250_000), node: fc.nat(2), backMs: fc.integer({ min: 250_000, max: 400_000 }) }),
    { maxLength: 2 },
  ),
});

test('whatever fails, is lost or falls silent: every request is accounted for once, and served while a node is left', async () => {
  await fc.assert(
    fc.asyncProperty(faults, fc.nat(1000), async (broken: Faults, seed) => {
      const setup = simSetup({ slots: 8, slotsPerNode: 2, faults: broken, sigma: 0.3, seed });
      const scenario = createScenario(load(seed, 300_000), setup);
      const result = await simRun(scenario, stokerPolicy());
      assert.equal(result.requests, scenario.trace.requests.length);
      assert.equal(result.unserved, 0);
    }),
    { numRuns: 25 },
  );
});

test('a node that is lost takes its requests to another one', async () => {
  const setup = simSetup({ slots: 2, faults: { ...noFaults, lostNodes: [{ atMs: 2000, node: 0 }] } });
  const scenario = createScenario(
    simTrace([
      [0, 1000, 200],
      [1, 1000, 200],
    ]),
    setup,
  );
  const { requests, unserved } = await simRun(scenario, staticPolicy(2));
  assert.deepEqual([requests, unserved], [2, 0]);
});

test('a node that comes back is used again', async () => {
  const lostNodes = [{ atMs: 2000, node: 0, backMs: 60_000, failedProvisions: 2, isAllocatableLate: true }];
  const setup = simSetup({ slots: 1, faults: { ...noFaults, lostNodes } });
  const trace = simTrace([
    [0, 1000, 200],
    [1, 1000, 200],
  ]);
  const { unserved, failures, finished } = await simRun(createScenario(trace, setup), staticPolicy(1));
  assert.equal(unserved, 0);
  // They had their first tokens before, and are written again from the beginning after 60 s and a start.
  assert.ok(finished.every(({ waitMs }) => waitMs < 2000));
  assert.deepEqual(failures, {
    failedWakes: 0,
    leaks: 0,
    silences: 0,
    lostNodes: 1,
    failedProvisions: 2,
    lateNodes: 1,
    begunAgain: 2,
  });
});

test('an engine that keeps 300 MiB more after each sleep is ended at its third, and started anew', async () => {
  const rows = [0, 300, 600, 900, 1200].map((seconds) => [seconds * 1000, 100, 5] as const);
  const setup = simSetup({ slots: 1, faults: { ...noFaults, leakMiB: 300 } });
  const { failures, unserved, starts } = await simRun(createScenario(simTrace(rows), setup), stokerPolicy());
  assert.deepEqual([failures.leaks, unserved], [1, 0]);
  assert.ok(starts >= 1);
});

test('half of the wakes fail: each of them is counted and starts anew', async () => {
  const rows = Array.from({ length: 40 }, (_, at) => [at * 300_000, 100, 5] as const);
  const setup = simSetup({ slots: 1, faults: { ...noFaults, failedWakes: 0.5 } });
  const { failures, wakes, starts, unserved } = await simRun(createScenario(simTrace(rows), setup), stokerPolicy());
  assert.ok(failures.failedWakes > 8 && failures.failedWakes < wakes - 8, `${failures.failedWakes} of ${wakes}`);
  assert.ok(starts >= failures.failedWakes);
  assert.equal(unserved, 0);
});

test('the fixed fleet of hindsight is the smallest that meets the goal', async () => {
  const scenario = createScenario(generateLoad('spikes', { seed: 5, ratePerSecond: 6, spanMs: 900_000 }), simSetup());
  const counts = await findStaticFleet(scenario, 0.99, simRun);
  assert.ok(counts !== undefined);
  const count = counts.get('model') ?? 0;
  const withinOf = async (some: number) => {
    const fleet = new Map([['model', some]]);
    return (await simRun(withSlots(scenario, fleet), staticFleet('static', fleet))).within;
  };
  assert.ok(count > 1);
  assert.ok((await withinOf(count)) >= 0.99);
  assert.ok((await withinOf(count - 1)) < 0.99);
});

test('no fixed fleet is found for what physics does not allow', async () => {
  const scenario = createScenario(simTrace([[0, 100_000, 1]]), simSetup());
  assert.equal(await findStaticFleet(scenario, 0.99, simRun), undefined);
});

test('decisions follow from what the planner was told and asked, byte for byte', async () => {
  const { decisions, differing } = await replayDecisions(createScenario(load(), simSetup()), simRun);
  assert.ok(decisions > 500);
  assert.equal(differing, 0);
});

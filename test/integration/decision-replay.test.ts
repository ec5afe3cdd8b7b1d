// The controller and the simulator decide alike: what one heard and was asked is told to the planner of the other, and every
// decision is compared as text.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLivePlanner } from '../../src/controller/live-scaling.ts';
import { createFleetPlanner } from '../../src/core/plan/pool/fleet-planner.ts';
import { replayPlanner } from '../../src/core/plan/pool/planner-log.ts';
import { scaleDefaults } from '../../src/core/plan/scale/settings.ts';
import { generateLoad } from '../../src/sim/load/generate.ts';
import { createPolicyPlanner } from '../../src/sim/policy/stoker.ts';
import { replayDecisions } from '../../src/sim/replay.ts';
import { createScenario } from '../../src/sim/setup.ts';
import { recordLiveRun } from '../support/live-log.ts';
import { simRun, simSetup } from '../support/simulation.ts';

test('what the controller decided, the planner of the simulator decides, byte for byte', async () => {
  const lines = await recordLiveRun();
  const kinds = new Set(lines.map((line) => JSON.parse(line).type));
  assert.deepEqual([...kinds].sort(), ['Add', 'Decide', 'News']);
  const desired = new Set(
    lines.flatMap((line) => {
      const { type, text } = JSON.parse(line);
      return type === 'Decide' ? JSON.parse(text).map(([, order]: [string, { desired: number }]) => order.desired) : [];
    }),
  );
  assert.ok(desired.has(0) && desired.has(1) && desired.has(2), `the run goes up and down: ${[...desired]}`);
  const { decisions, differing } = replayPlanner(lines, createPolicyPlanner());
  assert.ok(decisions > 180, `${decisions}`);
  assert.equal(differing, 0);
  // One setting more or less is seen.
  const other = replayPlanner(lines, createFleetPlanner({ ...scaleDefaults, steadyUse: 0.3 }));
  assert.ok(other.differing > 0);
});

test('what the simulator decided, the planner of the controller decides, byte for byte', async () => {
  const load = generateLoad('zipf', { seed: 1, models: 4, ratePerSecond: 3, spanMs: 300_000 });
  const { decisions, differing } = await replayDecisions(createScenario(load, simSetup()), simRun, createLivePlanner);
  assert.ok(decisions > 250, `${decisions}`);
  assert.equal(differing, 0);
});

// Whether decisions follow from their inputs alone: writes down all that the planner hears in a run and what it decides, then
// tells the same to another planner and compares byte for byte. Decides nothing.
import { createFleetPlanner, type FleetPlanner } from '../core/plan/pool/fleet-planner.ts';
import { type Replay, recordPlanner, replayPlanner } from '../core/plan/pool/planner-log.ts';
import type { RunScenario } from './hindsight.ts';
import { stokerPolicy } from './policy/stoker.ts';
import type { Scenario } from './scenario.ts';

/** `createOther` makes the planner that has to decide the same. */
export async function replayDecisions(
  scenario: Scenario,
  run: RunScenario,
  createOther: () => FleetPlanner = createFleetPlanner,
): Promise<Replay> {
  const lines: string[] = [];
  const policy = stokerPolicy({ wrapPlanner: (planner) => recordPlanner(planner, (line) => lines.push(line)) });
  await run(scenario, policy);
  return replayPlanner(lines, createOther());
}

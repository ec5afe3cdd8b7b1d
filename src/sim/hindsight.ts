// The smallest fleet of fixed size that would have met the goal, found by trying: what somebody who knew the load would buy.
// Models are tried one by one, since a fixed fleet shares nothing. Runs through what it is given, so it can be stopped.
import type { PolicyFactory } from './policy/policy.ts';
import { staticFleet } from './policy/static.ts';
import type { Scenario, SimModel } from './scenario.ts';
import type { RunResult } from './summary.ts';

export type RunScenario = (scenario: Scenario, policy: PolicyFactory) => Promise<RunResult>;

/** Undefined: not even one for each slot does it. */
export async function findStaticFleet(
  scenario: Scenario,
  goal: number,
  run: RunScenario,
): Promise<ReadonlyMap<string, number> | undefined> {
  const counts = new Map<string, number>();
  for (const model of scenario.models) {
    const alone = onlyModel(scenario, model);
    if (alone.trace.requests.length === 0) counts.set(model.name, 0);
    else {
      const count = await findCount(alone, goal, run);
      if (count === undefined) return undefined;
      counts.set(model.name, count);
    }
  }
  return counts;
}

/** More is never worse, so halves will do. */
async function findCount(scenario: Scenario, goal: number, run: RunScenario): Promise<number | undefined> {
  const meets = async (count: number) => {
    const fleet = { ...scenario.fleet, slots: count, isOccupied: false, begin: 'Nothing' as const };
    const result = await run({ ...scenario, fleet }, staticFleet('static', modelCounts(scenario, count)));
    return result.within >= goal;
  };
  let low = 1;
  let high = 1;
  while (!(await meets(high))) {
    if (high >= STATIC_MAX) return undefined;
    low = high + 1;
    high = Math.min(STATIC_MAX, high * 2);
  }
  while (low < high) {
    const middle = (low + high) >> 1;
    if (await meets(middle)) high = middle;
    else low = middle + 1;
  }
  return high;
}

const STATIC_MAX = 512;

function modelCounts({ models }: Scenario, count: number): ReadonlyMap<string, number> {
  return new Map(models.map(({ name }) => [name, count]));
}

function onlyModel(scenario: Scenario, model: SimModel): Scenario {
  const requests = scenario.trace.requests.filter((request) => request.model === model.name);
  const alone = { ...model, minAwake: 0, maxAwake: STATIC_MAX };
  return { ...scenario, trace: { ...scenario.trace, requests }, models: [alone] };
}

/** The whole trace on such a fleet. */
export function withSlots(scenario: Scenario, counts: ReadonlyMap<string, number>): Scenario {
  const slots = Math.max(
    1,
    [...counts.values()].reduce((sum, count) => sum + count, 0),
  );
  return { ...scenario, fleet: { ...scenario.fleet, slots, isOccupied: false, begin: 'Nothing' } };
}

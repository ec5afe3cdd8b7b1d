// Whether decisions follow from their inputs alone: writes down all that the planner hears in a run and what it decides, then
// tells the same to a new planner and compares byte for byte. The controller's planner is that one, with news from the link.
import { createFleetPlanner, type ModelNews, type ModelOrder } from '../core/plan/pool/fleet-planner.ts';
import type { ScalerInput } from '../core/plan/scale/scaler.ts';
import type { RunScenario } from './hindsight.ts';
import { guessOf, stokerPolicy } from './policy/stoker.ts';
import type { Scenario } from './scenario.ts';

export interface Replay {
  readonly decisions: number;
  readonly differing: number;
}

/** As it would stand in a log. */
type Entry =
  | { readonly type: 'News'; readonly model: string; readonly news: ModelNews }
  | {
      readonly type: 'Decide';
      readonly models: readonly [string, ScalerInput][];
      readonly slots: number;
      readonly text: string;
    };

export async function replayDecisions(scenario: Scenario, run: RunScenario): Promise<Replay> {
  const log: string[] = [];
  const write = (entry: Entry) => void log.push(JSON.stringify(entry));
  await run(
    scenario,
    stokerPolicy({
      onNews: (model, news) => write({ type: 'News', model, news }),
      onDecision: ({ models, slots }, orders) =>
        write({ type: 'Decide', models: [...models], slots, text: textOf(orders) }),
    }),
  );
  const planner = createFleetPlanner();
  for (const model of scenario.models) planner.add(model.name, { guess: guessOf(model), sinceMs: 0 });
  let decisions = 0;
  let differing = 0;
  for (const line of log) {
    // It was written above, so its shape is known.
    const entry = JSON.parse(line) as Entry;
    if (entry.type === 'News') planner.tell(entry.model, entry.news);
    else {
      const orders = planner.decide({ models: new Map(entry.models), slots: entry.slots });
      decisions += 1;
      if (textOf(orders) !== entry.text) differing += 1;
    }
  }
  return { decisions, differing };
}

function textOf(orders: ReadonlyMap<string, ModelOrder>): string {
  return JSON.stringify([...orders]);
}

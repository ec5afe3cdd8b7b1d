// What a planner was told and asked and what it decided, as lines of text; and the same told to another planner, whose decisions
// are compared byte for byte. This is how the controller and the simulator prove that they decide alike. Keeps nothing itself.
import type { FleetInput, FleetPlanner, ModelGuess, ModelMemory, ModelNews, ModelOrder } from './fleet-planner.ts';

type AddOptions = Parameters<FleetPlanner['add']>[1];

type Entry =
  | { readonly type: 'Add'; readonly model: string; readonly options: AddOptions }
  | { readonly type: 'Guess'; readonly model: string; readonly guess: ModelGuess }
  | { readonly type: 'Remove'; readonly model: string }
  | { readonly type: 'Remember'; readonly model: string; readonly memory: ModelMemory }
  | { readonly type: 'News'; readonly model: string; readonly news: ModelNews }
  | {
      readonly type: 'Decide';
      readonly models: readonly (readonly [string, unknown])[];
      readonly slots: number;
      readonly wallMs?: number;
      readonly text: string;
    };

export interface Replay {
  readonly decisions: number;
  readonly differing: number;
}

/** The same planner, with everything that it hears and decides written down. */
export function recordPlanner(planner: FleetPlanner, write: (line: string) => void): FleetPlanner {
  const log = (entry: Entry) => write(render(entry));
  return {
    add(model, options) {
      log({ type: 'Add', model, options });
      planner.add(model, options);
    },
    guess(model, guess) {
      log({ type: 'Guess', model, guess });
      planner.guess(model, guess);
    },
    remove(model) {
      log({ type: 'Remove', model });
      planner.remove(model);
    },
    tell(model, news) {
      log({ type: 'News', model, news });
      planner.tell(model, news);
    },
    decide(input) {
      const orders = planner.decide(input);
      log({ ...input, type: 'Decide', models: [...input.models], text: textOf(orders) });
      return orders;
    },
    forecastOf: (model, wallMs) => planner.forecastOf(model, wallMs),
    copyModels: (nowMs) => planner.copyModels(nowMs),
    remember(model, memory) {
      log({ type: 'Remember', model, memory });
      planner.remember(model, memory);
    },
    memoryOf: (model) => planner.memoryOf(model),
  };
}

/** Tells a new planner what lines of `recordPlanner` say. */
export function replayPlanner(lines: Iterable<string>, planner: FleetPlanner): Replay {
  let decisions = 0;
  let differing = 0;
  for (const line of lines) {
    const entry = parse(line);
    switch (entry.type) {
      case 'Add':
        planner.add(entry.model, entry.options);
        break;
      case 'Guess':
        planner.guess(entry.model, entry.guess);
        break;
      case 'Remove':
        planner.remove(entry.model);
        break;
      case 'Remember':
        planner.remember(entry.model, entry.memory);
        break;
      case 'News':
        planner.tell(entry.model, entry.news);
        break;
      case 'Decide': {
        const models = new Map(entry.models) as FleetInput['models'];
        decisions += 1;
        if (textOf(planner.decide({ ...entry, models })) !== entry.text) differing += 1;
        break;
      }
    }
  }
  return { decisions, differing };
}

function textOf(orders: ReadonlyMap<string, ModelOrder>): string {
  return render([...orders]);
}

/** An idle time may be endless, which JSON has no number for. */
const ENDLESS = 'endless';

function render(value: unknown): string {
  return JSON.stringify(value, (_key, one: unknown) => (one === Number.POSITIVE_INFINITY ? ENDLESS : one));
}

/** Lines are our own: `recordPlanner` wrote them, so their shape is known. */
function parse(line: string): Entry {
  return JSON.parse(line, (_key, one: unknown) => (one === ENDLESS ? Number.POSITIVE_INFINITY : one)) as Entry;
}

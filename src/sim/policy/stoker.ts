// The product's own planner in the simulator: the modules of src/core/plan as they are, told what routers and agents would say.
// Adds nothing to their decisions.
import { createCopyPlanner } from '../../core/plan/pool/copy-planner.ts';
import {
  createFleetPlanner,
  type FleetInput,
  type FleetPlanner,
  type ModelGuess,
  type ModelNews,
  type ModelOrder,
} from '../../core/plan/pool/fleet-planner.ts';
import type { ScalerInput } from '../../core/plan/scale/scaler.ts';
import {
  DECISION_LAG_MS,
  type ScaleSettings,
  scaleDefaults,
  TOKEN_GAP_MS_MAX,
} from '../../core/plan/scale/settings.ts';
import type { SimModel } from '../scenario.ts';
import { weighModels } from '../sleeper-memory.ts';
import type { FleetReading, ModelReading, PolicyFactory } from './policy.ts';

const EVERY_MS = 1000;
/** Tokens of an answer before any was seen. */
const OUTPUT_GUESS = 200;
/** What an answer under way takes to end, about. */
const DRAIN_MS = 3000;

export interface StokerPolicyOptions {
  readonly settings?: Partial<ScaleSettings>;
  /** What stands before the planner, and hears and sees what it does. */
  wrapPlanner?(planner: FleetPlanner): FleetPlanner;
  /** Sees what it decides, with what it was asked. */
  onDecision?(input: FleetInput, orders: ReadonlyMap<string, ModelOrder>): void;
}

/** The planner that this policy asks. */
export function createPolicyPlanner(settings: Partial<ScaleSettings> = {}): FleetPlanner {
  return createFleetPlanner({ ...scaleDefaults, ...settings });
}

export function stokerPolicy(options: StokerPolicyOptions = {}): PolicyFactory {
  return (models) => {
    const own = createPolicyPlanner(options.settings);
    const planner = options.wrapPlanner?.(own) ?? own;
    for (const model of models) planner.add(model.name, { guess: guessOf(model), sinceMs: 0 });
    const copies = createCopyPlanner();
    const tell = (model: string, news: ModelNews) => planner.tell(model, news);
    return {
      name: 'stoker',
      everyMs: EVERY_MS,
      urgentMs: DECISION_LAG_MS,
      onArrival: ({ atMs, model, promptTokens }) => tell(model, { type: 'Arrived', atMs, requests: 1, promptTokens }),
      onDone: ({ model, outputTokens }) => tell(model, { type: 'Answered', outputTokens }),
      onStep: (model, sample) => tell(model, { type: 'Stepped', ...sample }),
      onClimbed: (model, from, tookMs) => tell(model, { type: 'Climbed', from, tookMs }),
      decide(reading) {
        const input = readFleet(reading, planner);
        const orders = planner.decide(input);
        options.onDecision?.(input, orders);
        return orders;
      },
      planCopies({ nowMs, slots, sleepersPerSlotMax, memory, nodeOf }) {
        const budgetOf = () => ({ sleepersMax: sleepersPerSlotMax, sleeperBytesMax: memory?.bytesMax });
        const known = planner.copyModels(nowMs);
        const models = memory === undefined ? known : weighModels(known, slots, memory);
        return copies.plan({ nowMs, slots, nodeOf, budgetOf, models });
      },
      releaseCopies: (names) => copies.release(names),
    };
  };
}

/** What the controller would assume of a model of this size. */
function guessOf({ profile }: SimModel): ModelGuess {
  const { stepMs, perSequenceMs, perPromptTokenMs } = profile.engine;
  const { startMs, wakeMs, sleepMs } = profile.climb;
  const cost = { stepMs, perSequenceMs, perPromptTokenMs };
  return { cost, outputTokens: OUTPUT_GUESS, startMs, wakeMs, sleepMs, drainMs: DRAIN_MS };
}

/** A trace begins at the first hour of a week; which one does not matter. */
const BEGIN_WALL_MS = 604_800_000;

function readFleet(reading: FleetReading, planner: FleetPlanner): FleetInput {
  const wallMs = BEGIN_WALL_MS + reading.nowMs;
  const models = new Map(
    reading.models.map((one) => {
      const forecastFloor = planner.forecastOf(one.model.name, wallMs);
      return [one.model.name, { ...readInput(one, reading), forecastFloor }];
    }),
  );
  return { models, slots: reading.slots, wallMs };
}

function readInput(one: ModelReading, { nowMs, signalAgeMs }: FleetReading): Omit<ScalerInput, 'forecastFloor'> {
  const { model, ready, pending, ordered, inFlight, idleMs, makeRoomMs } = one;
  const { sequencesMax } = model.profile.engine;
  const waiting = [...one.waiting];
  return {
    nowMs,
    signalAgeMs,
    min: model.minAwake,
    max: model.maxAwake,
    objective: { firstTokenMsMax: model.firstTokenMsMax, gapMsMax: TOKEN_GAP_MS_MAX, sequencesMax },
    ...(model.headroomRank === undefined ? {} : { headroomRank: model.headroomRank }),
    ...(model.sleepAfterMs === undefined ? {} : { keepAliveMs: model.sleepAfterMs }),
    waitingTokens: waiting.map(({ promptTokens }) => promptTokens),
    oldestWaitMs: nowMs - (waiting[0]?.atMs ?? nowMs),
    engineTokens: one.replicas.reduce((sum, { promptBehind }) => sum + promptBehind, 0),
    inFlight,
    hasWakeLease: false,
    idleMs,
    ordered,
    ready,
    pending,
    makeRoomMs,
    lagMs: DECISION_LAG_MS,
  };
}

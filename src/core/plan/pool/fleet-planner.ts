// What should be awake of every model at once: a scaler for each, and on top what models owe each other in shared slots. The one
// entry for the controller and the simulator. Remembers what it was told; must never read a clock or look anything up.
import type { WorkWeeks } from '../../../api/learned-state.ts';
import type { ClimbCost } from '../placement.ts';
import type { ClimbFrom } from '../scale/climb-history.ts';
import type { Arrived } from '../scale/demand-meter.ts';
import { createForecast, type Forecast } from '../scale/forecast.ts';
import type { StepSeen } from '../scale/learn-cost.ts';
import {
  createScaler,
  type Scaler,
  type ScalerFigures,
  type ScalerGuess,
  type ScalerInput,
  type ScalerState,
} from '../scale/scaler.ts';
import { type ScaleSettings, scaleDefaults } from '../scale/settings.ts';
import type { CopyModel } from './copies.ts';
import { chanceOfUse, emptyGaps, type IdleGaps, learnGap } from './idle-gaps.ts';
import { staysAwake } from './rung.ts';
import { learnUse, startUses, type UseRate, usesPerMs } from './use-rate.ts';

/** What happened to a model since it was told last. */
export type ModelNews =
  | ({ readonly type: 'Arrived'; readonly atMs: number } & Arrived)
  | { readonly type: 'Answered'; readonly outputTokens: number }
  | ({ readonly type: 'Stepped' } & StepSeen)
  | { readonly type: 'Climbed'; readonly from: ClimbFrom; readonly tookMs: number };

export interface ModelGuess extends ScalerGuess {
  readonly sleepMs: number;
  readonly drainMs: number;
}

/** What is kept of a model over a restart. */
export interface ModelMemory {
  readonly scaler: ScalerState;
  readonly gaps: IdleGaps;
  readonly weeks: WorkWeeks;
}

/** What placement is told of a model (src/core/plan/placement.ts). */
export interface ModelOrder {
  readonly desired: number;
  readonly coldMax: number;
  readonly pressing: number;
  /** Slots that its usual work keeps busy. Missing: not known. */
  readonly load?: number;
  /** Missing: placement tells slots apart by what is in them alone. */
  readonly chance?: number;
  readonly climb?: ClimbCost;
  /** It was put to sleep early, for its neighbours. */
  readonly isRested: boolean;
  readonly figures: ScalerFigures;
}

export interface FleetInput {
  readonly models: ReadonlyMap<string, ScalerInput>;
  /** Slots that all of them share. */
  readonly slots: number;
  /** Missing: nothing is learned of the hours of the week. */
  readonly wallMs?: number;
}

export interface FleetPlanner {
  /** Begins to plan a model, from memory if there is one. */
  add(
    model: string,
    options: { readonly guess: ModelGuess; readonly sinceMs: number; readonly memory?: ModelMemory },
  ): void;
  /** Another version answers: what is guessed of it counts, and what was learned goes on from where it is. */
  guess(model: string, guess: ModelGuess): void;
  remove(model: string): void;
  tell(model: string, news: ModelNews): void;
  decide(input: FleetInput): ReadonlyMap<string, ModelOrder>;
  /** The floor of a forecast (ScalerInput.forecastFloor): 0 as long as it has not earned a say. */
  forecastOf(model: string, wallMs: number): number;
  /** What a copy of each model would save. */
  copyModels(nowMs: number): ReadonlyMap<string, CopyModel>;
  memoryOf(model: string): ModelMemory | undefined;
  /** What was known before comes late: the planner does not wait for it. */
  remember(model: string, memory: ModelMemory): void;
}

interface Planned {
  readonly scaler: Scaler;
  guess: ModelGuess;
  readonly forecast: Forecast;
  /** When it was told last how much there is to do. */
  forecastMs: number | undefined;
  gaps: IdleGaps;
  /** When it last had a request, as far as is known. */
  usedMs: number;
  /** How often it is used after a pause. */
  uses: UseRate;
}

/** Long enough for a rate of use, short enough to be about the next moment. */
const MOMENT_MS = 5000;
/** Between two looks a model counts as in use. */
const GAP_MS_MIN = 1000;

export function createFleetPlanner(settings: ScaleSettings = scaleDefaults): FleetPlanner {
  const planned = new Map<string, Planned>();
  return {
    add(model, { guess, sinceMs, memory }) {
      const state = memory === undefined ? {} : { state: memory.scaler };
      const scaler = createScaler({ guess, sinceMs, settings, ...state });
      planned.set(model, {
        scaler,
        guess,
        forecast: createForecast(memory?.weeks),
        forecastMs: undefined,
        gaps: memory?.gaps ?? emptyGaps(),
        usedMs: sinceMs,
        uses: startUses(sinceMs),
      });
    },
    guess(model, guess) {
      const one = planned.get(model);
      if (one !== undefined) one.guess = guess;
    },
    remove: (model) => void planned.delete(model),
    tell(model, news) {
      const one = planned.get(model);
      if (one !== undefined) hear(one, news);
    },
    decide(input) {
      const orders = decideAll(planned, input);
      noteHours(planned, { ...input, orders }, settings);
      return orders;
    },
    forecastOf(model, wallMs) {
      const one = planned.get(model);
      if (one === undefined) return 0;
      return one.forecast.expect(wallMs, one.scaler.state().climbs.Staged.slowMs) / settings.steadyUse;
    },
    copyModels: (nowMs) => new Map([...planned].map(([name, one]) => [name, copyModelOf(name, one, nowMs)])),
    remember(model, { scaler, gaps, weeks }) {
      const one = planned.get(model);
      if (one === undefined) return;
      one.scaler.restore(scaler);
      one.forecast.restore(weeks);
      one.gaps = gaps;
    },
    memoryOf(model) {
      const one = planned.get(model);
      if (one === undefined) return undefined;
      return { scaler: one.scaler.state(), gaps: one.gaps, weeks: one.forecast.state() };
    },
  };
}

function hear(one: Planned, news: ModelNews): void {
  switch (news.type) {
    case 'Arrived':
      one.scaler.arrived(news.atMs, news);
      if (news.requests > 0) noteUse(one, news.atMs);
      return;
    case 'Answered':
      one.scaler.answered(news.outputTokens);
      return;
    case 'Stepped':
      one.scaler.stepped(news);
      return;
    case 'Climbed':
      one.scaler.climbed(news.from, news.tookMs);
      return;
  }
}

function noteUse(one: Planned, atMs: number): void {
  const gapMs = atMs - one.usedMs;
  if (gapMs >= GAP_MS_MIN) one.gaps = learnGap(one.gaps, gapMs);
  if (gapMs >= MOMENT_MS) one.uses = learnUse(one.uses, atMs);
  one.usedMs = Math.max(one.usedMs, atMs);
}

/** Longer than between any two decisions of a planner that runs. */
const NOTED_MS_MAX = 60_000;

/** What the work keeps busy, hour by hour. Silence is no work that was not there. */
function noteHours(
  planned: ReadonlyMap<string, Planned>,
  { models, wallMs, orders }: FleetInput & { readonly orders: ReadonlyMap<string, ModelOrder> },
  { holdAfterMs }: ScaleSettings,
): void {
  if (wallMs === undefined) return;
  for (const [model, { nowMs, signalAgeMs }] of models) {
    const [one, order] = [planned.get(model), orders.get(model)];
    if (one === undefined || order === undefined) continue;
    const spanMs = Math.min(NOTED_MS_MAX, nowMs - (one.forecastMs ?? nowMs));
    one.forecastMs = nowMs;
    const isHeard = signalAgeMs <= holdAfterMs;
    if (isHeard && spanMs > 0) one.forecast.note({ wallMs, spanMs, replicas: order.figures.need.slow });
  }
}

/** Rest of another one's turn, besides its sleep and the wake: half of a turn that is worth twice the change. */
function copyModelOf(name: string, one: Planned, nowMs: number): CopyModel {
  const { Staged, Asleep } = one.scaler.state().climbs;
  const { sleepMs, drainMs } = one.guess;
  const changeMs = sleepMs + Asleep.usualMs;
  return { name, usesPerMs: usesPerMs(one.uses, nowMs), startMs: Staged.usualMs, blockedMs: 2 * changeMs + drainMs };
}

function decideAll(planned: ReadonlyMap<string, Planned>, { models, slots }: FleetInput): Map<string, ModelOrder> {
  const rates = new Map<string, number>();
  for (const [model, input] of models) {
    const one = planned.get(model);
    if (one === undefined) continue;
    if (input.waitingTokens.length + input.inFlight > 0) one.usedMs = Math.max(one.usedMs, input.nowMs);
    rates.set(model, chanceOfUse(one.gaps, input.nowMs - one.usedMs, MOMENT_MS) / MOMENT_MS);
  }
  // Who has a slot needs no other one.
  const all = [...rates].reduce((sum, [model, rate]) => sum + (models.get(model)?.ordered === 0 ? rate : 0), 0);
  const orders = new Map<string, ModelOrder>();
  for (const [model, input] of models) {
    const one = planned.get(model);
    if (one === undefined) continue;
    const usePerMs = rates.get(model) ?? 0;
    orders.set(model, decideOne(one, input, { usePerMs, othersPerMs: all / Math.max(1, slots) }));
  }
  return orders;
}

function decideOne(
  one: Planned,
  input: ScalerInput,
  rates: { readonly usePerMs: number; readonly othersPerMs: number },
): ModelOrder {
  const figures = one.scaler.decide(input);
  const { sleepMs, drainMs } = one.guess;
  const climb = { startMs: one.scaler.state().climbs.Staged.usualMs, wakeMs: figures.wakeMs, sleepMs, drainMs };
  const idleMs = input.nowMs - one.usedMs;
  const mayRest =
    figures.hindrance !== 'Stale' &&
    figures.hindrance !== 'Floor' &&
    figures.hindrance !== 'New' &&
    figures.desired > figures.pressing;
  const isRested = mayRest && !staysAwake({ idleMs, sleepMs, wakeMs: figures.wakeMs, ...rates });
  return {
    desired: isRested ? figures.pressing : figures.desired,
    coldMax: figures.coldMax,
    pressing: figures.pressing,
    load: figures.need.slow,
    chance: chanceOfUse(one.gaps, idleMs, climb.startMs),
    climb,
    isRested,
    figures,
  };
}

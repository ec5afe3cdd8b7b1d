// What a run of `npm run chaos` is going to do: the fleet with its faults, what each caller asks, when what is killed. Pure,
// and all of it from the seed: the same seed plans the same run. How the parts interleave is up to the machine.
import type { Fault, FaultKind } from '../../src/api/simulation.ts';
import { createRng, type Rng } from '../../src/lib/rng.ts';
import type { PartKind } from './part-processes.ts';

export const SLOTS = 4;
export const MODELS = 12;
export const CALLERS = 24;
/** Beside the one that is awake. */
export const SLEEPERS_PER_SLOT = 3;

const profiles = ['Size7B', 'Size7B', 'Size13B', 'Size70B'] as const;
/** Fifty times as fast as life: a model of 7B loads in about a second. */
const SPEED_PERCENT = 5000;

/** Chance in basis points, at most. Each model draws its own. */
const faultChances: Readonly<Record<FaultKind, number>> = {
  Slow: 300,
  HangBeforeHeaders: 100,
  HangMidStream: 100,
  Trickle: 200,
  Cut: 300,
  GarbageFrame: 300,
  Crash: 60,
  FailedStart: 1500,
  FailedWake: 1500,
  PartialWake: 1500,
  CorruptWake: 1500,
  OutOfMemory: 800,
  FailedSleep: 1500,
  Leak: 1500,
};

export interface ChaosModel {
  readonly name: string;
  /** Of the simulated weights: decides what it answers. */
  readonly seed: number;
  readonly profile: (typeof profiles)[number];
  readonly faults: readonly Fault[];
  readonly sleepAfterSeconds: number;
  readonly concurrency: number;
}

/** What one caller does next. */
export interface CallPlan {
  readonly model: ChaosModel;
  readonly prompt: string;
  readonly stream: boolean;
  readonly maxTokens: number;
  readonly deadlineMs: number;
  readonly habit: Habit;
  /** Between this call and the next one. */
  readonly restMs: number;
}

export type Habit =
  | { readonly kind: 'plain' }
  /** Hangs up after some pieces, or after some time when none came. */
  | { readonly kind: 'cancels'; readonly afterPieces: number; readonly afterMs: number }
  /** Takes its time for each of the first pieces. */
  | { readonly kind: 'slow'; readonly pieceMs: number; readonly pieces: number }
  /** Asks for something that no engine accepts. */
  | { readonly kind: 'wrong' };

export interface KillPlan {
  readonly atMs: number;
  readonly kind: PartKind;
  /** Which of the candidates, in [0, 1). */
  readonly choice: number;
}

export function planModels(seed: number): ChaosModel[] {
  const rng = createRng(seed);
  return Array.from({ length: MODELS }, (_, at) => ({
    name: `chaos-${at + 1}`,
    seed: rng.below(1_000_000),
    profile: pick(rng, profiles),
    faults: Object.entries(faultChances).map(([kind, chance]) => ({
      kind: kind as FaultKind,
      chanceBasisPoints: rng.below(chance + 1),
    })),
    sleepAfterSeconds: 1 + rng.below(15),
    concurrency: 4 + rng.below(5),
  }));
}

/** The next call of a caller that draws from its own generator. */
export function planCall(rng: Rng, models: readonly ChaosModel[]): CallPlan {
  // Squared, so that the first models are asked often and the last ones seldom.
  const model = models[Math.floor(models.length * rng.next() ** 2)] ?? models[0];
  if (model === undefined) throw new Error('there are no models');
  return {
    model,
    prompt: `Question number ${rng.below(8)}: what is the weather like?`,
    stream: rng.below(4) > 0,
    maxTokens: 1 + rng.below(300),
    deadlineMs: 15_000 + rng.below(30_000),
    habit: planHabit(rng),
    restMs: -150 * Math.log(1 - rng.next()),
  };
}

function planHabit(rng: Rng): Habit {
  const draw = rng.below(100);
  if (draw < 15) return { kind: 'cancels', afterPieces: 1 + rng.below(40), afterMs: 100 + rng.below(5000) };
  if (draw < 28) return { kind: 'slow', pieceMs: 20 + rng.below(200), pieces: 1 + rng.below(30) };
  if (draw < 30) return { kind: 'wrong' };
  return { kind: 'plain' };
}

/** Engines most often, then agents; now and then what everything stands on. The last fifth of the time is left in peace. */
export function planKills(seed: number, durationMs: number): KillPlan[] {
  const rng = createRng(seed + 1);
  const weighted: readonly PartKind[] = [
    ...Array<PartKind>(5).fill('engine'),
    ...Array<PartKind>(3).fill('agent'),
    ...Array<PartKind>(2).fill('router'),
    ...Array<PartKind>(2).fill('controller'),
    'local-node',
    'local-api',
  ];
  const kills: KillPlan[] = [];
  for (let atMs = 3000 + rng.below(3000); atMs < durationMs * 0.8; atMs += 3000 + rng.below(8000)) {
    kills.push({ atMs, kind: pick(rng, weighted), choice: rng.next() });
  }
  return kills;
}

export function callerRng(seed: number, caller: number): Rng {
  return createRng(seed * 1000 + caller);
}

function pick<T>(rng: Rng, list: readonly T[]): T {
  const picked = list[rng.below(list.length)];
  if (picked === undefined) throw new Error('there is nothing to pick from');
  return picked;
}

export function poolObject(): { apiVersion: string; kind: string; metadata: { name: string } } & Record<
  string,
  unknown
> {
  return {
    apiVersion: 'stoker.dev/v1alpha1',
    kind: 'Pool',
    metadata: { name: 'chaos' },
    spec: {
      accelerator: { resourceName: 'stoker.dev/sim-gpu', countPerSlot: 1, className: 'sim' },
      slots: { min: SLOTS, max: SLOTS },
      sleepersPerSlotMax: SLEEPERS_PER_SLOT,
      maxDrainSeconds: 20,
    },
  };
}

export function modelObject(model: ChaosModel): ReturnType<typeof poolObject> {
  const { name, seed, profile, faults, sleepAfterSeconds, concurrency } = model;
  return {
    apiVersion: 'stoker.dev/v1alpha1',
    kind: 'Model',
    metadata: { name },
    spec: {
      servedName: name,
      version: {
        weights: { simulated: { profile, seed } },
        engine: { name: 'Sim' },
        contextLength: 2048,
      },
      pools: ['chaos'],
      scaling: { sleepAfterSeconds },
      serving: { concurrency, drainSeconds: 10 },
      simulation: { speedPercent: SPEED_PERCENT, faults },
    },
  };
}

// How long each thing takes in this process: the profile's figures, made faster by the speed, with a seeded spread.
// Pure but for its own generators; must never read a clock.
import type { SimulatedProfileName } from '../../api/simulated-weights.ts';
import { namedRng, spreadFactor } from './chance.ts';
import { simulatedProfiles } from './profile.ts';

/** Loads differ more from one to the next than steps do. */
const PHASE_SIGMA = 0.12;
const STEP_SIGMA = 0.04;

export interface StepLoad {
  /** Sequences that get a token. */
  readonly sequences: number;
  readonly promptTokens: number;
}

export interface Times {
  loadMs(): number;
  wakeMs(level: 1 | 2): number;
  sleepMs(): number;
  stepMs(load: StepLoad): number;
  /** A time of life at this speed, without spread. */
  scaled(ms: number): number;
}

export interface TimesOptions {
  readonly profile: SimulatedProfileName;
  readonly speedPercent: number;
  readonly seed: number;
  readonly incarnation: number;
}

export function createTimes({ profile, speedPercent, seed, incarnation }: TimesOptions): Times {
  const figures = simulatedProfiles[profile];
  const phases = namedRng('phases', seed, incarnation);
  const steps = namedRng('steps', seed, incarnation);
  const scaled = (ms: number) => (ms * 100) / speedPercent;
  const phase = (ms: number) => scaled(ms) * spreadFactor(phases, PHASE_SIGMA);
  return {
    loadMs: () => phase(figures.loadMs),
    wakeMs: (level) => phase(level === 1 ? figures.wakeLevel1Ms : figures.wakeLevel2Ms),
    sleepMs: () => phase(figures.sleepMs),
    stepMs({ sequences, promptTokens }) {
      const ms = figures.stepMs + figures.perSequenceMs * sequences + figures.perPromptTokenMs * promptTokens;
      return scaled(ms) * spreadFactor(steps, STEP_SIGMA);
    },
    scaled,
  };
}

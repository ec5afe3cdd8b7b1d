// What a simulated model of each size takes: steps, climbs, memory. The figures are those of scaling studies named beside
// them, for one accelerator set; people replace them with their own. Must never be taken for measurements of this product.
import type { EngineProfile } from './replica.ts';

export interface ClimbProfile {
  /** From weights on the node to awake. */
  readonly startMs: number;
  /** From asleep to awake, the probe included, when nothing else moves on the node. */
  readonly wakeMs: number;
  /** Share of a wake that moves weights, and so shares the node's rate. */
  readonly wakeMovingShare: number;
  readonly sleepMs: number;
  readonly stopMs: number;
  /** Spread of every stage: the sigma of its logarithm. 0 for none. */
  readonly sigma: number;
}

export interface ModelProfile {
  readonly engine: EngineProfile;
  readonly climb: ClimbProfile;
  /** Host memory of an instance that sleeps. */
  readonly asleepBytes: number;
}

const GENERIC = { promptTokensPerStep: 2048, sequencesMax: 64, kvTokens: 250_000 };
/** What the process of a large engine holds besides weights, as the controller guesses it (src/controller/sleep-memory.ts). */
const PROCESS_BYTES = 8 * 1024 ** 3;
/** Level 1 keeps the weights, in 16 bits (§1.2). */
const asleepBytes = (weightsBytes: number) => weightsBytes + PROCESS_BYTES;
/** The spread that scaling.md §2.8 asks for. */
const SIGMA = 0.25;

export const modelProfiles = {
  /** §1.4: 35 to 60 s to start; 16 GB at 21 GB/s are 0.8 s. */
  Size7B: {
    engine: { ...GENERIC, stepMs: 8, perSequenceMs: 0.12, perPromptTokenMs: 0.04 },
    climb: { startMs: 45_000, wakeMs: 900, wakeMovingShare: 0.8, sleepMs: 2_800, stopMs: 1_000, sigma: SIGMA },
    asleepBytes: asleepBytes(16e9),
  },
  /** §1.4: 40 to 70 s; 26 GB at 21 GB/s are 1.2 s. */
  Size13B: {
    engine: { ...GENERIC, stepMs: 13, perSequenceMs: 0.2, perPromptTokenMs: 0.066 },
    climb: { startMs: 55_000, wakeMs: 1_400, wakeMovingShare: 0.8, sleepMs: 3_200, stopMs: 1_000, sigma: SIGMA },
    asleepBytes: asleepBytes(26e9),
  },
  /** §1.9: the step of one group of four H100, 3 s to wake and 120 s to start. */
  Size70B: {
    engine: { ...GENERIC, stepMs: 29.5, perSequenceMs: 0.35, perPromptTokenMs: 0.091 },
    climb: { startMs: 120_000, wakeMs: 3_000, wakeMovingShare: 0.9, sleepMs: 5_500, stopMs: 2_000, sigma: SIGMA },
    asleepBytes: asleepBytes(140e9),
  },
} as const satisfies Record<string, ModelProfile>;

export type ProfileName = keyof typeof modelProfiles;

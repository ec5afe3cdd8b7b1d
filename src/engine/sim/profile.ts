// How long a large model takes for what it does, by size: the figures that the simulated engine imitates, with where they are
// from. Pure figures for one accelerator set at life speed; src/engine/sim/times.ts scales and spreads them.
// "[C]" marks our own arithmetic from published figures.
import type { SimulatedProfileName } from '../../api/simulated-weights.ts';

export interface SimulatedProfile {
  /** A start with weights, image and compile cache on the node (scaling.md §1.4, rung 2). */
  readonly loadMs: number;
  /** From weights kept in host memory (§1.4, rung 6). */
  readonly wakeLevel1Ms: number;
  /** Weights read again from disk or page cache (§1.4, rung 5). */
  readonly wakeLevel2Ms: number;
  /** vLLM's sleep mode: 2.8 to 6 s to sleep (§1.3). */
  readonly sleepMs: number;
  /** One step of the batch takes stepMs + perSequenceMs × sequences + perPromptTokenMs × prompt tokens (§1.9). */
  readonly stepMs: number;
  readonly perSequenceMs: number;
  readonly perPromptTokenMs: number;
  /** Of its vectors: the width of published models of that size. */
  readonly dimensions: number;
}

/** Prompt tokens that one step reads at most: chunked prefill as in §1.9. */
export const PROMPT_TOKENS_PER_STEP = 2048;

export const simulatedProfiles: Readonly<Record<SimulatedProfileName, SimulatedProfile>> = {
  // §1.1: a whole process of 4B took 58 s and of 0.6B 37.6 s; §1.4: 35 to 60 s. Wakes: 0.82 s for 4B measured, 16 GB at
  // 21 GB/s are 0.8 s. Steps [C]: 16 GB from 3.35 TB/s memory are 4.8 ms, and engines reach about 60 % of that; prompts:
  // 16 GFLOP a token at 40 % of 990 TFLOPS.
  Size7B: {
    loadMs: 45_000,
    wakeLevel1Ms: 900,
    wakeLevel2Ms: 2_000,
    sleepMs: 2_800,
    stepMs: 8,
    perSequenceMs: 0.12,
    perPromptTokenMs: 0.04,
    dimensions: 4096,
  },
  // §1.4: 40 to 70 s. 26 GB at 21 GB/s are 1.2 s. Steps [C]: as above with 26 GB.
  Size13B: {
    loadMs: 55_000,
    wakeLevel1Ms: 1_400,
    wakeLevel2Ms: 3_000,
    sleepMs: 3_200,
    stepMs: 13,
    perSequenceMs: 0.2,
    perPromptTokenMs: 0.066,
    dimensions: 5120,
  },
  // §1.9: 120 s from cold, and the step fitted to published timings of one group of four H100. §1.2: 140 GB at 44 GB/s to
  // four accelerators at once are 3.2 s.
  Size70B: {
    loadMs: 120_000,
    wakeLevel1Ms: 3_200,
    wakeLevel2Ms: 9_000,
    sleepMs: 5_500,
    stepMs: 29.5,
    perSequenceMs: 0.35,
    perPromptTokenMs: 0.091,
    dimensions: 8192,
  },
};

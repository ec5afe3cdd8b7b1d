// How the next token is chosen for one request: the request's own figures, then the revision's, then the defaults here.
// Pure but for the seed, which comes from the given Rng; must never leave a figure to the library's own defaults.
import type { Rng } from '../../lib/rng.ts';
import type { RequestedSampling } from './answer-fields.ts';
import type { SamplingDefaults } from './config.ts';

/** OpenAI's defaults. */
const TEMPERATURE = 1;
const TOP_P = 1;
/** What llama-server takes; sampling from a whole vocabulary costs four times the speed. */
const TOP_K = 40;
const TOP_K_MAX = 1000;
const SEED_SPAN = 2 ** 31;
/** A bias down to here forbids its token. */
export const FORBIDDING_BIAS = -100;
/** Tokens of the answer that penalties look back on. A constant: another value would rebuild the native sampler every token. */
export const PENALTY_TOKENS = 1024;

export interface Sampling {
  /** 0 takes the likeliest token. */
  readonly temperature: number;
  readonly topP: number;
  readonly topK: number;
  readonly minP: number;
  /** 0 to 2^31 - 1. */
  readonly seed: number;
  readonly presencePenalty: number;
  readonly frequencyPenalty: number;
  /** Added to the logits of these tokens; -100 forbids the token. */
  readonly biases: ReadonlyMap<number, number>;
}

export function resolveSampling(asked: RequestedSampling, defaults: SamplingDefaults | undefined, rng: Rng): Sampling {
  return {
    temperature: asked.temperature ?? defaults?.temperature ?? TEMPERATURE,
    topP: asked.topP ?? defaults?.topP ?? TOP_P,
    topK: boundedTopK(asked.topK ?? defaults?.topK),
    minP: asked.minP ?? defaults?.minP ?? 0,
    seed: asked.seed === undefined ? rng.below(SEED_SPAN) : foldSeed(asked.seed),
    presencePenalty: asked.presencePenalty ?? 0,
    frequencyPenalty: asked.frequencyPenalty ?? 0,
    biases: asked.biases,
  };
}

/** 0 and -1 mean "all" in other servers: here the most that is affordable. */
function boundedTopK(topK: number | undefined): number {
  if (topK === undefined) return TOP_K;
  return topK <= 0 ? TOP_K_MAX : Math.min(topK, TOP_K_MAX);
}

/** The same seed always folds to the same 31 bits, negative ones too. */
function foldSeed(seed: number): number {
  return ((seed % SEED_SPAN) + SEED_SPAN) % SEED_SPAN;
}

/** One answer of several to the same prompt: its own seed, so that they differ; the first is as if it were alone. */
export function samplingOfChoice(sampling: Sampling, choice: number): Sampling {
  return choice === 0 ? sampling : { ...sampling, seed: foldSeed(sampling.seed + choice) };
}

/** Always the likeliest token: for the probe and the warm-up. */
export const greedySampling: Sampling = {
  temperature: 0,
  topP: 1,
  topK: 1,
  minP: 0,
  seed: 0,
  presencePenalty: 0,
  frequencyPenalty: 0,
  biases: new Map(),
};

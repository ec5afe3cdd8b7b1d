// Simulated weights: a profile and a seed in the place of a file. What they are, what they would weigh and how much memory an
// accelerator would need for them. The controller and the engine `sim` both ask here, so they cannot disagree.
// Pure; must never read a file. The times of a profile are the engine's own (src/engine/sim/profile.ts).
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { canonicalJson } from '../lib/canonical-json.ts';

export const simulatedProfileNames = ['Size7B', 'Size13B', 'Size70B'] as const;
export type SimulatedProfileName = (typeof simulatedProfileNames)[number];

/** What an unwritten seed means. It stays 1: a digest rests on it. */
const SEED_DEFAULT = 1;
const SEED_MAX = 2 ** 31 - 1;

export const simulatedWeightsSchema = z
  .object({
    profile: z.enum(simulatedProfileNames).meta({
      description: 'The size whose published times and memory are imitated.',
    }),
    seed: z.int().min(0).max(SEED_MAX).default(SEED_DEFAULT).meta({
      description: 'Stands for the content of the weights: another seed answers with other words.',
    }),
  })
  .meta({ description: 'No weights: the engine Sim imitates a model of this size. Its answers mean nothing.' });
export type SimulatedWeights = z.infer<typeof simulatedWeightsSchema>;

export interface SimulatedSize {
  /** Of the file that there would be, and of the weights in accelerator memory. */
  readonly weightsBytes: number;
  /** Keys and values of one token in all layers, 16 bits each: 2 × layers × key-value heads × head width × 2. */
  readonly kvBytesPerToken: number;
  /** Accelerators of the set that the times are for. */
  readonly accelerators: number;
  /** What a sleeping process keeps on all its accelerators together. */
  readonly residueBytes: number;
  /** What each sleep and wake leaves behind for good, on all accelerators together. */
  readonly leakBytesPerCycle: number;
  readonly contextTrained: number;
}

const HEAD_WIDTH = 128;
const GB = 1_000_000_000;
const MB = 1_000_000;
/** About what vLLM 0.13 keeps on each accelerator while it sleeps (scaling.md §1.4, vllm#32714). */
const RESIDUE_BYTES_PER_ACCELERATOR = 1_100 * MB;
/** A healthy engine's drift: 200 sleeps stay within what the agent allows. The leak of vllm#21336 is a fault. */
const LEAK_BYTES_PER_ACCELERATOR = 2 * MB;

/** Weights in 16 bits: scaling.md §1.2. Shapes as published for Llama 3 8B, Llama 2 13B and Llama 3 70B. */
export const simulatedSizes: Readonly<Record<SimulatedProfileName, SimulatedSize>> = {
  Size7B: sizeOf({ weightsBytes: 16 * GB, layers: 32, kvHeads: 8, accelerators: 1, contextTrained: 8192 }),
  Size13B: sizeOf({ weightsBytes: 26 * GB, layers: 40, kvHeads: 40, accelerators: 1, contextTrained: 4096 }),
  Size70B: sizeOf({ weightsBytes: 140 * GB, layers: 80, kvHeads: 8, accelerators: 4, contextTrained: 8192 }),
};

function sizeOf(shape: {
  weightsBytes: number;
  layers: number;
  kvHeads: number;
  accelerators: number;
  contextTrained: number;
}): SimulatedSize {
  const { weightsBytes, layers, kvHeads, accelerators, contextTrained } = shape;
  return {
    weightsBytes,
    kvBytesPerToken: 2 * layers * kvHeads * HEAD_WIDTH * 2,
    accelerators,
    residueBytes: accelerators * RESIDUE_BYTES_PER_ACCELERATOR,
    leakBytesPerCycle: accelerators * LEAK_BYTES_PER_ACCELERATOR,
    contextTrained,
  };
}

/** What a revision pins of simulated weights. Nothing is looked for: the same profile and seed always give the same. */
export interface ResolvedSimulatedWeights {
  readonly simulated: SimulatedWeights;
  readonly sizeBytes: number;
  /** Stands in for the digest of a file: over profile and seed. */
  readonly sha256: string;
  readonly trainedContextLength: number;
}

export function resolveSimulatedWeights(wanted: z.input<typeof simulatedWeightsSchema>): ResolvedSimulatedWeights {
  const simulated = { profile: wanted.profile, seed: wanted.seed ?? SEED_DEFAULT };
  const { weightsBytes, contextTrained } = simulatedSizes[wanted.profile];
  return {
    simulated,
    sizeBytes: weightsBytes,
    sha256: createHash('sha256').update(canonicalJson({ simulated })).digest('hex'),
    trainedContextLength: contextTrained,
  };
}

/** Tokens that one accelerator set keeps at most, over all requests (scaling.md §1.9). */
const KV_TOKENS_MAX = 250_000;

export interface SimulatedMemory {
  /** Tokens of prompts and answers that all requests together may hold. */
  readonly kvTokens: number;
  /** Weights, and keys and values: what an awake instance holds, without leaks. */
  readonly awakeBytes: number;
  /** What a sleeping one keeps, without leaks. */
  readonly asleepBytes: number;
}

/** Room for every place with a full context, bounded; never less than one full context. */
export function simulatedMemory(wanted: {
  profile: SimulatedProfileName;
  contextLength: number;
  concurrency: number;
}): SimulatedMemory {
  const { weightsBytes, kvBytesPerToken, residueBytes } = simulatedSizes[wanted.profile];
  const { contextLength, concurrency } = wanted;
  const kvTokens = Math.max(contextLength, Math.min(concurrency * contextLength, KV_TOKENS_MAX));
  return { kvTokens, awakeBytes: weightsBytes + kvTokens * kvBytesPerToken, asleepBytes: residueBytes };
}

/** Raised when the same seed, prompt and sampling would be answered with other words, so that probes would differ. */
const SIMULATED_BEHAVIOUR = 1;
/** 32 hexadecimal digits: what the process says of itself. */
export const SIMULATED_BUILD_DIGEST = createHash('sha256')
  .update(`simulated:${SIMULATED_BEHAVIOUR}`)
  .digest('hex')
  .slice(0, 32);
/** What a revision pins of the engine's build, and what an agent reports. */
export function renderSimulatedBuild(digest: string): string {
  return `simulated:${digest.slice(0, 12)}`;
}
export const SIMULATED_BUILD = renderSimulatedBuild(SIMULATED_BUILD_DIGEST);

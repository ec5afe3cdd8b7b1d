// What is assumed of a model before anything of it was seen: the cost of its steps and the times of its moves, from the size of
// its weights and what runs them. Guesses only: every answer and every climb puts them right.
import type { ClimbTimes } from '../climb.ts';
import type { ModelGuess } from '../pool/fleet-planner.ts';
import type { StepCost } from './cost.ts';

export interface GuessFacts {
  readonly weightsBytes: number;
  /** Accelerators that share the weights. */
  readonly accelerators: number;
  /** A processor reads its memory about a hundred times slower than an accelerator does. */
  readonly isProcessor: boolean;
  readonly times: Required<ClimbTimes>;
  /** How fast its time runs: 1 for everything but simulated engines. */
  readonly speed: number;
}

/** Bytes of weights that a step reads in a millisecond: 60 % of 3.35 TB/s (scaling.md §1.9), and common memory. */
const READ_BYTES_PER_MS = { accelerator: 2_000_000_000, processor: 20_000_000 };
/** What several accelerators take to agree, in each step. */
const AGREE_MS = 12;
/** A prompt token costs this part of a step, and a sequence this one: those of the sizes in src/sim/profile.ts. */
const PROMPT_SHARE = { accelerator: 1 / 200, processor: 1 / 3 };
const SEQUENCE_SHARE = { accelerator: 1 / 70, processor: 1 / 3 };
const OUTPUT_TOKENS = 200;
const SLEEP_MS_BASE = 300;
const SLEEP_BYTES_PER_MS = 7_000_000;
/** What an answer under way takes to end, about. */
const DRAIN_MS = 3000;

export function guessModel({ weightsBytes, accelerators, isProcessor, times, speed }: GuessFacts): ModelGuess {
  const each = weightsBytes / Math.max(1, accelerators);
  return {
    cost: guessCost(each, { isProcessor, isShared: accelerators > 1, speed }),
    outputTokens: OUTPUT_TOKENS,
    startMs: times.stagedMs,
    wakeMs: times.asleepMs,
    sleepMs: guessSleepMs({ weightsBytes, accelerators, speed }),
    drainMs: DRAIN_MS / speed,
  };
}

/** How long it takes to go to sleep. */
export function guessSleepMs({
  weightsBytes,
  accelerators,
  speed,
}: Pick<GuessFacts, 'weightsBytes' | 'accelerators' | 'speed'>): number {
  return (SLEEP_MS_BASE + weightsBytes / Math.max(1, accelerators) / SLEEP_BYTES_PER_MS) / speed;
}

function guessCost(
  bytes: number,
  { isProcessor, isShared, speed }: { isProcessor: boolean; isShared: boolean; speed: number },
): StepCost {
  const kind = isProcessor ? 'processor' : 'accelerator';
  const readMs = Math.max(0.1, bytes / READ_BYTES_PER_MS[kind]);
  return {
    stepMs: (readMs + (isShared && !isProcessor ? AGREE_MS : 0)) / speed,
    perSequenceMs: (readMs * SEQUENCE_SHARE[kind]) / speed,
    perPromptTokenMs: (readMs * PROMPT_SHARE[kind]) / speed,
  };
}

// The accelerator memory of one simulated process: what it holds awake and asleep, and what its cycles leave behind for good.
// Must never hold more than it was told is free; the slot's account is src/engine/sim-ledger.ts.
import { type SimulatedProfileName, simulatedMemory, simulatedSizes } from '../../api/simulated-weights.ts';

/** What one cycle leaked per accelerator in vllm#21336 (scaling.md §1.6). */
const LEAK_FAULT_BYTES = 3.4 * 1024 ** 3;

export interface Accelerator {
  /** Held now. */
  readonly bytes: number;
  /** Held while it is awake. */
  readonly neededBytes: number;
  /** Tokens that all requests together may hold while it is awake. */
  readonly kvTokens: number;
  /** Why it cannot be filled with `freeBytes` beside what others hold, as a sentence; undefined when it can. */
  misfit(freeBytes: number): string | undefined;
  fill(): void;
  /** Releases all but the residue and what has leaked; the leak grows, a lot when `leaks`. */
  release(leaks: boolean): void;
}

export function createAccelerator(wanted: {
  readonly profile: SimulatedProfileName;
  readonly contextLength: number;
  readonly concurrency: number;
}): Accelerator {
  const { accelerators, leakBytesPerCycle } = simulatedSizes[wanted.profile];
  const { awakeBytes, asleepBytes, kvTokens } = simulatedMemory(wanted);
  let leakedBytes = 0;
  let bytes = 0;
  return {
    get bytes() {
      return bytes;
    },
    get neededBytes() {
      return awakeBytes + leakedBytes;
    },
    kvTokens,
    misfit(freeBytes) {
      const neededBytes = awakeBytes + leakedBytes;
      return neededBytes <= freeBytes ? undefined : outOfMemory(neededBytes, freeBytes);
    },
    fill() {
      bytes = awakeBytes + leakedBytes;
    },
    release(leaks) {
      leakedBytes += leakBytesPerCycle + (leaks ? Math.round(accelerators * LEAK_FAULT_BYTES) : 0);
      bytes = asleepBytes + leakedBytes;
    },
  };
}

export function outOfMemory(neededBytes: number, freeBytes: number): string {
  return `Out of accelerator memory: the model needs ${inGB(neededBytes)} GB, and ${inGB(freeBytes)} GB are free.`;
}

function inGB(bytes: number): string {
  return (bytes / 1e9).toFixed(1);
}

// How much host memory an instance of each revision holds once it sleeps: what sleepers reported, and a guess from the size of the
// weights before the first one slept for a while. Remembers figures only; decides nothing.
import type { ModelRevision } from '../api/model-revision.ts';
import type { Claim } from '../core/plan/placement.ts';
import type { World } from './observe.ts';

/** An engine is asked for its memory every few seconds: sooner the figure may be from when it was awake. */
const SETTLED_MS_MIN = 15_000;
/** A larger figure counts at once, and a smaller one by this share of the difference. */
const SMALLER_SHARE = 0.1;

const MIB = 1024 * 1024;
/** A process of a large engine: its runtime and what its accelerator's driver keeps in host memory. */
const PROCESS_BYTES = 8192 * MIB;
const OWN_PROCESS_BYTES = 512 * MIB;

/** Before anything is known. Level 1 keeps the weights in host memory, and the copy is made while they lie there once more. */
export function guessAsleepBytes({ spec }: ModelRevision): number {
  const { name } = spec.engine;
  const weightsBytes = spec.weights?.sizeBytes ?? 0;
  // Simulated weights lie nowhere. The built-in engine gives back more than this when it sleeps.
  if (name === 'Sim') return OWN_PROCESS_BYTES;
  return name === 'Llama' ? weightsBytes + OWN_PROCESS_BYTES : 2 * weightsBytes + PROCESS_BYTES;
}

/** Returns the function that tells claims what their sleepers hold. Called at every plan: it learns from the world. */
export function createSleepMemory(): (world: World, claims: readonly Claim[]) => Claim[] {
  const learned = new Map<string, number>();
  return (world, claims) => {
    for (const revision of learned.keys()) if (!world.revisions.has(revision)) learned.delete(revision);
    for (const { instances } of world.slots) {
      for (const { revision, rung, rungAgeMs, residentBytes } of instances) {
        if (rung !== 'Asleep' || rungAgeMs < SETTLED_MS_MIN || residentBytes === undefined) continue;
        learned.set(revision, learn(learned.get(revision), residentBytes));
      }
    }
    return claims.map((claim) => {
      const revision = world.revisions.get(claim.revision);
      const asleepBytes = learned.get(claim.revision) ?? (revision === undefined ? 0 : guessAsleepBytes(revision));
      return { ...claim, asleepBytes };
    });
  };
}

function learn(before: number | undefined, now: number): number {
  if (before === undefined || now >= before) return now;
  return before + Math.ceil(SMALLER_SHARE * (now - before));
}

// What a run may be made of besides its requests (src/cli/simulate.ts bounds those): refused before any of it is made, with the
// arithmetic and what to lower.
import { SetupError } from './setup-error.ts';

/** Models of a generated load: each is drawn on its own. */
export const LOAD_MODELS_MAX = 1000;
/** As Pool.spec.sleepersPerSlotMax. */
export const SLEEPERS_PER_SLOT_MAX = 64;
/** Silences, or lost nodes, that are drawn for one run. */
export const FAULTS_MAX = 10_000;

const HOUR_MS = 3_600_000;

export function checkLoadModels(models: number): void {
  if (models > LOAD_MODELS_MAX)
    throw new SetupError(`${models} models are above the most that a load may have (${LOAD_MODELS_MAX}).`);
}

export function checkSleepersPerSlot(count: number): void {
  if (count > SLEEPERS_PER_SLOT_MAX)
    throw new SetupError(
      `${count} sleepers in a slot are above the most that a Pool allows (${SLEEPERS_PER_SLOT_MAX}).`,
    );
}

export function checkFaultCount(name: string, perHour: number, spanMs: number): void {
  const hours = spanMs / HOUR_MS;
  const count = Math.round(perHour * hours);
  if (count <= FAULTS_MAX) return;
  const sum = `${perHour} an hour × ${hours.toFixed(1)} h = ${count}`;
  throw new SetupError(`${name} in --faults: ${sum}, and a run has ${FAULTS_MAX} at most.`);
}

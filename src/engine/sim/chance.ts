// Chance of the simulated engine: every draw has a name and depends on nothing but it, so a run can be repeated whatever
// else happens in between. Must never be drawn from the system.
import { createHash } from 'node:crypto';
import { createRng, type Rng } from '../../lib/rng.ts';

/** A generator of its own for what the parts name, in their order. */
export function namedRng(...parts: readonly (string | number)[]): Rng {
  const digest = createHash('sha256').update(JSON.stringify(parts)).digest();
  return createRng(digest.readUInt32LE(0));
}

/** A factor around 1 with a log-normal spread: the median is 1, and `sigma` 0.1 keeps two thirds within a tenth. */
export function spreadFactor(rng: Rng, sigma: number): number {
  // Box and Muller: two even draws give one of the bell curve. 1 - next() is never 0.
  const radius = Math.sqrt(-2 * Math.log(1 - rng.next()));
  return Math.exp(sigma * radius * Math.cos(2 * Math.PI * rng.next()));
}

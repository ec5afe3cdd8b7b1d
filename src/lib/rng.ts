// Chance as a parameter. The seeded generator replays a run from its printed seed; the system one is for production.
// Never use either for secrets or public ids: those come from node:crypto (src/lib/ids.ts).

export interface Rng {
  /** A number in [0, 1). */
  next(): number;
  /** A whole number in [0, bound). `bound` must be a positive integer. */
  below(bound: number): number;
}

export const systemRng: Rng = {
  next: () => Math.random(),
  below: (bound) => Math.floor(Math.random() * bound),
};

/** Deterministic generator (mulberry32: 32 bits of state, good enough for jitter, tests and simulation). */
export function createRng(seed: number): Rng {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return { next, below: (bound) => Math.floor(next() * bound) };
}

// How many requests came in each of the last steps, per model, so that a new leader has a history (DESIGN §3).
// A ring of fixed size for each model. Never grows with time or traffic.

export const ARRIVAL_STEP_MS = 10_000;
export const ARRIVAL_STEPS = 60;

export interface ArrivalHistory {
  add(nowMs: number): void;
  /** Counts in steps of ARRIVAL_STEP_MS, oldest first; the newest step is the one that `nowMs` is in. */
  counts(nowMs: number): number[];
}

export function createArrivalHistory(): ArrivalHistory {
  const ring = new Array<number>(ARRIVAL_STEPS).fill(0);
  let newestStep = 0;
  const moveTo = (nowMs: number) => {
    const step = Math.floor(nowMs / ARRIVAL_STEP_MS);
    const passed = Math.min(ARRIVAL_STEPS, Math.max(0, step - newestStep));
    for (let index = 1; index <= passed; index += 1) ring[(newestStep + index) % ARRIVAL_STEPS] = 0;
    if (passed === ARRIVAL_STEPS) ring.fill(0);
    newestStep = Math.max(newestStep, step);
  };
  return {
    add(nowMs) {
      moveTo(nowMs);
      const index = newestStep % ARRIVAL_STEPS;
      ring[index] = (ring[index] ?? 0) + 1;
    },
    counts(nowMs) {
      moveTo(nowMs);
      return ring.map((_, index) => ring[(newestStep + 1 + index) % ARRIVAL_STEPS] ?? 0);
    },
  };
}

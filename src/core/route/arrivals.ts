// How many requests and prompt tokens came in each of the last steps, per model, so that a new leader has a history (DESIGN §3).
// A ring of fixed size for each model. Never grows with time or traffic.

export const ARRIVAL_STEP_MS = 10_000;
export const ARRIVAL_STEPS = 60;

export interface ArrivalHistory {
  add(nowMs: number, promptTokens: number): void;
  /** Counts in steps of ARRIVAL_STEP_MS, oldest first; the newest step is the one that `nowMs` is in. */
  counts(nowMs: number): number[];
  /** Prompt tokens of the same steps. */
  tokens(nowMs: number): number[];
}

export function createArrivalHistory(): ArrivalHistory {
  const requests = new Array<number>(ARRIVAL_STEPS).fill(0);
  const tokens = new Array<number>(ARRIVAL_STEPS).fill(0);
  let newestStep = 0;
  const moveTo = (nowMs: number) => {
    const step = Math.floor(nowMs / ARRIVAL_STEP_MS);
    const passed = Math.min(ARRIVAL_STEPS, Math.max(0, step - newestStep));
    for (let index = 1; index <= passed; index += 1) {
      requests[(newestStep + index) % ARRIVAL_STEPS] = 0;
      tokens[(newestStep + index) % ARRIVAL_STEPS] = 0;
    }
    if (passed === ARRIVAL_STEPS) for (const ring of [requests, tokens]) ring.fill(0);
    newestStep = Math.max(newestStep, step);
  };
  const inOrder = (ring: readonly number[]) =>
    ring.map((_, index) => ring[(newestStep + 1 + index) % ARRIVAL_STEPS] ?? 0);
  return {
    add(nowMs, promptTokens) {
      moveTo(nowMs);
      const index = newestStep % ARRIVAL_STEPS;
      requests[index] = (requests[index] ?? 0) + 1;
      tokens[index] = (tokens[index] ?? 0) + promptTokens;
    },
    counts(nowMs) {
      moveTo(nowMs);
      return inOrder(requests);
    },
    tokens(nowMs) {
      moveTo(nowMs);
      return inOrder(tokens);
    },
  };
}

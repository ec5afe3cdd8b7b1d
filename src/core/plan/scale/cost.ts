// What a request costs in replica-time: the unit that scaling counts in, because it means the same on every workload.
// A step of an engine takes a + b × sequences + g × prompt tokens (scaling.md §2.3). Pure figures.

/** a, b and g of a step, and how many sequences share one while tokens still come at the wanted pace. */
export interface StepCost {
  readonly stepMs: number;
  readonly perSequenceMs: number;
  readonly perPromptTokenMs: number;
}

/** The batch at which one more token still comes within the gap; at least 1, at most what the engine takes. */
export function sequencesAtPace(
  cost: StepCost,
  limits: { readonly gapMsMax: number; readonly sequencesMax: number },
): number {
  const batch = (limits.gapMsMax - cost.stepMs) / cost.perSequenceMs;
  return Math.max(1, Math.min(limits.sequencesMax, Math.floor(batch)));
}

/** Time to read a prompt, on a replica that does nothing else. */
export function readMs(cost: StepCost, promptTokens: number): number {
  return cost.perPromptTokenMs * promptTokens;
}

/** The share of a replica's time that writing these tokens takes, with `sequences` written together. */
export function writeMs(cost: StepCost, outputTokens: number, sequences: number): number {
  return outputTokens * (cost.stepMs / sequences + cost.perSequenceMs);
}

// Samples of one figure over a while, for policies that look at means, at maxima or at what was true some time ago.
// Keeps no sample older than its span.

export interface Recent {
  add(nowMs: number, value: number): void;
  mean(): number;
  max(): number;
  /** The newest sample that is at least this old; the oldest one when none is. */
  before(timeMs: number): number;
}

export function createRecent(spanMs: number): Recent {
  let samples: { readonly atMs: number; readonly value: number }[] = [];
  return {
    add(nowMs, value) {
      samples = samples.filter(({ atMs }) => atMs > nowMs - spanMs);
      samples.push({ atMs: nowMs, value });
    },
    mean: () => samples.reduce((sum, { value }) => sum + value, 0) / Math.max(1, samples.length),
    max: () => samples.reduce((most, { value }) => Math.max(most, value), 0),
    before: (timeMs) => (samples.findLast(({ atMs }) => atMs <= timeMs) ?? samples[0])?.value ?? 0,
  };
}

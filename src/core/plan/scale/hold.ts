// The largest value of the last while: what makes a figure rise at once and fall late. Keeps only values that may still be the
// largest, so it stays small. Time is given and never read.

export interface Hold {
  /** Adds a value and returns the largest of the span that ends now; of a shorter one if it is given. */
  add(nowMs: number, value: number, spanMs?: number): number;
}

export function createHold(spanMs: number): Hold {
  let kept: { readonly atMs: number; readonly value: number }[] = [];
  return {
    add(nowMs, value, shorterMs = spanMs) {
      kept = kept.filter((entry) => entry.value > value && entry.atMs > nowMs - spanMs);
      kept.push({ atMs: nowMs, value });
      return kept.find(({ atMs }) => atMs > nowMs - shorterMs)?.value ?? value;
    },
  };
}

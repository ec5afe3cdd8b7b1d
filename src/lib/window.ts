// Counts, sums and maxima over the last while, in steps of fixed length: constant memory and constant time whatever comes.
// Precise to one step: a value leaves with its whole step. Time is given by the caller and never read.

export interface WindowFigures {
  readonly count: number;
  readonly sum: number;
  /** The largest value; 0 when nothing came. */
  readonly max: number;
}

export interface SlidingWindow {
  /** Adds one value that came at `nowMs` (monotonic). A time before the newest one counts as the newest. */
  add(nowMs: number, value?: number): void;
  /** The figures of the span that ends at `nowMs`. */
  read(nowMs: number): WindowFigures;
  /** Sums of each step, oldest first, the running one last. */
  steps(nowMs: number): readonly number[];
}

interface Step {
  count: number;
  sum: number;
  max: number;
}

/** `spanMs` must be a whole multiple of `stepMs`, in at most 10,000 steps. */
export function createWindow({ spanMs, stepMs }: { readonly spanMs: number; readonly stepMs: number }): SlidingWindow {
  const length = spanMs / stepMs;
  if (!Number.isInteger(length) || length < 1 || length > 10_000) {
    throw new RangeError(`a window of ${spanMs} ms cannot have steps of ${stepMs} ms`);
  }
  const ring: Step[] = Array.from({ length }, emptyStep);
  let newest: number | undefined;
  /** Forgets the steps between the newest one and now; returns the index of the running step. */
  const moveTo = (nowMs: number): number => {
    const index = Math.floor(nowMs / stepMs);
    if (newest === undefined || index - newest >= length) for (const step of ring) clearStep(step);
    else for (let passed = newest + 1; passed <= index; passed += 1) clearStep(placeOf(ring, passed));
    newest = newest === undefined ? index : Math.max(newest, index);
    return newest;
  };
  return {
    add(nowMs, value = 1) {
      const step = placeOf(ring, moveTo(nowMs));
      step.max = step.count === 0 ? value : Math.max(step.max, value);
      step.count += 1;
      step.sum += value;
    },
    read(nowMs) {
      moveTo(nowMs);
      const filled = ring.filter((step) => step.count > 0);
      return {
        count: filled.reduce((total, step) => total + step.count, 0),
        sum: filled.reduce((total, step) => total + step.sum, 0),
        max:
          filled.length === 0 ? 0 : filled.reduce((most, step) => Math.max(most, step.max), Number.NEGATIVE_INFINITY),
      };
    },
    steps(nowMs) {
      const last = moveTo(nowMs);
      return ring.map((_, at) => placeOf(ring, last - length + 1 + at).sum);
    },
  };
}

function emptyStep(): Step {
  return { count: 0, sum: 0, max: 0 };
}

function clearStep(step: Step): void {
  step.count = 0;
  step.sum = 0;
  step.max = 0;
}

function placeOf(ring: readonly Step[], index: number): Step {
  const place = ring[((index % ring.length) + ring.length) % ring.length];
  if (place === undefined) throw new RangeError('a window has at least one step');
  return place;
}

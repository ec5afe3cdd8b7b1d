// A quantile sketch with bounded relative error and bounded memory: logarithmic bins whose counts can be added together, so
// that sketches merge exactly. Source: Masson, Rim, Lee, "DDSketch", VLDB 2019. For values of 0 and above.

/** Plain data, for JSON: bins are pairs of index and count. */
export interface SketchState {
  readonly relativeError: number;
  readonly zeros: number;
  readonly min: number;
  readonly max: number;
  readonly bins: readonly (readonly [number, number])[];
}

export interface QuantileSketch {
  readonly count: number;
  /** Adds a value of 0 or more; anything else (NaN, infinity, negative) is refused with a RangeError. */
  add(value: number, times?: number): void;
  /** The value below which `rank` (0 to 1) of all values lie, off by at most the relative error; undefined when empty. */
  quantile(rank: number): number | undefined;
  /** Adds everything that `other` has seen. Both need the same relative error. */
  merge(other: SketchState): void;
  state(): SketchState;
}

/** Values below this count as 0: nothing that we measure is smaller. */
const SMALLEST = 1e-9;
const RELATIVE_ERROR = 0.01;
/** At 1 % these span 9 decades. Beyond it the lowest bins are joined, so the upper quantiles stay exact. */
const BINS_MAX = 1024;

export function createSketch(
  options: { readonly relativeError?: number; readonly state?: SketchState } = {},
): QuantileSketch {
  const relativeError = options.state?.relativeError ?? options.relativeError ?? RELATIVE_ERROR;
  if (!(relativeError >= 0.001 && relativeError <= 0.5))
    throw new RangeError('the relative error must be 0.001 to 0.5');
  const gamma = (1 + relativeError) / (1 - relativeError);
  const logGamma = Math.log(gamma);
  const bins = new Map<number, number>();
  let zeros = 0;
  let count = 0;
  let min = Number.POSITIVE_INFINITY;
  let max = 0;
  const put = (index: number, times: number) => {
    bins.set(index, (bins.get(index) ?? 0) + times);
    if (bins.size > BINS_MAX) joinLowest(bins);
  };
  const sketch: QuantileSketch = {
    get count() {
      return count;
    },
    add(value, times = 1) {
      if (!(value >= 0 && Number.isFinite(value)))
        throw new RangeError(`a sketch takes values of 0 and above, not ${value}`);
      count += times;
      min = Math.min(min, value);
      max = Math.max(max, value);
      if (value < SMALLEST) zeros += times;
      else put(Math.ceil(Math.log(value) / logGamma), times);
    },
    quantile(rank) {
      if (count === 0) return undefined;
      const position = Math.min(Math.max(rank, 0), 1) * (count - 1);
      let seen = zeros;
      if (position < seen) return 0;
      for (const [index, times] of [...bins].sort(([a], [b]) => a - b)) {
        seen += times;
        // The middle of the bin in relative terms; what was really seen bounds it.
        if (position < seen) return Math.min(max, Math.max(min, (2 * gamma ** index) / (gamma + 1)));
      }
      return max;
    },
    merge(other) {
      if (other.relativeError !== relativeError) throw new RangeError('sketches of different errors do not merge');
      for (const [index, times] of other.bins) put(index, times);
      zeros += other.zeros;
      const added = other.bins.reduce((total, [, times]) => total + times, other.zeros);
      count += added;
      if (added > 0) {
        min = Math.min(min, other.min);
        max = Math.max(max, other.max);
      }
    },
    state: () => ({
      relativeError,
      zeros,
      min: count === 0 ? 0 : min,
      max,
      bins: [...bins].sort(([a], [b]) => a - b),
    }),
  };
  if (options.state !== undefined) sketch.merge(options.state);
  return sketch;
}

/** Makes the two lowest bins one. */
function joinLowest(bins: Map<number, number>): void {
  const [lowest, next] = [...bins.keys()].sort((a, b) => a - b);
  if (lowest === undefined || next === undefined) return;
  bins.set(next, (bins.get(next) ?? 0) + (bins.get(lowest) ?? 0));
  bins.delete(lowest);
}

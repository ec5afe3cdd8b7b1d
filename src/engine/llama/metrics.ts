// The figures of one model server process and their Prometheus text, by hand: this process must start fast and has no labels
// to speak of. Counters live as long as the process, over sleeps and wakes. Must never hold a figure of a single caller.

export interface Counter {
  readonly value: number;
  add(by: number): void;
}

export interface Gauge {
  readonly value: number;
  set(value: number): void;
}

export interface Histogram {
  observe(value: number): void;
  /** Upper bounds with the count of values at or below each, ending with +Inf. */
  readonly cumulative: readonly (readonly [bound: string, count: number])[];
  readonly sum: number;
  readonly count: number;
}

const FIRST_TOKEN_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];
const INTER_TOKEN_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

export function createServerMetrics() {
  return {
    promptTokens: createCounter(),
    cachedTokens: createCounter(),
    generatedTokens: createCounter(),
    prefillTokens: createCounter(),
    prefillSeconds: createCounter(),
    prefillRate: createGauge(),
    queueSeconds: createHistogram(FIRST_TOKEN_SECONDS),
    firstTokenSeconds: createHistogram(FIRST_TOKEN_SECONDS),
    interTokenSeconds: createHistogram(INTER_TOKEN_SECONDS),
    /** Steps begun. */
    batches: createCounter(),
    /** Inputs that became vectors. */
    embeddings: createCounter(),
    embeddingTokens: createCounter(),
    aborted: createCounter(),
    rejected: createCounter(),
    failed: createCounter(),
    loads: createCounter(),
    loadSeconds: createCounter(),
  };
}

export type ServerMetrics = ReturnType<typeof createServerMetrics>;

export function createCounter(): Counter {
  let value = 0;
  return {
    get value() {
      return value;
    },
    add(by) {
      value += by;
    },
  };
}

export function createGauge(): Gauge {
  let value = 0;
  return {
    get value() {
      return value;
    },
    set(next) {
      value = next;
    },
  };
}

/** `bounds` rise. */
export function createHistogram(bounds: readonly number[]): Histogram {
  const counts = new Array<number>(bounds.length + 1).fill(0);
  let sum = 0;
  let count = 0;
  return {
    observe(value) {
      const at = bounds.findIndex((bound) => value <= bound);
      const bucket = at < 0 ? bounds.length : at;
      counts[bucket] = (counts[bucket] ?? 0) + 1;
      sum += value;
      count += 1;
    },
    get cumulative() {
      let total = 0;
      return counts.map((inBucket, index) => {
        total += inBucket;
        return [index < bounds.length ? String(bounds[index]) : '+Inf', total] as const;
      });
    },
    get sum() {
      return sum;
    },
    get count() {
      return count;
    },
  };
}

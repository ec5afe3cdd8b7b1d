// Generated loads by name: step, spikes, diurnal and zipf. They are for sizing without a trace, and for judging a scaler on what
// it was not tuned on. Each is an hour or two of one model, or of many with popularity by rank.

import type { Trace, TraceRequest } from '../request.ts';
import { checkLoadModels } from '../run-bounds.ts';
import { SetupError } from '../setup-error.ts';
import { DEFAULT_MODEL } from '../trace/rows.ts';
import { chatLengths, drawGap, drawLengths, drawPoisson, drawRestOfGap, mergeRequests, rngFor } from './arrivals.ts';

export const loadNames = ['step', 'spikes', 'diurnal', 'zipf'] as const;
export type LoadName = (typeof loadNames)[number];

export interface LoadOptions {
  readonly seed: number;
  /** Mean requests a second of the whole load, about. */
  readonly ratePerSecond: number;
  /** For zipf. */
  readonly models: number;
  readonly spanMs: number;
}

export const loadDefaults: LoadOptions = { seed: 1, ratePerSecond: 4, models: 20, spanMs: 3_600_000 };

export function generateLoad(name: LoadName, options: Partial<LoadOptions> = {}): Trace {
  const full = { ...loadDefaults, ...options };
  checkLoadModels(full.models);
  const requests = generators[name](full);
  if (requests.length === 0) throw new SetupError(`No request comes in this load ${name}. Raise --rate or --hours.`);
  return { name: `${name} seed ${full.seed}`, requests };
}

const generators: Readonly<Record<LoadName, (options: LoadOptions) => TraceRequest[]>> = {
  step,
  spikes,
  diurnal,
  zipf,
};

const STEP_FACTOR = 10;

/** Ten times the rate for the middle third. */
function step({ seed, ratePerSecond, spanMs }: LoadOptions): TraceRequest[] {
  const low = (ratePerSecond * 3) / (2 + STEP_FACTOR);
  const isHigh = (atMs: number) => atMs >= spanMs / 3 && atMs < (2 * spanMs) / 3;
  return drawPoisson(
    {
      model: DEFAULT_MODEL,
      spanMs,
      ratePerSecond: (atMs) => (isHigh(atMs) ? low * STEP_FACTOR : low),
      ratePerSecondMax: low * STEP_FACTOR,
      lengths: chatLengths,
    },
    rngFor(seed, 0),
  );
}

const SPIKE_EVERY_MS = 300_000;
const SPIKE_MS = 5000;

/** A steady half of the rate, and spikes of 5 s, five minutes apart on average, of a tenth to a third of what comes in between. */
function spikes({ seed, ratePerSecond, spanMs }: LoadOptions): TraceRequest[] {
  const rng = rngFor(seed, 1);
  const steady = drawPoisson(
    {
      model: DEFAULT_MODEL,
      spanMs,
      ratePerSecond: () => ratePerSecond / 2,
      ratePerSecondMax: ratePerSecond / 2,
      lengths: chatLengths,
    },
    rngFor(seed, 2),
  );
  const extra: TraceRequest[] = [];
  for (let atMs = 0; ; ) {
    atMs += -Math.log(1 - rng.next()) * SPIKE_EVERY_MS;
    if (atMs + SPIKE_MS >= spanMs) return mergeRequests([steady, extra]);
    const count = Math.round((ratePerSecond / 2) * (SPIKE_EVERY_MS / 1000) * (0.1 + 0.23 * rng.next()));
    for (let index = 0; index < count; index += 1) {
      const inSpikeMs = rng.next() * SPIKE_MS;
      extra.push({ atMs: atMs + inSpikeMs, model: DEFAULT_MODEL, ...drawLengths(chatLengths, rng) });
    }
  }
}

/** A day in the span: a night with a twentieth of the peak, and ten-minute weather on top. */
function diurnal({ seed, ratePerSecond, spanMs }: LoadOptions): TraceRequest[] {
  const rng = rngFor(seed, 3);
  const weather = Array.from({ length: Math.ceil(spanMs / 600_000) + 1 }, () => 0.7 + 0.6 * rng.next());
  const peak = ratePerSecond * 2;
  const ratePerSecondMax = peak * 1.3;
  return drawPoisson(
    {
      model: DEFAULT_MODEL,
      spanMs,
      ratePerSecond: (atMs) => {
        const day = 0.525 - 0.475 * Math.cos((2 * Math.PI * atMs) / spanMs);
        return peak * day * (weather[Math.floor(atMs / 600_000)] ?? 1);
      },
      ratePerSecondMax,
      lengths: chatLengths,
    },
    rngFor(seed, 4),
  );
}

const ZIPF_VARIATION = 3.5;

/** Many models, the n-th with an n-th of the first one's rate, each in clusters (the rate-weighted CV of ServeGen's m-large). */
function zipf({ seed, ratePerSecond, models, spanMs }: LoadOptions): TraceRequest[] {
  const total = Array.from({ length: models }, (_, rank) => 1 / (rank + 1)).reduce((sum, share) => sum + share, 0);
  const streams = Array.from({ length: models }, (_, rank) => {
    const rng = rngFor(seed, 100 + rank);
    const meanGapMs = (1000 * total * (rank + 1)) / ratePerSecond;
    const model = `model-${String(rank + 1).padStart(3, '0')}`;
    const requests: TraceRequest[] = [];
    for (let atMs = drawRestOfGap(ZIPF_VARIATION, rng) * meanGapMs; atMs < spanMs; ) {
      requests.push({ atMs, model, ...drawLengths(chatLengths, rng) });
      atMs += drawGap(ZIPF_VARIATION, rng) * meanGapMs;
    }
    return requests;
  });
  return mergeRequests(streams);
}

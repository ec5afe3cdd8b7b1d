// Times and lengths by chance, from a seed: Poisson and clustered arrivals at a rate that changes, lengths with a long tail.
// The same seed gives the same trace on every machine.
import { createRng, type Rng } from '../../lib/rng.ts';
import type { TraceRequest } from '../request.ts';

export interface LengthShape {
  readonly promptTokensMedian: number;
  readonly outputTokensMedian: number;
  /** Sigma of the logarithm of both. */
  readonly sigma: number;
}

export const chatLengths: LengthShape = { promptTokensMedian: 800, outputTokensMedian: 150, sigma: 0.9 };

const TOKENS_MAX = 60_000;

export interface RateShape {
  readonly model: string;
  readonly spanMs: number;
  /** Requests a second at a time; never above the most. */
  ratePerSecond(atMs: number): number;
  readonly ratePerSecondMax: number;
  readonly lengths: LengthShape;
}

/** A Poisson stream whose rate changes: points at the highest rate, of which the right share stays. */
export function drawPoisson(shape: RateShape, rng: Rng): TraceRequest[] {
  const requests: TraceRequest[] = [];
  for (let atMs = 0; ; ) {
    atMs += (-Math.log(1 - rng.next()) * 1000) / shape.ratePerSecondMax;
    if (atMs >= shape.spanMs) return requests;
    const isKept = rng.next() * shape.ratePerSecondMax < shape.ratePerSecond(atMs);
    if (isKept) requests.push({ atMs, model: shape.model, ...drawLengths(shape.lengths, rng) });
  }
}

export function drawLengths(shape: LengthShape, rng: Rng): { promptTokens: number; outputTokens: number } {
  const draw = (median: number) =>
    Math.min(TOKENS_MAX, Math.max(1, Math.round(median * Math.exp(shape.sigma * drawNormal(rng)))));
  return { promptTokens: draw(shape.promptTokensMedian), outputTokens: draw(shape.outputTokensMedian) };
}

/** Box and Muller. */
export function drawNormal(rng: Rng): number {
  return Math.sqrt(-2 * Math.log(1 - rng.next())) * Math.cos(2 * Math.PI * rng.next());
}

/** A gap of mean 1 with this coefficient of variation, Gamma distributed: above 1 requests come in clusters. */
export function drawGap(variation: number, rng: Rng): number {
  const shape = 1 / variation ** 2;
  return drawGamma(shape, rng) / shape;
}

/** The rest of the gap that a moment chosen by chance falls into: long gaps hold more moments. */
export function drawRestOfGap(variation: number, rng: Rng): number {
  const shape = 1 / variation ** 2;
  return rng.next() * (drawGamma(shape + 1, rng) / shape);
}

/** Marsaglia and Tsang (2000); for a shape below 1 with the usual boost. */
function drawGamma(shape: number, rng: Rng): number {
  if (shape < 1) return drawGamma(shape + 1, rng) * (1 - rng.next()) ** (1 / shape);
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = drawNormal(rng);
    const v = (1 + c * x) ** 3;
    if (v > 0 && Math.log(1 - rng.next()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v;
  }
}

/** Streams of several seeds or models as one, in order of time. */
export function mergeRequests(streams: readonly (readonly TraceRequest[])[]): TraceRequest[] {
  return streams.flat().sort((a, b) => a.atMs - b.atMs || (a.model < b.model ? -1 : a.model > b.model ? 1 : 0));
}

export function rngFor(seed: number, stream: number): Rng {
  return createRng(Math.imul(seed, 0x9e3779b1) ^ Math.imul(stream + 1, 0x85ebca6b));
}

// Weeks of one service with many clients, in the published shape of ServeGen (scaling.md §1.8): each client is a renewal process
// with Gamma or Weibull gaps whose rate changes with the day, the week and a slow weather. Requests are told one by one and never
// kept: two weeks have tens of millions.
import type { Rng } from '../../lib/rng.ts';
import { drawGap, drawNormal, rngFor } from './arrivals.ts';

export interface ServiceShape {
  readonly clients: number;
  /** Mean of the whole service. */
  readonly ratePerSecond: number;
  readonly days: number;
  /** Coefficient of variation of gaps; above 1 requests come in clusters. */
  readonly variation: number;
  /** How far the rate swings over a day: 0 not at all, 1 to nothing at night. */
  readonly daySwing: number;
  /** Sigma of the logarithm of the slow weather that all clients share, and of that of each. */
  readonly weather: number;
  readonly ownWeather: number;
  readonly seed: number;
}

/** A client, and a time within the span. Each client is told in order of time, one client after the other. */
export type OnRequest = (client: number, atMs: number) => void;

const WINDOW_MS = 600_000;
const DAY_MS = 86_400_000;
const WEEKEND_SHARE = 0.75;
/** How much of the weather is left after a window: half of it after about four hours. */
const WEATHER_KEPT = 0.97;
const PHASE_MS = 2 * 3_600_000;

export function drawService(shape: ServiceShape, onRequest: OnRequest): void {
  const windows = Math.round((shape.days * DAY_MS) / WINDOW_MS);
  const common = drawWeather(shape.weather, windows, rngFor(shape.seed, 1));
  const rates = Array.from({ length: shape.clients }, (_, client) => clientRates(shape, client, common));
  const total = rates.reduce((sum, one) => sum + one.reduce((part, rate) => part + rate, 0), 0);
  const scale = (shape.ratePerSecond * (WINDOW_MS / 1000) * windows) / total;
  for (const [client, one] of rates.entries()) {
    const expected = one.map((rate) => rate * scale);
    const rng = rngFor(shape.seed, 20_000 + client);
    renew(expected, chooseGap(shape.variation, client, rng), (atMs) => onRequest(client, atMs));
  }
}

/** Requests of each window, relative to each other and to other clients: the n-th has an n-th of the first. */
function clientRates(shape: ServiceShape, client: number, common: Float64Array): Float64Array {
  const rng = rngFor(shape.seed, 10_000 + client);
  const own = drawWeather(shape.ownWeather, common.length, rng);
  const phaseMs = drawNormal(rng) * PHASE_MS;
  return common.map((weather, window) => {
    const atMs = window * WINDOW_MS;
    const day = 1 - shape.daySwing * Math.cos((2 * Math.PI * (atMs - phaseMs)) / DAY_MS);
    const isWeekend = Math.floor(atMs / DAY_MS) % 7 >= 5;
    return (Math.max(0, day) * (isWeekend ? WEEKEND_SHARE : 1) * weather * (own[window] ?? 1)) / (client + 1);
  });
}

/** Log-normal with a memory. */
function drawWeather(sigma: number, windows: number, rng: Rng): Float64Array {
  const step = Math.sqrt(1 - WEATHER_KEPT ** 2);
  let now = drawNormal(rng);
  return Float64Array.from({ length: windows }, () => {
    now = WEATHER_KEPT * now + step * drawNormal(rng);
    return Math.exp(sigma * now - sigma ** 2 / 2);
  });
}

/** Every other client has gaps of the other family. */
function chooseGap(variation: number, client: number, rng: Rng): () => number {
  if (client % 2 === 0) return () => drawGap(variation, rng);
  const shape = weibullShape(variation);
  const mean = gammaOf(1 + 1 / shape);
  return () => (-Math.log(1 - rng.next())) ** (1 / shape) / mean;
}

/** Gaps are in expected requests, which is time stretched by the rate: clusters stay clusters at every rate. */
function renew(expected: Float64Array, drawNextGap: () => number, onRequest: (atMs: number) => void): void {
  let begin = 0;
  let next = drawNextGap();
  for (const [window, count] of expected.entries()) {
    for (; next < begin + count; next += drawNextGap()) {
      onRequest((window + Math.min(0.999_999, (next - begin) / count)) * WINDOW_MS);
    }
    begin += count;
  }
}

/** The shape of a Weibull distribution with this coefficient of variation, by halves. */
function weibullShape(variation: number): number {
  let low = 0.1;
  let high = 10;
  for (let turn = 0; turn < 60; turn += 1) {
    const shape = (low + high) / 2;
    const squared = gammaOf(1 + 2 / shape) / gammaOf(1 + 1 / shape) ** 2 - 1;
    if (squared > variation ** 2) low = shape;
    else high = shape;
  }
  return (low + high) / 2;
}

/** Stirling's series, far enough up that its first terms are exact to nine digits. */
function gammaOf(x: number): number {
  if (x < 12) return gammaOf(x + 1) / x;
  const series = 1 / (12 * x) - 1 / (360 * x ** 3) + 1 / (1260 * x ** 5);
  return Math.sqrt((2 * Math.PI) / x) * (x / Math.E) ** x * Math.exp(series);
}

// From what routers say to news for the planner: counters become differences, samples are passed on. A router that comes back
// goes on counting where it was; one that was started anew counts from nothing. Remembers counters and when they were told.
import { type Demand, HISTORY_MODELS_MAX, type ModelDemand, type RouterHello } from '../api/link.ts';
import type { ModelNews } from '../core/plan/pool/fleet-planner.ts';
import { METER_SPAN_MS } from '../core/plan/scale/demand-meter.ts';
import { ARRIVAL_STEP_MS } from '../core/route/arrivals.ts';

interface Counted {
  readonly arrivals: number;
  readonly tokens: number;
}

interface KnownRouter {
  readonly counters: Map<string, Counted>;
  readonly heardMs: number;
  /** Its history had no room for all of its models: what their counters say first is no news. */
  readonly isCut: boolean;
}

export interface DemandNews {
  /** Of a router that was never heard before: what came in its last ten minutes. */
  ofHello(hello: RouterHello, nowMs: number): readonly (readonly [string, ModelNews])[];
  ofDemand(router: string, demand: Demand, nowMs: number): readonly (readonly [string, ModelNews])[];
}

/** Counted from the next telling on. */
const unknownCount: Counted = { arrivals: Number.NaN, tokens: Number.NaN };

/** Routers whose counters are kept; the one that was not heard for longest goes first. */
const ROUTERS_MAX = 1000;
/** Of a request whose router is too old to tell. */
const PROMPT_TOKENS_GUESS = 500;

export function createDemandNews(): DemandNews {
  const known = new Map<string, KnownRouter>();
  const hear = (router: string, nowMs: number, isCut = false) => {
    const before = known.get(router) ?? { counters: new Map<string, Counted>(), heardMs: nowMs, isCut: false };
    const { counters, heardMs } = before;
    known.delete(router);
    known.set(router, { counters, heardMs: nowMs, isCut });
    const [oldest] = known.keys();
    if (known.size > ROUTERS_MAX && oldest !== undefined) known.delete(oldest);
    return { counters, silentMs: nowMs - heardMs, wasCut: before.isCut };
  };
  return {
    ofHello({ name, history }, nowMs) {
      if (known.has(name)) return [];
      const { counters } = hear(name, nowMs, history.length >= HISTORY_MODELS_MAX);
      return history.flatMap((row) => {
        // Its counters hold all of this: the first demand counts nothing twice.
        counters.set(row.model, unknownCount);
        return readHistory(row, nowMs).map((news) => [row.model, news] as const);
      });
    },
    ofDemand(router, { models }, nowMs) {
      const { counters, silentMs, wasCut } = hear(router, nowMs);
      return models.flatMap((row) => {
        if (wasCut && !counters.has(row.model)) counters.set(row.model, unknownCount);
        const arrived = readArrived(row, counters);
        const all = [...(arrived === undefined ? [] : spread(arrived, { nowMs, silentMs })), ...readSamples(row)];
        return all.map((news) => [row.model, news] as const);
      });
    },
  };
}

/** Steps in which nothing came are told, too: it is known that nothing did. */
function readHistory({ countsPer10s, tokensPer10s }: RouterHello['history'][number], nowMs: number): ModelNews[] {
  return countsPer10s.map((requests, index) => ({
    type: 'Arrived',
    atMs: nowMs - (countsPer10s.length - 1 - index) * ARRIVAL_STEP_MS,
    requests,
    promptTokens: tokensPer10s?.[index] ?? requests * PROMPT_TOKENS_GUESS,
  }));
}

interface Arrivals {
  readonly requests: number;
  readonly promptTokens: number;
}

function readArrived(row: ModelDemand, counters: Map<string, Counted>): Arrivals | undefined {
  const now = { arrivals: row.arrivals, tokens: row.arrivedTokens ?? row.arrivals * PROMPT_TOKENS_GUESS };
  const before = counters.get(row.model) ?? { arrivals: 0, tokens: 0 };
  counters.set(row.model, now);
  // A history came first: what the counters say by then is in it.
  if (Number.isNaN(before.arrivals)) return undefined;
  const isAnew = now.arrivals < before.arrivals;
  const requests = isAnew ? now.arrivals : now.arrivals - before.arrivals;
  const promptTokens = Math.max(0, isAnew ? now.tokens : now.tokens - before.tokens);
  return requests === 0 ? undefined : { requests, promptTokens };
}

/** Below what counts as a pause between two uses of a model. */
const SPREAD_STEP_MS = 500;

/** What came while a router was not heard came all the while, as far as is known; it is no burst of this moment. */
function spread(
  { requests, promptTokens }: Arrivals,
  { nowMs, silentMs }: { readonly nowMs: number; readonly silentMs: number },
): ModelNews[] {
  const spanMs = Math.min(silentMs, METER_SPAN_MS);
  const steps = Math.max(1, Math.min(Math.ceil(requests), Math.floor(spanMs / SPREAD_STEP_MS)));
  return Array.from({ length: steps }, (_, index) => ({
    type: 'Arrived',
    atMs: nowMs - ((steps - 1 - index) * spanMs) / steps,
    requests: requests / steps,
    promptTokens: promptTokens / steps,
  }));
}

function readSamples({ answeredTokens = [], steps = [] }: ModelDemand): ModelNews[] {
  return [
    ...answeredTokens.map((outputTokens): ModelNews => ({ type: 'Answered', outputTokens })),
    ...steps.map((step): ModelNews => ({ type: 'Stepped', ...step })),
  ];
}

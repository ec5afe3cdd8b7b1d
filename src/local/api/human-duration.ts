// How long ago something was, as kubectl shows it: 45s, 3m12s, 5h, 2d4h. Two figures at most.

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const YEAR_MS = 365 * DAY_MS;

interface Range {
  /** Up to here, exclusive. */
  readonly belowMs: number;
  readonly unitMs: number;
  readonly unit: string;
  /** The smaller unit that is shown beside it, unless it is 0. */
  readonly rest?: { readonly unitMs: number; readonly unit: string };
}

/** The ranges of k8s.io/apimachinery/pkg/util/duration. */
const ranges: readonly Range[] = [
  { belowMs: 2 * MINUTE_MS, unitMs: SECOND_MS, unit: 's' },
  { belowMs: 10 * MINUTE_MS, unitMs: MINUTE_MS, unit: 'm', rest: { unitMs: SECOND_MS, unit: 's' } },
  { belowMs: 3 * HOUR_MS, unitMs: MINUTE_MS, unit: 'm' },
  { belowMs: 8 * HOUR_MS, unitMs: HOUR_MS, unit: 'h', rest: { unitMs: MINUTE_MS, unit: 'm' } },
  { belowMs: 2 * DAY_MS, unitMs: HOUR_MS, unit: 'h' },
  { belowMs: 8 * DAY_MS, unitMs: DAY_MS, unit: 'd', rest: { unitMs: HOUR_MS, unit: 'h' } },
  { belowMs: 2 * YEAR_MS, unitMs: DAY_MS, unit: 'd' },
  { belowMs: 8 * YEAR_MS, unitMs: YEAR_MS, unit: 'y', rest: { unitMs: DAY_MS, unit: 'd' } },
];

export function renderDuration(spanMs: number): string {
  if (spanMs < -SECOND_MS) return '<invalid>';
  const positiveMs = Math.max(0, spanMs);
  const range = ranges.find(({ belowMs }) => positiveMs < belowMs) ?? { unitMs: YEAR_MS, unit: 'y' };
  const whole = Math.floor(positiveMs / range.unitMs);
  const rest = 'rest' in range && range.rest !== undefined ? range.rest : undefined;
  const figure = rest === undefined ? 0 : Math.floor((positiveMs % range.unitMs) / rest.unitMs);
  return figure === 0 ? `${whole}${range.unit}` : `${whole}${range.unit}${figure}${rest?.unit}`;
}

/** The age of an RFC 3339 time; undefined when there is none. */
export function renderAge(timestamp: unknown, nowMs: number): string | undefined {
  if (typeof timestamp !== 'string') return undefined;
  const atMs = Date.parse(timestamp);
  return Number.isNaN(atMs) ? undefined : renderDuration(nowMs - atMs);
}

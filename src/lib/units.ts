// Kubernetes quantities (read and written exactly, in thousandths), and bytes and times as people read them. No rounding in
// a person's favour: a quantity that is finer than a thousandth is rounded up, as the API server does.

/** A quantity in thousandths: `1500m` and `1.5` are 1500n. */
export type Milli = bigint;

/** Longer texts are no quantity: the largest one has 25 digits. */
const QUANTITY_CHARS_MAX = 40;
const EXPONENT_MAX = 18;

/** Thousandths of one unit, by suffix. */
const binaryUnits: Readonly<Record<string, bigint>> = {
  Ki: 1024n,
  Mi: 1024n ** 2n,
  Gi: 1024n ** 3n,
  Ti: 1024n ** 4n,
  Pi: 1024n ** 5n,
  Ei: 1024n ** 6n,
};
/** Powers of ten by suffix; `''` is one. */
const decimalExponents: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  '': 0,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
};

/** The quantity in thousandths; undefined when the text is none. Negative quantities are none for us. */
export function parseQuantity(text: string): Milli | undefined {
  if (text.length > QUANTITY_CHARS_MAX) return undefined;
  const parts = /^\+?([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]?|[eE][-+]?[0-9]{1,2})$/.exec(text);
  if (parts === null) return undefined;
  const [, number = '', suffix = ''] = parts;
  const [whole = '', fraction = ''] = number.split('.');
  const digits = BigInt(`${whole}${fraction}`);
  const binary = binaryUnits[suffix];
  if (binary !== undefined) return divideUp(digits * binary * 1000n, 10n ** BigInt(fraction.length));
  const exponent = decimalExponents[suffix] ?? Number(suffix.slice(1));
  if (Math.abs(exponent) > EXPONENT_MAX) return undefined;
  const shift = exponent + 3 - fraction.length;
  return shift >= 0 ? digits * 10n ** BigInt(shift) : divideUp(digits, 10n ** BigInt(-shift));
}

/** The shortest plain form: whole units without a suffix, other values in `m`. */
export function renderQuantity(quantity: Milli): string {
  return quantity % 1000n === 0n ? `${quantity / 1000n}` : `${quantity}m`;
}

function divideUp(value: bigint, by: bigint): bigint {
  return (value + by - 1n) / by;
}

const byteUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** Bytes for people, for example `2.0 MiB`. */
export function renderBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  // The rounded figure decides, so that 1023.99 KiB reads 1.0 MiB.
  while (Math.round(value * 10) / 10 >= 1024 && unit < byteUnits.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? Math.round(value) : value.toFixed(1)} ${byteUnits[unit]}`;
}

/** A time for people in two units at most: `850 ms`, `12.3 s`, `4 min 5 s`, `3 h 20 min`, `2 d 1 h`. */
export function renderDuration(durationMs: number): string {
  const ms = Math.max(0, durationMs);
  if (Math.round(ms) < 1000) return `${Math.round(ms)} ms`;
  if (Math.round(ms / 100) < 600) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return pair(seconds, 60, ['min', 's']);
  const minutes = Math.round(seconds / 60);
  return minutes < 1440 ? pair(minutes, 60, ['h', 'min']) : pair(Math.round(minutes / 60), 24, ['d', 'h']);
}

function pair(small: number, per: number, [large, rest]: readonly [string, string]): string {
  const left = small % per;
  return left === 0 ? `${Math.floor(small / per)} ${large}` : `${Math.floor(small / per)} ${large} ${left} ${rest}`;
}

// The places of callers who were sent away because their model is cold: whoever comes back in time with the same body
// stands where he stood (DESIGN §8). Holds digests and times only; the oldest go when there are too many.
import { createHash } from 'node:crypto';
import type { Clock } from '../../lib/clock.ts';

/** After the moment that the caller was told to come back at. */
const KEPT_MS = 60_000;
const KEPT_MAX = 10_000;

export interface KeptPlaces {
  isEmpty(): boolean;
  /** `afterMs`: when the caller was told to come back. */
  keep(key: string, orderMs: number, afterMs: number): void;
  /** The order of the earlier request; it is forgotten by that. */
  takeBack(key: string): number | undefined;
}

export function createKeptPlaces(clock: Clock): KeptPlaces {
  const places = new Map<string, { readonly orderMs: number; readonly untilMs: number }>();
  const forgetOld = () => {
    for (const [key, place] of places) {
      // In order of insertion: the first one that is still good ends the search.
      if (place.untilMs > clock.nowMs() && places.size <= KEPT_MAX) return;
      places.delete(key);
    }
  };
  return {
    isEmpty: () => places.size === 0,
    keep(key, orderMs, afterMs) {
      places.delete(key);
      places.set(key, { orderMs, untilMs: clock.nowMs() + afterMs + KEPT_MS });
      forgetOld();
    },
    takeBack(key) {
      const place = places.get(key);
      places.delete(key);
      return place === undefined || place.untilMs <= clock.nowMs() ? undefined : place.orderMs;
    },
  };
}

export function placeKey(tenant: string, model: string, body: Uint8Array): string {
  return createHash('sha256').update(`${tenant}\n${model}\n`).update(body).digest('base64');
}

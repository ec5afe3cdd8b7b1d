// Who is next when requests may ask for several answers at once: first come, first served, but a request that has something
// running lets others begin first. Pure. For requests of one answer it is the plain order.

/** Belongs to a request; all parts of one request name the same object. */
export interface PartOfRequest {
  readonly request: object;
}

/** Every request that waits or runs, with the number of its parts that run. */
export function countRunning(
  waiting: Iterable<PartOfRequest>,
  running: Iterable<PartOfRequest>,
): ReadonlyMap<object, number> {
  const counts = new Map<object, number>();
  for (const { request } of waiting) counts.set(request, 0);
  for (const { request } of running) counts.set(request, (counts.get(request) ?? 0) + 1);
  return counts;
}

/** The first of those whose requests have the fewest running parts. `waiting` is in the order of arrival. */
export function pickNext<Part extends PartOfRequest>(
  waiting: Iterable<Part>,
  running: Iterable<PartOfRequest>,
): Part | undefined {
  const counts = countRunning([], running);
  let best: Part | undefined;
  let fewest = Number.POSITIVE_INFINITY;
  for (const part of waiting) {
    const parts = counts.get(part.request) ?? 0;
    if (parts >= fewest) continue;
    best = part;
    fewest = parts;
    if (parts === 0) break;
  }
  return best;
}

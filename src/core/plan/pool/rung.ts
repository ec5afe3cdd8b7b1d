// Whether an idle instance stays awake: what its sleep would cost its own next caller, against what its stay costs the callers of
// its neighbours, who wait until it has gone to sleep. Pure; the floor of its model goes before it.

export interface RestInput {
  readonly idleMs: number;
  /** Chance that it is used in the next moment, for each millisecond. */
  readonly usePerMs: number;
  /** Chance that another model needs this slot in the next moment, for each millisecond. */
  readonly othersPerMs: number;
  readonly wakeMs: number;
  readonly sleepMs: number;
}

/** A sleep and a wake have to pay: it stays for as long as both take together. */
export function staysAwake({ idleMs, usePerMs, othersPerMs, wakeMs, sleepMs }: RestInput): boolean {
  if (idleMs < sleepMs + wakeMs) return true;
  return usePerMs * wakeMs >= othersPerMs * sleepMs;
}

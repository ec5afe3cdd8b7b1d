// A fleet of fixed size: what people run without a scaler, and the yardstick for all others. Never changes anything.
import type { PolicyFactory } from './policy.ts';

/** So many of each model, awake from the beginning. */
export function staticPolicy(count: number): PolicyFactory {
  return (models) => staticFleet(`static-${count}`, new Map(models.map(({ name }) => [name, count])))(models);
}

export function staticFleet(name: string, counts: ReadonlyMap<string, number>): PolicyFactory {
  const orders = new Map([...counts].map(([model, desired]) => [model, { desired }]));
  return () => ({ name, everyMs: 60_000, begin: counts, decide: () => orders });
}

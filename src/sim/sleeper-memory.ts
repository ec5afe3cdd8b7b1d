// Host memory of sleepers: what one slot may hold, and what an instance of each model holds once it sleeps. Only for runs with
// such a budget; without one nothing is weighed.
import type { CopyModel } from '../core/plan/pool/copies.ts';
import type { SlotView } from '../core/plan/snapshot.ts';
import type { ModelProfile } from './profile.ts';
import type { Scenario } from './scenario.ts';

export interface SleeperMemory {
  /** For all instances of a slot that are asleep or will be. */
  readonly bytesMax: number;
  bytesOf(model: string): number;
}

/** What is no model of the scenario occupies slots, and is as large as the first one. */
export function readSleeperMemory({ fleet, models }: Pick<Scenario, 'fleet' | 'models'>): SleeperMemory | undefined {
  const { sleeperBytes: bytesMax } = fleet;
  if (bytesMax === undefined) return undefined;
  const sizes = new Map(models.map(({ name, profile }) => [name, profile.asleepBytes]));
  const fillerBytes = models[0]?.profile.asleepBytes ?? 0;
  return { bytesMax, bytesOf: (model) => sizes.get(model) ?? fillerBytes };
}

/** Of one size, whole ones, with the one that is awake. */
export function countInstances(bytesMax: number, { asleepBytes }: ModelProfile): number {
  return Math.floor(bytesMax / asleepBytes);
}

/** Models with their sizes. What only occupies slots is never asked for: no copy of it is made, and it goes first. */
export function weighModels(
  models: ReadonlyMap<string, CopyModel>,
  slots: readonly SlotView[],
  { bytesOf }: SleeperMemory,
): ReadonlyMap<string, CopyModel> {
  const weighed = new Map<string, CopyModel>();
  for (const { revision: name } of slots.flatMap(({ assigned }) => assigned))
    weighed.set(name, { name, usesPerMs: 0, startMs: 0, blockedMs: 0, asleepBytes: bytesOf(name) });
  for (const [name, model] of models) weighed.set(name, { ...model, asleepBytes: bytesOf(name) });
  return weighed;
}

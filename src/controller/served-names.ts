// Which Model answers to a served name when several claim it: the oldest that is not being deleted. And which Models routers are
// told of when there are more than a table takes: the oldest again, so that a new one never pushes out one that serves. Pure.
import { TABLE_MODELS_MAX } from '../api/link.ts';
import type { Model } from '../api/model.ts';

interface Looked {
  readonly owners: ReadonlyMap<string, Model>;
  readonly served: ReadonlySet<Model>;
}

const known = new WeakMap<readonly Model[], Looked>();

/** Owners by served name. */
export function findNameOwners(models: readonly Model[]): ReadonlyMap<string, Model> {
  return look(models).owners;
}

/** Models that have their name and a place in the table. */
export function findServed(models: readonly Model[]): ReadonlySet<Model> {
  return look(models).served;
}

/** Worked out once for each list: the cache gives the same one until something changes. */
function look(models: readonly Model[]): Looked {
  const found = known.get(models);
  if (found !== undefined) return found;
  const owners = new Map<string, Model>();
  for (const model of models) {
    if (model.metadata.deletionTimestamp !== undefined) continue;
    const owner = owners.get(model.spec.servedName);
    if (owner === undefined || compareAge(model, owner) < 0) owners.set(model.spec.servedName, model);
  }
  const looked = { owners, served: new Set([...owners.values()].sort(compareAge).slice(0, TABLE_MODELS_MAX)) };
  known.set(models, looked);
  return looked;
}

/** The older one first. Creation times have whole seconds: the name decides between equals. */
function compareAge({ metadata: a }: Model, { metadata: b }: Model): number {
  const [one = '', other = ''] = [a.creationTimestamp, b.creationTimestamp];
  return compareText(one, other) || compareText(a.name, b.name);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

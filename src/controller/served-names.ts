// Which Model answers to a served name when several claim it: the oldest that is not being deleted. Pure.
import type { Model } from '../api/model.ts';

const known = new WeakMap<readonly Model[], ReadonlyMap<string, Model>>();

/** Owners by served name. Worked out once for each list: the cache gives the same one until something changes. */
export function findNameOwners(models: readonly Model[]): ReadonlyMap<string, Model> {
  const found = known.get(models);
  if (found !== undefined) return found;
  const owners = new Map<string, Model>();
  for (const model of models) {
    if (model.metadata.deletionTimestamp !== undefined) continue;
    const owner = owners.get(model.spec.servedName);
    if (owner === undefined || isOlder(model, owner)) owners.set(model.spec.servedName, model);
  }
  known.set(models, owners);
  return owners;
}

/** Creation times have whole seconds: the name decides between equals. */
function isOlder({ metadata: a }: Model, { metadata: b }: Model): boolean {
  const [one = '', other = ''] = [a.creationTimestamp, b.creationTimestamp];
  return one === other ? a.name < b.name : one < other;
}

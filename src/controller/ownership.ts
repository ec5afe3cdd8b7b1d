// Owner references and what belongs to whom, looked up without reading every object for every owner.
// Decides by uid, never by name: a name may be used again.
import type { ClusterObject, KindRef, OwnerReference } from '../api/group.ts';

export function ownedBy(kind: KindRef, { metadata }: ClusterObject): OwnerReference {
  const { name, uid = '' } = metadata;
  return { apiVersion: kind.apiVersion, kind: kind.kind, name, uid, controller: true, blockOwnerDeletion: true };
}

/** Lists by owner, worked out once for each list: the cache gives the same one until something changes. */
const known = new WeakMap<readonly ClusterObject[], ReadonlyMap<string, readonly ClusterObject[]>>();

/** The objects of a cached list that this owner controls. */
export function findOwned<T extends ClusterObject>(objects: readonly T[], owner: ClusterObject): readonly T[] {
  let index = known.get(objects);
  if (index === undefined) {
    index = Map.groupBy(objects, (object) => controllerOf(object)?.uid ?? '');
    known.set(objects, index);
  }
  // The index of a list holds objects of that list alone.
  return (index.get(owner.metadata.uid ?? '') ?? []) as readonly T[];
}

export function controllerOf(object: ClusterObject): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find((owner) => owner.controller === true);
}

/** Whether it was made for the owner that had the same name before. Kubernetes is about to collect it. */
export function isOfPredecessor(found: ClusterObject, ours: OwnerReference | undefined): boolean {
  const theirs = controllerOf(found);
  if (theirs === undefined || ours === undefined || theirs.uid === ours.uid) return false;
  return theirs.apiVersion === ours.apiVersion && theirs.kind === ours.kind && theirs.name === ours.name;
}

// The watched objects of one kind and namespace, by name, with indexes. Written by the reflector alone; readers get the
// same array until something changes. Never talks to the server.
import type { ClusterObject } from '../api/group.ts';

export interface ObjectCache<T extends ClusterObject = ClusterObject> {
  get(name: string): T | undefined;
  /** In name order. */
  list(): readonly T[];
  /** In name order: the objects to which the index gave this key. */
  listBy(index: IndexName, key: string): readonly T[];
  /** Makes the cache equal to a list. Returns the names that are new, changed or gone. */
  replace(objects: readonly T[]): string[];
  /** Returns whether anything changed. */
  put(object: T): boolean;
  remove(name: string): boolean;
}

export const POOL_LABEL = 'stoker.dev/pool';

const indexers = {
  pool: (object: ClusterObject) => [object.metadata.labels?.[POOL_LABEL]].filter((value) => value !== undefined),
  ownerUid: (object: ClusterObject) => (object.metadata.ownerReferences ?? []).map((owner) => owner.uid),
} as const;
export type IndexName = keyof typeof indexers;

export function createObjectCache<T extends ClusterObject>(): ObjectCache<T> {
  const objects = new Map<string, T>();
  const indexes = { pool: new Map<string, Set<string>>(), ownerUid: new Map<string, Set<string>>() };
  let sorted: readonly T[] | undefined = [];

  function unindex(object: T): void {
    for (const [index, keysOf] of entries()) {
      for (const key of keysOf(object)) {
        const names = indexes[index].get(key);
        names?.delete(object.metadata.name);
        if (names?.size === 0) indexes[index].delete(key);
      }
    }
  }

  function put(object: T): boolean {
    const { name } = object.metadata;
    const before = objects.get(name);
    if (before !== undefined && isSame(before, object)) return false;
    if (before !== undefined) unindex(before);
    objects.set(name, object);
    for (const [index, keysOf] of entries()) {
      for (const key of keysOf(object)) indexes[index].set(key, (indexes[index].get(key) ?? new Set()).add(name));
    }
    sorted = undefined;
    return true;
  }

  function remove(name: string): boolean {
    const before = objects.get(name);
    if (before === undefined) return false;
    unindex(before);
    objects.delete(name);
    sorted = undefined;
    return true;
  }

  return {
    put,
    remove,
    get: (name) => objects.get(name),
    list() {
      sorted ??= inOrder([...objects.values()]);
      return sorted;
    },
    listBy: (index, key) => inOrder([...(indexes[index].get(key) ?? [])].flatMap((name) => objects.get(name) ?? [])),
    replace(next) {
      const names = new Set(next.map((object) => object.metadata.name));
      const gone = [...objects.keys()].filter((name) => !names.has(name) && remove(name));
      return [...gone, ...next.filter(put).map((object) => object.metadata.name)];
    },
  };
}

function entries(): [IndexName, (object: ClusterObject) => string[]][] {
  return Object.entries(indexers) as [IndexName, (object: ClusterObject) => string[]][];
}

/** The server gives every write a new version, and every incarnation of a name a new uid. */
function isSame(a: ClusterObject, b: ClusterObject): boolean {
  return a.metadata.uid === b.metadata.uid && a.metadata.resourceVersion === b.metadata.resourceVersion;
}

function inOrder<T extends ClusterObject>(objects: T[]): readonly T[] {
  return objects.sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
}

// The objects in memory: by kind and name, sorted, by uid, and by owner. Entries are replaced, never changed.
// Decides nothing about what may be written.
import type { ApiObject } from './definition.ts';
import type { ObjectPlace } from './object-file.ts';

export interface StoredObject extends ObjectPlace {
  readonly version: number;
  readonly object: ApiObject;
  /** The object as it goes over the wire and onto the disk. */
  readonly json: string;
}

export interface ObjectReader {
  get(place: ObjectPlace): StoredObject | undefined;
  /** Of one kind, by namespace and name. */
  list(kind: string): readonly StoredObject[];
  byUid(uid: string): StoredObject | undefined;
  /** Objects that name this uid as an owner. */
  dependents(ownerUid: string): readonly StoredObject[];
  /** Everything in a namespace, of all kinds. */
  inNamespace(namespace: string): readonly StoredObject[];
  usage(): { readonly objects: number; readonly bytes: number };
}

export interface ObjectIndex extends ObjectReader {
  /** Puts the entry in its place, or takes away what is there. Returns what was there. */
  set(place: ObjectPlace, entry: StoredObject | undefined): StoredObject | undefined;
}

interface KindShelf {
  readonly entries: Map<string, StoredObject>;
  /** Undefined until the next list, after a name came or went. */
  sorted: StoredObject[] | undefined;
}

export function placeKey({ namespace, name }: Pick<ObjectPlace, 'namespace' | 'name'>): string {
  return `${namespace}/${name}`;
}

export function createObjectIndex(): ObjectIndex {
  const shelves = new Map<string, KindShelf>();
  const uids = new Map<string, StoredObject>();
  const owned = new Map<string, Map<string, StoredObject>>();
  let objects = 0;
  let bytes = 0;

  function forget(entry: StoredObject): void {
    const { uid, ownerReferences } = entry.object.metadata;
    uids.delete(uid);
    for (const owner of ownerReferences ?? []) {
      const dependents = owned.get(owner.uid);
      dependents?.delete(uid);
      if (dependents?.size === 0) owned.delete(owner.uid);
    }
    objects -= 1;
    bytes -= entry.json.length;
  }

  function remember(entry: StoredObject): void {
    const { uid, ownerReferences } = entry.object.metadata;
    uids.set(uid, entry);
    for (const owner of ownerReferences ?? []) {
      const dependents = owned.get(owner.uid) ?? new Map<string, StoredObject>();
      owned.set(owner.uid, dependents.set(uid, entry));
    }
    objects += 1;
    bytes += entry.json.length;
  }

  return {
    get: (place) => shelves.get(place.kind)?.entries.get(placeKey(place)),
    list(kind) {
      const shelf = shelves.get(kind);
      if (shelf === undefined) return [];
      shelf.sorted ??= sortedEntries(shelf.entries);
      return shelf.sorted;
    },
    byUid: (uid) => uids.get(uid),
    dependents: (ownerUid) => [...(owned.get(ownerUid)?.values() ?? [])],
    inNamespace: (namespace) =>
      [...shelves.values()].flatMap(({ entries }) => [...entries.values()].filter((e) => e.namespace === namespace)),
    usage: () => ({ objects, bytes }),
    set(place, entry) {
      const shelf: KindShelf = shelves.get(place.kind) ?? { entries: new Map(), sorted: undefined };
      shelves.set(place.kind, shelf);
      const key = placeKey(place);
      const before = shelf.entries.get(key);
      if (before !== undefined) forget(before);
      if (entry === undefined) shelf.entries.delete(key);
      else {
        shelf.entries.set(key, entry);
        remember(entry);
      }
      shelf.sorted = undefined;
      return before;
    },
  };
}

function sortedEntries(entries: ReadonlyMap<string, StoredObject>): StoredObject[] {
  return [...entries].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry);
}

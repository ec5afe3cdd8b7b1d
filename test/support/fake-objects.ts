// Answers for test/support/fake-api-server.ts that keep objects of one namespace, as far as the commands need it: create,
// read, list, merge patch and delete. No defaults, no validation, no watches.
import type { FakeAnswer, FakeCall } from './fake-api-server.ts';
import { failure } from './fake-api-server.ts';

interface StoredObject {
  readonly metadata: { readonly name: string; readonly resourceVersion: string } & Record<string, unknown>;
  readonly [field: string]: unknown;
}

export interface FakeObjects {
  /** By `plural/name`. */
  readonly objects: Map<string, StoredObject>;
  readonly answer: (call: FakeCall) => FakeAnswer;
}

export function fakeObjects(): FakeObjects {
  const objects = new Map<string, StoredObject>();
  let version = 0;
  const store = (key: string, object: Record<string, unknown>): StoredObject => {
    version += 1;
    const stored = { ...object, metadata: { ...(object.metadata as object), resourceVersion: String(version) } };
    objects.set(key, stored as StoredObject);
    return stored as StoredObject;
  };
  const create = (plural: string, object: StoredObject): FakeAnswer => {
    const { name } = object.metadata;
    const key = `${plural}/${name}`;
    return objects.has(key) ? named(409, 'AlreadyExists', { plural, name }) : { status: 201, body: store(key, object) };
  };
  return {
    objects,
    answer({ method, path, body }) {
      const [plural = '', name] = path.split('/namespaces/')[1]?.split('/').slice(1) ?? [];
      if (name === undefined) {
        return method === 'POST' ? create(plural, body as StoredObject) : { body: { items: ofKind(objects, plural) } };
      }
      const key = `${plural}/${name}`;
      const found = objects.get(key);
      if (found === undefined) return named(404, 'NotFound', { plural, name });
      if (method === 'PATCH') return { body: store(key, merge(found, body) as StoredObject) };
      if (method === 'DELETE') objects.delete(key);
      return { body: found };
    },
  };
}

function ofKind(objects: ReadonlyMap<string, StoredObject>, plural: string): StoredObject[] {
  return [...objects].flatMap(([key, object]) => (key.startsWith(`${plural}/`) ? [object] : []));
}

function named(code: number, reason: string, { plural, name }: { plural: string; name: string }): FakeAnswer {
  const what = reason === 'NotFound' ? 'not found' : 'already exists';
  const answer = failure(code, reason, `${plural} "${name}" ${what}`);
  return { ...answer, body: { ...answer.body, details: { name, kind: plural } } };
}

/** RFC 7386. */
function merge(target: unknown, patch: unknown): unknown {
  if (!isRecord(patch)) return patch;
  const merged: Record<string, unknown> = isRecord(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete merged[key];
    else merged[key] = merge(merged[key], value);
  }
  return merged;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

// One line of a watch to what it means for the cache. Untrusted: a line that is not an event is said to be bad.
// Decides nothing; the reflector does.
import type { ClusterObject, KindRef } from '../api/group.ts';
import type { ClusterError } from '../ports/cluster.ts';
import { errorOfStatus, record } from './answers.ts';
import { readObject } from './client.ts';

export type WatchEvent<T extends ClusterObject> =
  | { readonly type: 'put' | 'remove'; readonly object: T; readonly version: string }
  /** Nothing changed up to this version. */
  | { readonly type: 'bookmark'; readonly version: string }
  | { readonly type: 'error'; readonly error: ClusterError }
  | { readonly type: 'unknown'; readonly name: string }
  | { readonly type: 'bad'; readonly reason: string };

const types: Readonly<Record<string, 'put' | 'remove'>> = { ADDED: 'put', MODIFIED: 'put', DELETED: 'remove' };

export function parseWatchEvent<T extends ClusterObject>(kind: KindRef<T>, line: string): WatchEvent<T> {
  let event: Readonly<Record<string, unknown>>;
  try {
    event = record(JSON.parse(line));
  } catch {
    return { type: 'bad', reason: 'a watch event is not JSON' };
  }
  const name = typeof event.type === 'string' ? event.type : '';
  if (name === 'ERROR') {
    const { code } = record(event.object);
    return { type: 'error', error: errorOfStatus(event.object, typeof code === 'number' ? code : 500) };
  }
  const version = record(record(event.object).metadata).resourceVersion;
  if (typeof version !== 'string' || version === '')
    return { type: 'bad', reason: `a watch event ${name} has no resourceVersion` };
  if (name === 'BOOKMARK') return { type: 'bookmark', version };
  const type = types[name];
  if (type === undefined) return { type: 'unknown', name: name.slice(0, 32) };
  const object = readObject(kind, event.object);
  return object === undefined
    ? { type: 'bad', reason: `a watch event ${name} has no object` }
    : { type, object, version };
}

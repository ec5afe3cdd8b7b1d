// Reads for checks: every answer is a value, also "there is none" and "you may not". Never writes but access reviews, which
// the server keeps nothing of, and never reads the data of a Secret.

import { CommandError } from '../io.ts';
import { type ApiCall, NoAnswerError, type ObjectApi, statusSentence } from '../object-api.ts';

export type Read<T> =
  | { readonly type: 'found'; readonly value: T }
  | { readonly type: 'absent' }
  | { readonly type: 'refused'; readonly sentence: string };

export type Fields = Readonly<Record<string, unknown>>;

export interface ClusterReader {
  readonly namespace: string;
  one(path: string): Promise<Read<Fields>>;
  list(path: string): Promise<Read<readonly Fields[]>>;
  /** Whether it is there. Only its metadata is sent. */
  has(path: string): Promise<Read<true>>;
  /** Throws NoAnswerError. */
  review(path: string, body: object): Promise<Read<Fields>>;
  text(path: string): Promise<Read<string>>;
}

const METADATA_ONLY = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1';

export function createClusterReader(api: ObjectApi): ClusterReader {
  const one = (path: string) => ask(api, { method: 'GET', path }, fields);
  return {
    namespace: api.namespace,
    one,
    list: (path) => ask(api, { method: 'GET', path }, (body) => listed(fields(body).items).map(fields)),
    has: (path) => ask(api, { method: 'GET', path, headers: { accept: METADATA_ONLY } }, () => true as const),
    review: (path, body) => ask(api, { method: 'POST', path, body }, fields),
    text: (path) =>
      ask(api, { method: 'GET', path }, (body) => (typeof body === 'string' ? body : JSON.stringify(body))),
  };
}

async function ask<T>(api: ObjectApi, call: ApiCall, read: (body: unknown) => T): Promise<Read<T>> {
  try {
    const answer = await api.send(call);
    if (answer.status < 300) return { type: 'found', value: read(answer.body) };
    return answer.status === 404 ? { type: 'absent' } : { type: 'refused', sentence: statusSentence(answer) };
  } catch (error) {
    // A kind that the server does not know is not there, either.
    if (error instanceof CommandError && !(error instanceof NoAnswerError)) return { type: 'absent' };
    throw error;
  }
}

/** The value as a record to look into; empty when it is none. */
export function fields(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

export function listed(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** The value under names, one inside the other. */
export function at(value: unknown, ...names: readonly string[]): unknown {
  return names.reduce<unknown>((inner, name) => fields(inner)[name], value);
}

export function textAt(value: unknown, ...names: readonly string[]): string {
  const found = at(value, ...names);
  return typeof found === 'string' ? found : '';
}

export function numberAt(value: unknown, ...names: readonly string[]): number {
  const found = at(value, ...names);
  return typeof found === 'number' ? found : 0;
}

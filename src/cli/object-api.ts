// The Kubernetes API as the commands need it: one call, and the paths of our kinds. Errors become sentences here.
import type { ClusterObject, KindRef } from '../api/group.ts';
import { kinds } from '../api/kinds.ts';
import { CommandError } from './io.ts';

export interface ApiAnswer {
  readonly status: number;
  readonly body: unknown;
  /** What the server warned about, for people. */
  readonly warnings: readonly string[];
}

export interface ApiCall {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly body?: object;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface ObjectApi {
  readonly namespace: string;
  /** Throws NoAnswerError when there is no answer, or one that is about the caller and not the object. */
  send(call: ApiCall): Promise<ApiAnswer>;
  /** Gives the kept connections back. */
  close(): Promise<void>;
}

/** The server cannot be asked at all: not there, or it does not know the caller. */
export class NoAnswerError extends CommandError {}

const aliases: Readonly<Record<string, KindRef>> = {
  pool: kinds.Pool,
  pools: kinds.Pool,
  model: kinds.Model,
  models: kinds.Model,
  mdl: kinds.Model,
  revision: kinds.ModelRevision,
  revisions: kinds.ModelRevision,
  modelrevision: kinds.ModelRevision,
  modelrevisions: kinds.ModelRevision,
  mrev: kinds.ModelRevision,
  pod: kinds.Pod,
  pods: kinds.Pod,
};

/** The kind that a person means by a word. Throws CommandError with the words there are. */
export function kindOfWord(word: string): KindRef {
  const kind = aliases[word.toLowerCase()];
  if (kind !== undefined) return kind;
  throw new CommandError(`There is no kind "${word}". There are: pools, models, revisions, pods.`);
}

export function pathOf(api: ObjectApi, kind: KindRef, name?: string): string {
  const root = kind.apiVersion.includes('/') ? `/apis/${kind.apiVersion}` : `/api/${kind.apiVersion}`;
  const collection = `${root}/namespaces/${encodeURIComponent(api.namespace)}/${kind.plural}`;
  return name === undefined ? collection : `${collection}/${encodeURIComponent(name)}`;
}

/** The object, or undefined when there is none. Other refusals throw CommandError with the server's sentence. */
export async function readObject(api: ObjectApi, kind: KindRef, name: string): Promise<ClusterObject | undefined> {
  const answer = await api.send({ method: 'GET', path: pathOf(api, kind, name) });
  if (answer.status === 404) return undefined;
  return expectSuccess(answer) as ClusterObject;
}

/** The body of a 2xx answer; otherwise throws CommandError with the server's sentence. */
export function expectSuccess(answer: ApiAnswer): unknown {
  if (answer.status < 300) return answer.body;
  throw new CommandError(statusSentence(answer));
}

export function statusSentence({ status, body }: ApiAnswer): string {
  if (typeof body === 'object' && body !== null && 'message' in body && typeof body.message === 'string')
    return body.message;
  return `The server answered ${status}.`;
}

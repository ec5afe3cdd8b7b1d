// The API keys of models that somebody else serves: reads the Secret that a revision names, by name, and again and again. Keeps
// keys in memory alone; never writes one into an object, a log or a sentence. A Secret that cannot be read for a moment changes
// nothing: the last key stays.
import { kinds, type Secret } from '../api/kinds.ts';
import { UPSTREAM_KEY_CHARS_MAX } from '../api/link.ts';
import type { ModelRevision } from '../api/model-revision.ts';
import { fail, ok, type Result } from '../lib/result.ts';
import type { Cluster, ClusterError } from '../ports/cluster.ts';
import { SECRET_EVERY_MS, SECRET_WANTED_EVERY_MS } from './bounds.ts';
import { API_KEY_ANNOTATION } from './launch.ts';
import { explainUnread, refuseOwnSecret } from './named-secrets.ts';
import { outcomeOfError } from './status.ts';
import { done, type Outcome } from './work-queue.ts';

export type UpstreamState =
  /** The Secret has not been read yet. */
  | { readonly type: 'reading' }
  /** `key` is empty when none is needed. */
  | { readonly type: 'ready'; readonly key: string }
  | { readonly type: 'refused'; readonly reason: string; readonly message: string };

export interface Upstreams {
  stateOf(revision: ModelRevision): UpstreamState;
  /** Reads the Secret of a revision, when it names one. */
  reconcile(name: string, signal: AbortSignal): Promise<Outcome>;
  forgetExcept(revisions: ReadonlySet<string>): void;
}

interface Kept {
  /** The Secret and entry that it is about. */
  readonly origin: string;
  readonly state: UpstreamState;
}

const FIELD = 'spec.version.remote.apiKeySecretRef';

const reading: UpstreamState = { type: 'reading' };
const keyless: UpstreamState = { type: 'ready', key: '' };

export function createUpstreams(cluster: Cluster, onChange: (model: string) => void): Upstreams {
  const kept = new Map<string, Kept>();
  return {
    stateOf(revision) {
      const origin = keyOriginOf(revision);
      if (origin === undefined) return keyless;
      const known = kept.get(revision.metadata.name);
      return known?.origin === origin ? known.state : reading;
    },
    async reconcile(name, signal) {
      const revision = cluster.get(kinds.ModelRevision, name);
      const origin = revision === undefined ? undefined : keyOriginOf(revision);
      if (revision === undefined || origin === undefined) return done;
      const [secret = '', entry = ''] = origin.split('/');
      const judged = await readKey(cluster, { secret, entry }, signal);
      signal.throwIfAborted();
      if (!judged.ok) return outcomeOfError(judged.error);
      const state = judged.value;
      const before = kept.get(name);
      kept.set(name, { origin, state });
      if (before?.origin !== origin || !isSame(before.state, state)) onChange(revision.spec.modelName);
      return { type: 'again', afterMs: state.type === 'ready' ? SECRET_EVERY_MS : SECRET_WANTED_EVERY_MS };
    },
    forgetExcept(revisions) {
      for (const name of kept.keys()) if (!revisions.has(name)) kept.delete(name);
    },
  };
}

/** Fails with an error that says nothing about the Secret. */
async function readKey(
  cluster: Cluster,
  { secret, entry }: { readonly secret: string; readonly entry: string },
  signal: AbortSignal,
): Promise<Result<UpstreamState, ClusterError>> {
  const own = refuseOwnSecret(secret, FIELD);
  if (own !== undefined) return ok({ type: 'refused', ...own });
  const found = await cluster.read(kinds.Secret, secret, signal);
  if (found.ok) return ok(judgeSecret(found.value, { secret, entry }));
  const { reason } = found.error;
  if (reason !== 'NotFound' && reason !== 'Forbidden') return fail(found.error);
  return ok({ type: 'refused', ...explainUnread(secret, FIELD, reason) });
}

/** `secret/entry` of a revision that somebody else serves; undefined when it needs no key. */
export function keyOriginOf({ spec, metadata }: ModelRevision): string | undefined {
  return spec.remote === undefined ? undefined : metadata.annotations?.[API_KEY_ANNOTATION];
}

function judgeSecret({ data }: Secret, { secret, entry }: { secret: string; entry: string }): UpstreamState {
  const encoded = data?.[entry];
  if (encoded === undefined) {
    const message = `The Secret ${secret} has no entry ${entry}. Add it, or change ${FIELD}.key.`;
    return { type: 'refused', reason: 'SecretKeyMissing', message };
  }
  const key = parseKey(encoded);
  if (key.ok) return { type: 'ready', key: key.value };
  const message = `The entry ${entry} of the Secret ${secret} is no API key: ${key.error}`;
  return { type: 'refused', reason: 'SecretKeyInvalid', message };
}

/** What a header can carry; a line end after it, as editors leave it, is no part of it. */
function parseKey(encoded: string): Result<string, string> {
  const key = Buffer.from(encoded, 'base64').toString('latin1').trim();
  if (key === '') return fail('it is empty.');
  if (key.length > UPSTREAM_KEY_CHARS_MAX) return fail(`it has more than ${UPSTREAM_KEY_CHARS_MAX} characters.`);
  return /^[!-~]+$/.test(key) ? ok(key) : fail('it holds characters that are not visible ASCII.');
}

function isSame(a: UpstreamState, b: UpstreamState): boolean {
  if (a.type === 'ready' && b.type === 'ready') return a.key === b.key;
  return a.type === 'refused' && b.type === 'refused' && a.message === b.message;
}

// Pins: turns `spec.version` of a Model into a ModelRevision. What was pinned once is found again by an annotation and not
// resolved a second time, so that a restart never makes a revision. Knows nothing of what runs.
import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { kinds } from '../api/kinds.ts';
import type { Model } from '../api/model.ts';
import type { ModelRevision } from '../api/model-revision.ts';
import { revisionDigest, revisionName } from '../api/revision-hash.ts';
import { canonicalJson } from '../lib/canonical-json.ts';
import { fail, ok, type Result } from '../lib/result.ts';
import type { ResolvedWeights } from '../ports/weights.ts';
import { PIN_RETRY_MS_MIN } from './bounds.ts';
import { PATH_ANNOTATION } from './launch.ts';
import type { ControllerOptions } from './options.ts';
import { findOwned, ownedBy } from './ownership.ts';
import { outcomeOfError } from './status.ts';
import { done, type Outcome } from './work-queue.ts';

/** On a ModelRevision: the digest of the `spec.version` that it was made for. */
const VERSION_ANNOTATION = 'stoker.dev/version';
/** Longer contexts need memory that nobody asked for. */
const CONTEXT_LENGTH_UNSET_MAX = 8192;

export type PinState =
  | { readonly type: 'resolving' }
  | { readonly type: 'pinned'; readonly revision: string }
  | { readonly type: 'refused'; readonly reason: string; readonly message: string };

export interface Pins {
  /** How the version that the spec of this Model asks for stands. */
  stateOf(model: Model): PinState;
  /** Resolves and makes the revision where there is none. */
  reconcile(name: string, signal: AbortSignal): Promise<Outcome>;
  forget(uid: string): void;
}

interface Refusal {
  readonly reason: string;
  readonly message: string;
}

export function createPins(options: ControllerOptions, onChange: (model: string) => void): Pins {
  const { cluster } = options;
  /** By uid of the Model: why the version with this key cannot be pinned. */
  const refusals = new Map<string, Refusal & { readonly key: string }>();
  const stateOf = (model: Model): PinState => {
    const key = versionKey(model);
    const found = findPinned(cluster, model, key);
    if (found !== undefined) return { type: 'pinned', revision: found.metadata.name };
    const refusal = refusals.get(model.metadata.uid ?? '');
    if (refusal?.key === key) return { type: 'refused', reason: refusal.reason, message: refusal.message };
    return { type: 'resolving' };
  };
  return {
    stateOf,
    forget: (uid) => void refusals.delete(uid),
    async reconcile(name, signal) {
      const model = cluster.get(kinds.Model, name);
      if (model === undefined || model.metadata.deletionTimestamp !== undefined) return done;
      if (stateOf(model).type === 'pinned') return done;
      const key = versionKey(model);
      const pinned = await pin(model, key, { options, signal });
      signal.throwIfAborted();
      if (pinned.ok) refusals.delete(model.metadata.uid ?? '');
      else if ('type' in pinned.error) return pinned.error;
      else refusals.set(model.metadata.uid ?? '', { key, ...pinned.error });
      onChange(name);
      return pinned.ok ? done : { type: 'failed', sentence: describe(pinned.error), retryAfterMs: PIN_RETRY_MS_MIN };
    },
  };
}

function describe(error: Refusal | Outcome): string {
  return 'message' in error ? error.message : error.type;
}

type PinResult = Result<void, Refusal | Outcome>;

async function pin(
  model: Model,
  key: string,
  { options, signal }: { readonly options: ControllerOptions; readonly signal: AbortSignal },
): Promise<PinResult> {
  const { version, pinPolicy } = model.spec;
  const { path, sha256 } = version.weights.file;
  if (pinPolicy === 'RequireDigest' && sha256 === undefined) {
    const message = 'pinPolicy is RequireDigest, and spec.version.weights.file.sha256 is not set. Set it.';
    return fail({ reason: 'DigestMissing', message });
  }
  const wanted = { path, ...(sha256 === undefined ? {} : { expectedSha256: sha256 }) };
  const weights = await options.weights.resolve(wanted, signal);
  if (!weights.ok)
    return fail({ reason: weights.error.reason, message: `${weights.error.message} ${advice[weights.error.reason]}` });
  const revision = renderRevision(model, weights.value, { key, build: options.engineBuilds[version.engine.name] });
  if (!revision.ok) return revision;
  return makeRevision(revision.value, options, signal);
}

const advice = {
  WeightsMissing: 'Put it there, or change spec.version.weights.file.path.',
  WeightsUnreadable: 'Make it readable for the user that Stoker runs as.',
  WeightsInvalid: 'spec.version.weights.file.path has to name a complete GGUF file.',
  HashMismatch: 'Use the right file, or change spec.version.weights.file.sha256.',
} as const;

function renderRevision(
  model: Model,
  weights: ResolvedWeights,
  { key, build }: { readonly key: string; readonly build: string },
): Result<ModelRevision, Refusal> {
  const { version } = model.spec;
  const contextLength = version.contextLength ?? Math.min(weights.trainedContextLength, CONTEXT_LENGTH_UNSET_MAX);
  if (contextLength > weights.trainedContextLength) {
    const message = `spec.version.contextLength is ${contextLength}, and the model was trained for ${weights.trainedContextLength} tokens. Lower it, or leave it out.`;
    return fail({ reason: 'ContextTooLong', message });
  }
  const digest = revisionDigest({ version, weightsSha256: weights.sha256 });
  return ok({
    apiVersion: kinds.ModelRevision.apiVersion,
    kind: 'ModelRevision',
    metadata: {
      name: revisionName(model.metadata.name, digest),
      labels: { 'stoker.dev/model': model.metadata.name },
      annotations: { [VERSION_ANNOTATION]: key },
      ownerReferences: [ownedBy(kinds.Model, model)],
    },
    spec: {
      modelName: model.metadata.name,
      digest,
      weights: { path: weights.path, sizeBytes: weights.sizeBytes, sha256: weights.sha256 },
      engine: { name: version.engine.name, build },
      contextLength,
      ...(version.sampling === undefined ? {} : { sampling: version.sampling }),
    },
  });
}

/** Makes it, or finds that the same version was pinned under another path: where weights lie is no part of what they are. */
async function makeRevision(
  revision: ModelRevision,
  { cluster, log }: ControllerOptions,
  signal: AbortSignal,
): Promise<PinResult> {
  const { name } = revision.metadata;
  const made = await cluster.create(kinds.ModelRevision, revision, signal);
  if (made.ok) {
    log.info({ revision: name, model: revision.spec.modelName }, 'a version is pinned');
    return ok(undefined);
  }
  if (made.error.reason !== 'AlreadyExists') return fail(outcomeOfError(made.error));
  const found = await cluster.read(kinds.ModelRevision, name, signal);
  if (!found.ok) return fail(outcomeOfError(found.error));
  if (found.value.spec.digest !== revision.spec.digest || !isSameOwner(found.value, revision)) {
    const message = `There is a ModelRevision ${name} of something else. Delete it.`;
    return fail({ reason: 'RevisionTaken', message });
  }
  const annotations = { ...revision.metadata.annotations, [PATH_ANNOTATION]: revision.spec.weights.path };
  const moved = await cluster.patch(kinds.ModelRevision, name, { metadata: { annotations } }, { signal });
  return moved.ok ? ok(undefined) : fail(outcomeOfError(moved.error));
}

function isSameOwner(a: ModelRevision, b: ModelRevision): boolean {
  return isDeepStrictEqual(
    a.metadata.ownerReferences?.map(({ uid }) => uid),
    b.metadata.ownerReferences?.map(({ uid }) => uid),
  );
}

function findPinned(cluster: ControllerOptions['cluster'], model: Model, key: string): ModelRevision | undefined {
  return findOwned(cluster.list(kinds.ModelRevision), model).find(
    ({ metadata }) => metadata.annotations?.[VERSION_ANNOTATION] === key && metadata.deletionTimestamp === undefined,
  );
}

/** What of the version decides whether it has to be resolved again: its digest before anything was resolved, and the path. */
function versionKey({ spec }: Model): string {
  const { file } = spec.version.weights;
  const unresolved = revisionDigest({ version: spec.version, weightsSha256: file.sha256 ?? '0'.repeat(64) });
  return createHash('sha256')
    .update(canonicalJson({ unresolved, path: file.path }))
    .digest('hex')
    .slice(0, 32);
}

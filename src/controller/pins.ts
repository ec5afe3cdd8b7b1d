// Pins: turns `spec.version` of a Model into a ModelRevision. What was pinned once is found again by an annotation and not
// resolved a second time, so that a restart never makes a revision. Knows nothing of what runs.
import { isDeepStrictEqual } from 'node:util';
import { kinds } from '../api/kinds.ts';
import type { Model } from '../api/model.ts';
import type { ModelRevision } from '../api/model-revision.ts';
import type { Remote } from '../api/remote.ts';
import { revisionDigest, revisionName } from '../api/revision-hash.ts';
import { resolveSimulatedWeights } from '../api/simulated-weights.ts';
import { isRefusedAddress, literalHost } from '../api/upstream-address.ts';
import { isDownloaded } from '../api/weight-sources.ts';
import { fail, ok, type Result } from '../lib/result.ts';
import type { WeightsError } from '../ports/weights.ts';
import { PIN_RETRY_MS_MIN, PREDECESSOR_LOOK_MS, UNSEEN_MS_MAX } from './bounds.ts';
import { pinEngine } from './engine-pin.ts';
import { API_KEY_ANNOTATION, PATH_ANNOTATION } from './launch.ts';
import type { ControllerOptions } from './options.ts';
import { controllerOf, findOwned, isOfPredecessor, ownedBy } from './ownership.ts';
import { pinDownload } from './pin-download.ts';
import { pinImage } from './pin-image.ts';
import { refusalOf } from './refusals.ts';
import { isKeptFor, REVISION_FINALIZER } from './revision-hold.ts';
import { keepSecret, noteSecret, SOURCE_SECRET_ANNOTATION } from './source-secret.ts';
import { outcomeOfError } from './status.ts';
import { isPinnedFor, keyOrigin, VERSION_ANNOTATION, versionKey } from './version-key.ts';
import { done, type Outcome } from './work-queue.ts';

/** Longer contexts need memory that nobody asked for. */
const CONTEXT_LENGTH_UNSET_MAX = 8192;

export type PinState =
  /** `after` is the revision that has to go before. */
  | { readonly type: 'resolving'; readonly after?: string }
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
  const { cluster, clock } = options;
  /** By uid of the Model: why the version with this key cannot be pinned. */
  const refusals = new Map<string, Refusal & { readonly key: string }>();
  /** By uid of the Model: the version that was pinned, and when, until the cache shows its revision. */
  const unseen = new Map<string, { readonly key: string; readonly atMs: number }>();
  const stateOf = (model: Model): PinState => {
    const { uid = '' } = model.metadata;
    const key = versionKey(model);
    const found = listPinned(cluster, model, key).find(
      (revision) => revision.metadata.deletionTimestamp === undefined || isKeptFor(revision, model),
    );
    if (found !== undefined) {
      unseen.delete(uid);
      return { type: 'pinned', revision: found.metadata.name };
    }
    const refusal = refusals.get(uid);
    if (refusal?.key === key) return { type: 'refused', reason: refusal.reason, message: refusal.message };
    const leaver = findLeaver(cluster, model, key);
    return { type: 'resolving', ...(leaver === undefined ? {} : { after: leaver.metadata.name }) };
  };
  /** Sources are not asked again for what was made a moment ago, nor for what cannot be made yet. */
  const whatIsAwaited = (model: Model, key: string): Outcome | undefined => {
    const made = unseen.get(model.metadata.uid ?? '');
    const restMs = made?.key === key ? made.atMs + UNSEEN_MS_MAX - clock.nowMs() : 0;
    if (restMs > 0) return { type: 'again', afterMs: restMs };
    const isInTheWay = findLeaver(cluster, model, key) !== undefined;
    return isInTheWay ? { type: 'again', afterMs: PREDECESSOR_LOOK_MS } : undefined;
  };
  /** Of a revision that was made the cache tells. */
  const note = ({ metadata: { name, uid = '' } }: Model, key: string, refusal: Refusal | undefined) => {
    const wasRefused = refusals.delete(uid);
    if (refusal === undefined) unseen.set(uid, { key, atMs: clock.nowMs() });
    else refusals.set(uid, { key, ...refusal });
    if (wasRefused || refusal !== undefined) onChange(name);
  };
  return {
    stateOf,
    forget(uid) {
      refusals.delete(uid);
      unseen.delete(uid);
    },
    async reconcile(name, signal) {
      const model = cluster.get(kinds.Model, name);
      if (model === undefined || model.metadata.deletionTimestamp !== undefined) return done;
      if (stateOf(model).type === 'pinned') return done;
      const key = versionKey(model);
      const wait = whatIsAwaited(model, key);
      if (wait !== undefined) return wait;
      const pinned = await pin(model, key, { options, signal });
      signal.throwIfAborted();
      const { outcome, refusal } = judgePin(pinned);
      // What passes by itself is no verdict on the version.
      if (!pinned.ok && refusal === undefined) return outcome;
      note(model, key, refusal);
      return outcome;
    },
  };
}

/** The refusal is of the version, or of the server: both are mended by somebody. */
function judgePin(pinned: PinResult): { readonly outcome: Outcome; readonly refusal?: Refusal | undefined } {
  if (pinned.ok) return { outcome: done };
  if ('type' in pinned.error) return { outcome: pinned.error, refusal: refusalOf(pinned.error) };
  const { error: refusal } = pinned;
  return { outcome: { type: 'failed', sentence: refusal.message, retryAfterMs: PIN_RETRY_MS_MIN }, refusal };
}

type PinResult = Result<void, Refusal | Outcome>;

async function pin(
  model: Model,
  key: string,
  { options, signal }: { readonly options: ControllerOptions; readonly signal: AbortSignal },
): Promise<PinResult> {
  const { remote } = model.spec.version;
  if (remote !== undefined) return pinRemote(model, { remote, key }, { options, signal });
  const named = pinEngine(model.spec, options);
  if (!named.ok) return named;
  const engine = await pinImage(model.spec, named.value, { ...options, signal });
  if (!engine.ok) return engine;
  const weights = await resolve(model, options, signal);
  if (!weights.ok) return weights;
  const revision = renderRevision(model, weights.value, { key, engine: engine.value });
  if (!revision.ok) return revision;
  return makeRevision(revision.value, options, signal);
}

async function pinRemote(
  model: Model,
  { remote, key }: { readonly remote: Remote; readonly key: string },
  { options, signal }: { readonly options: ControllerOptions; readonly signal: AbortSignal },
): Promise<PinResult> {
  const host = URL.canParse(remote.baseUrl) ? literalHost(new URL(remote.baseUrl)) : '';
  if (host !== undefined && isRefusedAddress(host)) {
    const message = `No request is sent to ${remote.baseUrl}: it is no address, or a link-local one, or one of a cloud's metadata. Change spec.version.remote.baseUrl.`;
    return fail({ reason: 'AddressRefused', message });
  }
  const { apiKeySecretRef: ref, ...pinned } = remote;
  const revision = frameRevision(model, {
    digest: revisionDigest({ version: model.spec.version, weightsSha256: undefined }),
    annotations: { [VERSION_ANNOTATION]: key, ...(ref === undefined ? {} : { [API_KEY_ANNOTATION]: keyOrigin(ref) }) },
    pinned: { remote: pinned, engine: { name: 'Remote', build: 'remote' } },
  });
  return makeRevision(revision, options, signal);
}

interface PinnedWeights {
  /** What goes into the revision. */
  readonly weights: NonNullable<ModelRevision['spec']['weights']>;
  readonly trainedContextLength: number | undefined;
}

async function resolve(
  model: Model,
  options: ControllerOptions,
  signal: AbortSignal,
): Promise<Result<PinnedWeights, Refusal>> {
  const { version, pinPolicy } = model.spec;
  const { file, folder, simulated } = version.weights ?? {};
  if (simulated !== undefined) {
    const { trainedContextLength, ...weights } = resolveSimulatedWeights(simulated);
    return ok({ weights, trainedContextLength });
  }
  if (version.weights !== undefined && isDownloaded(version.weights)) {
    return pinDownload(model, version.weights, { ...options, signal });
  }
  const found = file ?? folder;
  if (found === undefined) return fail(noWeights);
  const field = `spec.version.weights.${file === undefined ? 'folder' : 'file'}`;
  const { path, sha256 } = found;
  if (pinPolicy === 'RequireDigest' && sha256 === undefined) {
    return fail({
      reason: 'DigestMissing',
      message: `pinPolicy is RequireDigest, and ${field}.sha256 is not set. Set it.`,
    });
  }
  const form = file === undefined ? 'Folder' : 'File';
  const wanted = { path, form, ...(sha256 === undefined ? {} : { expectedSha256: sha256 }) } as const;
  const resolved = await options.weights.resolve(wanted, signal);
  if (!resolved.ok) {
    const { reason, message } = resolved.error;
    return fail({ reason, message: `${message} ${adviceOn(reason, field)}` });
  }
  const { trainedContextLength, architecture, ...weights } = resolved.value;
  return ok({
    weights: { ...weights, ...(architecture === undefined ? {} : { architecture }) },
    trainedContextLength,
  });
}

/** Validation refuses such an object; a server that does not know the rule may let it through. */
const noWeights: Refusal = {
  reason: 'WeightsMissing',
  message: 'spec.version names no weights. Set one of the members of spec.version.weights.',
};

function adviceOn(reason: WeightsError['reason'], field: string): string {
  const isFolder = field.endsWith('folder');
  const what = isFolder ? 'a complete folder with the config.json of a model' : 'a complete GGUF file';
  const advice = {
    WeightsMissing: `Put it there, or change ${field}.path.`,
    WeightsUnreadable: 'Make it readable for the user that Stoker runs as.',
    WeightsInvalid: `${field}.path has to name ${what}.`,
    HashMismatch: `Use the right ${isFolder ? 'folder' : 'file'}, or change ${field}.sha256.`,
  };
  return advice[reason];
}

function renderRevision(
  model: Model,
  { weights, trainedContextLength }: PinnedWeights,
  { key, engine }: { readonly key: string; readonly engine: ModelRevision['spec']['engine'] },
): Result<ModelRevision, Refusal> {
  const { version } = model.spec;
  if (version.contextLength === undefined && trainedContextLength === undefined) {
    const message =
      'The folder of weights does not say what context length the model was trained for. Set spec.version.contextLength.';
    return fail({ reason: 'ContextUnknown', message });
  }
  const trained = trainedContextLength ?? Number.POSITIVE_INFINITY;
  const contextLength = version.contextLength ?? Math.min(trained, CONTEXT_LENGTH_UNSET_MAX);
  if (contextLength > trained) {
    const message = `spec.version.contextLength is ${contextLength}, and the model was trained for ${trainedContextLength} tokens. Lower it, or leave it out.`;
    return fail({ reason: 'ContextTooLong', message });
  }
  // What a tag led to makes the same revision as its digest would have.
  const hashed =
    engine.image === undefined ? version : { ...version, engine: { ...version.engine, image: engine.image } };
  return ok(
    frameRevision(model, {
      digest: revisionDigest({ version: hashed, weightsSha256: weights.sha256 }),
      annotations: { [VERSION_ANNOTATION]: key, ...noteSecret(version.weights) },
      pinned: {
        weights,
        engine,
        contextLength,
        ...(version.sampling === undefined ? {} : { sampling: version.sampling }),
      },
    }),
  );
}

function frameRevision(
  model: Model,
  {
    digest,
    annotations,
    pinned,
  }: {
    readonly digest: string;
    readonly annotations: Readonly<Record<string, string>>;
    readonly pinned: Omit<ModelRevision['spec'], 'modelName' | 'digest'>;
  },
): ModelRevision {
  const { name } = model.metadata;
  return {
    apiVersion: kinds.ModelRevision.apiVersion,
    kind: 'ModelRevision',
    metadata: {
      name: revisionName(name, digest),
      labels: { 'stoker.dev/model': name },
      annotations,
      ownerReferences: [ownedBy(kinds.Model, model)],
      finalizers: [REVISION_FINALIZER],
    },
    spec: { modelName: name, digest, ...pinned },
  };
}

/**
 * Makes it, or finds that the same version was pinned under another path or with another key: where weights lie and keys are
 * kept is no part of what they are.
 */
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
  if (isLeaving(found.value, cluster) || isOfPredecessor(found.value, controllerOf(revision))) {
    return fail({ type: 'failed', sentence: sayLeaving(name) });
  }
  if (found.value.spec.digest !== revision.spec.digest || !isSameOwner(found.value, revision)) {
    const message = `There is a ModelRevision ${name} of something else. Delete it.`;
    return fail({ reason: 'RevisionTaken', message });
  }
  const path = revision.spec.weights?.path;
  const moved = { [PATH_ANNOTATION]: path ?? null, [API_KEY_ANNOTATION]: null, [SOURCE_SECRET_ANNOTATION]: null };
  const annotations = { ...moved, ...revision.metadata.annotations, ...keepSecret(found.value, revision) };
  const patched = await cluster.patch(kinds.ModelRevision, name, { metadata: { annotations } }, { signal });
  return patched.ok ? ok(undefined) : fail(outcomeOfError(patched.error));
}

/** One that is in use stays, whoever deletes it. */
function isLeaving(revision: ModelRevision, cluster: ControllerOptions['cluster']): boolean {
  if (revision.metadata.deletionTimestamp === undefined) return false;
  const model = cluster.get(kinds.Model, revision.spec.modelName);
  return model === undefined || !isKeptFor(revision, model);
}

/** It passes: the name is free once it is gone. */
export function sayLeaving(revision: string): string {
  return `The ModelRevision ${revision} from before is still being deleted. The version is pinned once it is gone.`;
}

function isSameOwner(a: ModelRevision, b: ModelRevision): boolean {
  return isDeepStrictEqual(
    a.metadata.ownerReferences?.map(({ uid }) => uid),
    b.metadata.ownerReferences?.map(({ uid }) => uid),
  );
}

/** Those that are being deleted, too. */
function listPinned(cluster: ControllerOptions['cluster'], model: Model, key: string): ModelRevision[] {
  return findOwned(cluster.list(kinds.ModelRevision), model).filter((revision) => isPinnedFor(revision, key));
}

/** One of the same version that is being deleted, or is about to be with the Model before. */
function findLeaver(cluster: ControllerOptions['cluster'], model: Model, key: string): ModelRevision | undefined {
  const ours = ownedBy(kinds.Model, model);
  return (
    listPinned(cluster, model, key)[0] ??
    cluster.list(kinds.ModelRevision).find((one) => isPinnedFor(one, key) && isOfPredecessor(one, ours))
  );
}

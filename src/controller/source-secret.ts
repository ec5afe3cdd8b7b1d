// Which Secret a stager is handed. The files and their addresses are those of the revision, so the Secret is the one that it was
// pinned with: the Model may name another one by now, which the controller has not been allowed to read, or which belongs to
// another address. Names only; what is in a Secret is never here.
import type { Model } from '../api/model.ts';
import type { ModelRevision } from '../api/model-revision.ts';
import { isDownloaded } from '../api/weight-sources.ts';
import { isPinnedFor, versionKey } from './version-key.ts';

/** On a ModelRevision with files to download: the Secret that its source was asked with; empty when it was asked with none. */
export const SOURCE_SECRET_ANNOTATION = 'stoker.dev/source-secret';

/** What a new revision remembers. */
export function noteSecret(weights: Model['spec']['version']['weights']): Readonly<Record<string, string>> {
  if (weights === undefined || !isDownloaded(weights)) return {};
  return { [SOURCE_SECRET_ANNOTATION]: weights.credentialsSecretName ?? '' };
}

/**
 * The same files were pinned again, and the revision keeps the addresses of the first time. A Secret that was asked for at
 * another address is not for these: the one that the revision had stays.
 */
export function keepSecret(kept: ModelRevision, again: ModelRevision): Readonly<Record<string, string>> {
  const files = kept.spec.weights?.fileSet;
  if (files === undefined || isSamePlace(files, again.spec.weights?.fileSet)) return {};
  return { [SOURCE_SECRET_ANNOTATION]: kept.metadata.annotations?.[SOURCE_SECRET_ANNOTATION] ?? '' };
}

type FileSet = NonNullable<NonNullable<ModelRevision['spec']['weights']>['fileSet']>;

/** Credentials go to the origin of a file, signed as the source has it. */
function isSamePlace(kept: FileSet, again: FileSet | undefined): boolean {
  const origins = new Set(again?.files.map(({ url }) => new URL(url).origin));
  return kept.source === again?.source && kept.files.every(({ url }) => origins.has(new URL(url).origin));
}

/**
 * Undefined when it gets none. Releases before the annotation did not note it: there it is the Model's own, as long as the key
 * says that the revision was pinned for what the Model says now.
 */
export function sourceSecretOf(revision: ModelRevision, model: Model): string | undefined {
  const noted = revision.metadata.annotations?.[SOURCE_SECRET_ANNOTATION];
  if (noted !== undefined) return noted === '' ? undefined : noted;
  return isPinnedFor(revision, versionKey(model)) ? namedBy(model) : undefined;
}

/** What is added where a source refuses access, and it is not known any more which Secret was for it. */
export function adviceOnLostSecret(revision: ModelRevision, model: Model): string | undefined {
  const isNoted = revision.metadata.annotations?.[SOURCE_SECRET_ANNOTATION] !== undefined;
  if (isNoted || namedBy(model) === undefined || isPinnedFor(revision, versionKey(model))) return undefined;
  return 'An earlier release pinned this version and did not note its Secret. Set spec.version of the Model back to this version, and its Secret is used again; or wait until the new version answers.';
}

function namedBy({ spec }: Model): string | undefined {
  return spec.version.weights?.credentialsSecretName;
}

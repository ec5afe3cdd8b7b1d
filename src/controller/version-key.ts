// How a revision is found again that was pinned for what a Model says: by a digest of its `spec.version` as it is written, on
// the revision. Says nothing of what the version was resolved to.
import { createHash } from 'node:crypto';
import type { Model } from '../api/model.ts';
import type { ModelRevision } from '../api/model-revision.ts';
import type { Remote } from '../api/remote.ts';
import { revisionDigest } from '../api/revision-hash.ts';
import { resolveSimulatedWeights } from '../api/simulated-weights.ts';
import { isDownloaded } from '../api/weight-sources.ts';
import { canonicalJson } from '../lib/canonical-json.ts';

/** On a ModelRevision: the key of the `spec.version` that it was made for. */
export const VERSION_ANNOTATION = 'stoker.dev/version';

export function isPinnedFor({ metadata }: ModelRevision, key: string): boolean {
  return metadata.annotations?.[VERSION_ANNOTATION] === key;
}

/**
 * What of the version decides whether it has to be resolved again: its digest before anything was, the path, the source, and
 * the names of Secrets.
 */
export function versionKey({ spec }: Model): string {
  const { remote, weights, engine } = spec.version;
  const { file, folder, simulated } = weights ?? {};
  const found = file ?? folder;
  const weightsSha256 = simulated === undefined ? found?.sha256 : resolveSimulatedWeights(simulated).sha256;
  const unresolved = revisionDigest({ version: spec.version, weightsSha256: weightsSha256 ?? '0'.repeat(64) });
  const apiKey = remote?.apiKeySecretRef === undefined ? undefined : keyOrigin(remote.apiKeySecretRef);
  const places = { path: found?.path, apiKey, source: sourceOf(weights), image: engine.image };
  return createHash('sha256')
    .update(canonicalJson({ unresolved, ...places }))
    .digest('hex')
    .slice(0, 32);
}

export function keyOrigin({ name, key }: NonNullable<Remote['apiKeySecretRef']>): string {
  return `${name}/${key}`;
}

/** Another address or another Secret is looked at anew; what is found there may be the same revision. */
function sourceOf(weights: Model['spec']['version']['weights']): object | undefined {
  if (weights === undefined || !isDownloaded(weights)) return undefined;
  const { http, hub, s3, oci, credentialsSecretName } = weights;
  return { http, hub, s3, oci, credentialsSecretName };
}

// Pins weights that have to be downloaded: reads the Secret, has the source say which files it has, and refuses what no engine
// could use. Nothing is downloaded here but a config.json, and no credential leaves in a sentence.

import { loadsFolder } from '../api/engine-arguments.ts';
import { fileSetBytes, fileSetDigest } from '../api/file-set.ts';
import { kinds } from '../api/kinds.ts';
import type { Model } from '../api/model.ts';
import type { ModelRevision } from '../api/model-revision.ts';
import { isRefusedAddress, literalHost } from '../api/upstream-address.ts';
import { mutablePartOf, type WeightSource } from '../api/weight-sources.ts';
import { fail, ok, type Result } from '../lib/result.ts';
import type { Cluster } from '../ports/cluster.ts';
import type { SourceResolver } from '../ports/weights.ts';
import { explainUnread, refuseOwnSecret } from './named-secrets.ts';

interface Refusal {
  readonly reason: string;
  readonly message: string;
}

interface Pinned {
  readonly weights: NonNullable<ModelRevision['spec']['weights']>;
  readonly trainedContextLength: number | undefined;
}

export async function pinDownload(
  model: Model,
  source: WeightSource,
  {
    cluster,
    sources,
    signal,
  }: { readonly cluster: Cluster; readonly sources: SourceResolver; readonly signal: AbortSignal },
): Promise<Result<Pinned, Refusal>> {
  const refusal = refuse(model, source);
  if (refusal !== undefined) return fail(refusal);
  const credentials = await readCredentials(source.credentialsSecretName, cluster, signal);
  if (!credentials.ok) return credentials;
  const resolved = await sources.resolveSource(source, credentials.value, signal);
  if (!resolved.ok) return resolved;
  const { fileSet, description } = resolved.value;
  const { name: engine } = model.spec.version.engine;
  if (!loadsFolder(engine) && mainFileOf(fileSet.files) === undefined) {
    const message = `The engine ${engine} needs exactly one GGUF file, and the source has ${fileSet.files.length} files: ${fileSet.files
      .slice(0, 5)
      .map(({ path }) => path)
      .join(', ')}. Choose one, with hub.include or in the list.`;
    return fail({ reason: 'WeightsInvalid', message });
  }
  const { architecture, trainedContextLength } = description ?? {};
  const whole = { fileSet, sizeBytes: fileSetBytes(fileSet.files), sha256: fileSetDigest(fileSet.files) };
  const weights = { ...whole, ...(architecture === undefined ? {} : { architecture }) };
  return ok({ weights, trainedContextLength });
}

/** The one file that a GGUF engine opens. */
export function mainFileOf<File extends { readonly path: string }>(files: readonly File[]): File | undefined {
  const [first, ...more] = files.filter(({ path }) => path.endsWith('.gguf'));
  return more.length === 0 ? first : undefined;
}

function refuse({ spec }: Model, source: WeightSource): Refusal | undefined {
  const mutable = mutablePartOf(source);
  if (spec.pinPolicy === 'RequireDigest' && mutable !== undefined) {
    const message = `pinPolicy is RequireDigest, and spec.version.weights.${mutable} can move. Name a commit or a digest.`;
    return { reason: 'DigestMissing', message };
  }
  if (spec.version.contextLength === undefined) {
    const message =
      'spec.version.contextLength is not set, and weights that are downloaded do not say it beforehand. Set it.';
    return { reason: 'ContextUnknown', message };
  }
  const address = addressesOf(source).find((url) => !isAllowed(url));
  if (address === undefined) return undefined;
  const message = `Nothing is downloaded from ${address}: it is no address, or a link-local one, or one of a cloud's metadata.`;
  return { reason: 'AddressRefused', message };
}

function addressesOf({ http, hub, s3, oci }: WeightSource): string[] {
  return [
    ...(http?.files.map(({ url }) => url) ?? []),
    ...(hub === undefined ? [] : [hub.endpoint]),
    ...(s3 === undefined ? [] : [s3.endpoint]),
    ...(oci === undefined ? [] : [`https://${oci.reference.split('/')[0] ?? ''}`]),
  ];
}

/** Whether the controller sends requests there. A name may still lead anywhere: only what is written is judged. */
export function isAllowed(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const host = literalHost(new URL(url));
  return host === undefined || !isRefusedAddress(host);
}

async function readCredentials(
  name: string | undefined,
  cluster: Cluster,
  signal: AbortSignal,
): Promise<Result<Record<string, string>, Refusal>> {
  if (name === undefined) return ok({});
  const field = 'spec.version.weights.credentialsSecretName';
  const own = refuseOwnSecret(name, field);
  if (own !== undefined) return fail(own);
  const found = await cluster.read(kinds.Secret, name, signal);
  if (found.ok) {
    const entries = Object.entries(found.value.data ?? {});
    return ok(Object.fromEntries(entries.map(([key, text]) => [key, Buffer.from(text, 'base64').toString('utf8')])));
  }
  const { reason, message } = found.error;
  if (reason === 'NotFound' || reason === 'Forbidden') return fail(explainUnread(name, field, reason));
  return fail({ reason: 'SecretUnreadable', message: `The Secret ${name} cannot be read: ${message}` });
}

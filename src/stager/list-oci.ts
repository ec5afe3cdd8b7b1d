// The files of an artifact in a registry: its manifest by digest, whose layers are files with a name. Follows an index that
// names one manifest. Never unpacks a layer: an image that holds weights in archives is refused with a sentence.
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { FILE_PATH_PATTERN, FILES_MAX, type FileSet } from '../api/file-set.ts';
import type { WeightSource } from '../api/weight-sources.ts';
import { parseJson } from '../lib/json-text.ts';
import { readBytes, type SourceClient } from './source-client.ts';
import { StageError } from './stage-error.ts';

const MANIFEST_BYTES_MAX = 4 * 1024 * 1024;
const ACCEPT = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');
const digestSchema = z.string().regex(/^sha256:[0-9a-f]{64}$/);
const manifestSchema = z.object({
  manifests: z
    .array(z.object({ digest: digestSchema }))
    .max(64)
    .optional(),
  layers: z
    .array(
      z.object({
        mediaType: z.string().max(255),
        digest: digestSchema,
        size: z.int().min(0),
        annotations: z.record(z.string(), z.string()).optional(),
      }),
    )
    .max(1000)
    .optional(),
});
type Manifest = z.infer<typeof manifestSchema>;
type Layer = NonNullable<Manifest['layers']>[number];

interface Registry {
  readonly client: SourceClient;
  /** Of the repository. */
  readonly base: string;
  readonly shown: string;
}

export async function listOci(
  { reference, plainHttp }: NonNullable<WeightSource['oci']>,
  client: SourceClient,
  signal: AbortSignal,
): Promise<FileSet> {
  const [, host = '', repository = '', tag, digest] =
    /^([^/]+)\/(.+?)(?::([^:@/]+)|@(sha256:[0-9a-f]{64}))$/.exec(reference) ?? [];
  const base = `${plainHttp ? 'http' : 'https'}://${host}/v2/${repository}`;
  const registry = { client, base, shown: reference };
  const found = await readManifest(registry, digest ?? tag ?? 'latest', signal);
  const [only, ...more] = found.manifests ?? [];
  if (more.length > 0) {
    throw new StageError(
      'SourceRefused',
      `${reference} names ${more.length + 1} manifests. Name the digest of one of them.`,
    );
  }
  const manifest = only === undefined ? found : await readManifest(registry, only.digest, signal);
  const files = (manifest.layers ?? []).filter(({ size }) => size > 0).map((layer) => pinLayer(layer, registry));
  if (files.length === 0) throw new StageError('FilesMissing', `${reference} holds no file.`);
  if (files.length > FILES_MAX) {
    throw new StageError('PlanInvalid', `${reference} has ${files.length} files, and at most ${FILES_MAX} are taken.`);
  }
  return { source: 'Oci', files };
}

async function readManifest({ client, base, shown }: Registry, name: string, signal: AbortSignal): Promise<Manifest> {
  const { bytes, digest } = await fetchManifest(client, { url: `${base}/manifests/${name}`, accept: ACCEPT }, signal);
  if (name.startsWith('sha256:') && name !== digest) {
    throw new StageError('HashMismatch', `The registry answered another manifest than ${name} of ${shown}.`);
  }
  const parsed = manifestSchema.safeParse(parseJson(bytes.toString('utf8')));
  if (parsed.success) return parsed.data;
  throw new StageError('SourceRefused', `The registry's answer for ${shown} is no manifest.`);
}

/** The bytes of a manifest, and the digest that they are known by. */
export async function fetchManifest(
  client: SourceClient,
  { url, accept }: { readonly url: string; readonly accept: string },
  signal: AbortSignal,
): Promise<{ readonly bytes: Buffer; readonly digest: string }> {
  const answer = await client.ask({ url, headers: { accept } }, signal);
  const bytes = await readBytes(answer, MANIFEST_BYTES_MAX);
  return { bytes, digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}` };
}

function pinLayer({ mediaType, digest, size, annotations = {} }: Layer, { base, shown }: Registry) {
  const path = annotations['org.opencontainers.image.title'] ?? annotations['org.cncf.model.filepath'] ?? '';
  if (/tar|zstd|gzip/.test(mediaType) || path === '') {
    const message = `${shown} has a layer that is an archive or has no name. Push the files themselves, as \`oras push\` does.`;
    throw new StageError('SourceRefused', message);
  }
  if (!FILE_PATH_PATTERN.test(path)) {
    throw new StageError('SourceRefused', `${shown} has a layer whose name is no plain path: ${JSON.stringify(path)}.`);
  }
  return { path, url: `${base}/blobs/${digest}`, sizeBytes: size, sha256: digest.slice('sha256:'.length) };
}

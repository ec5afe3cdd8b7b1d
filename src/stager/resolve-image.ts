// From a tag to the digest that it leads to now, by asking the registry. Owns the connections of one resolution. Tries nothing
// twice, and pulls no image: the manifest is read and hashed, so that no word of the registry has to be believed.
import { z } from 'zod';
import { DEFAULT_REGISTRY, type TaggedImage } from '../api/engine-image.ts';
import { type Clock, deadlineSignal } from '../lib/clock.ts';
import { parseJson } from '../lib/json-text.ts';
import { fail, ok } from '../lib/result.ts';
import type { ImageError, ImageResolver } from '../ports/images.ts';
import { fetchManifest } from './list-oci.ts';
import { createSourceClient } from './source-client.ts';
import { StageError, type StageReason } from './stage-error.ts';

const RESOLVE_MS_MAX = 60_000;
/** Docker Hub answers its API under another name than the one in images. */
const HUB_HOST = 'registry-1.docker.io';
/** Single images, and indexes of images for several machines. Without the latter a registry would choose a machine. */
const ACCEPT = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');
const imageSchema = z.union([
  z.object({ schemaVersion: z.literal(2), manifests: z.array(z.unknown()).min(1) }),
  z.object({ schemaVersion: z.literal(2), config: z.looseObject({}), layers: z.array(z.unknown()) }),
]);
const typeOf: Readonly<Partial<Record<StageReason, ImageError['type']>>> = {
  AccessDenied: 'AccessDenied',
  FilesMissing: 'NotFound',
  SourceUnreachable: 'Unreachable',
};

export function createImageResolver(clock: Clock): ImageResolver {
  return {
    async resolveImage(image, login, signal) {
      const reason = new StageError('SourceUnreachable', `${image.registry} took too long to answer.`, {});
      const deadline = deadlineSignal(clock, RESOLVE_MS_MAX, { reason, parent: signal });
      const client = createSourceClient({ source: 'Oci', region: '', credentials: login ?? {}, clock });
      try {
        const { bytes, digest } = await fetchManifest(
          client,
          { url: manifestUrl(image), accept: ACCEPT },
          deadline.signal,
        );
        const isImage = imageSchema.safeParse(parseJson(bytes.toString('utf8'))).success;
        const message = `What ${image.registry} answers for ${image.name}:${image.tag} is no image.`;
        return isImage ? ok(digest) : fail({ type: 'Refused', message });
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof StageError)) {
          return fail({ type: 'Unreachable', message: `${image.registry} could not be read: ${String(error)}.` });
        }
        return fail({ type: typeOf[error.reason] ?? 'Refused', message: error.message });
      } finally {
        deadline.cancel();
        await client.close();
      }
    },
  };
}

function manifestUrl({ registry, repository, tag }: TaggedImage): string {
  const host = registry === DEFAULT_REGISTRY || registry === `index.${DEFAULT_REGISTRY}` ? HUB_HOST : registry;
  // As container runtimes do: http is spoken to this machine alone.
  const scheme = /^(localhost|127(\.[0-9]{1,3}){3})(:[0-9]+)?$/.test(host) ? 'http' : 'https';
  return `${scheme}://${host}/v2/${repository}/manifests/${tag}`;
}

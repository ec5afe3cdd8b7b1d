// Pins the image of an engine that is named by a tag: asks the registry once, when the version is pinned, and says what to do
// when it does not tell. Pulls nothing: nodes do that, by the digest.
import { parseTaggedImage, renderImageBuild, type TaggedImage } from '../api/engine-image.ts';
import type { Model } from '../api/model.ts';
import { fail, ok, type Result } from '../lib/result.ts';
import type { ImageError } from '../ports/images.ts';
import type { PinnedEngine, PinRefusal } from './engine-pin.ts';
import { READ_SECRETS } from './named-secrets.ts';
import type { ControllerOptions } from './options.ts';
import { isAllowed } from './pin-download.ts';
import { findLogin, type LoginSearch } from './registry-login.ts';

type ImageFacts = Pick<ControllerOptions, 'cluster' | 'images' | 'slotPods'> & { readonly signal: AbortSignal };

/** The same engine, its image by digest. What is no image, or is one by digest, is given back as it is. */
export async function pinImage(
  { pinPolicy }: Model['spec'],
  engine: PinnedEngine,
  { cluster, images, slotPods, signal }: ImageFacts,
): Promise<Result<PinnedEngine, PinRefusal>> {
  const image = engine.image === undefined ? undefined : parseTaggedImage(engine.image);
  if (image === undefined) return ok(engine);
  if (pinPolicy === 'RequireDigest') {
    const message = `pinPolicy is RequireDigest, and spec.version.engine.image is named by the tag ${image.tag}. Name it by digest.`;
    return fail({ reason: 'DigestMissing', message });
  }
  if (!isAllowed(`https://${image.registry}`)) {
    const message = `No image is asked for at ${image.registry}: it is no address, or a link-local one, or one of a cloud's metadata. Change spec.version.engine.image.`;
    return fail({ reason: 'AddressRefused', message });
  }
  const search = await findLogin(image, slotPods?.pullSecrets ?? [], { cluster, signal });
  const resolved = await images.resolveImage(image, search.found?.login, signal);
  if (!resolved.ok) return fail({ reason: 'ImageUnresolved', message: describe(resolved.error, image, search) });
  const digest = resolved.value;
  return ok({ ...engine, build: renderImageBuild(digest), image: `${image.name}@${digest}` });
}

const OR_DIGEST = 'or name the image by digest.';

function describe({ type, message }: ImageError, image: TaggedImage, { found, unread }: LoginSearch): string {
  const { registry } = image;
  const shown = `${image.name}:${image.tag}`;
  switch (type) {
    case 'NotFound':
      return `${registry} has no image ${shown}. Correct spec.version.engine.image.`;
    case 'Unreachable':
      return `What ${shown} leads to could not be asked: ${message} Let the controller reach ${registry} (networkPolicy.sourcesTo and sourcePorts of the chart), ${OR_DIGEST}`;
    case 'Refused':
      return `What ${shown} leads to is not known: ${message} Correct spec.version.engine.image, ${OR_DIGEST}`;
    case 'AccessDenied':
      return found === undefined
        ? `${registry} has no image ${shown}, or shows it to nobody without a login. ${adviceOnLogin(registry, unread)}, ${OR_DIGEST}`
        : `${registry} does not show ${shown} to the login in the Secret ${found.secretName}. Correct that Secret, ${OR_DIGEST}`;
  }
}

function adviceOnLogin(registry: string, unread: readonly string[]): string {
  if (unread.length === 0) {
    return `Name a Secret with a login for ${registry} in imagePullSecrets and in ${READ_SECRETS}`;
  }
  const secrets = `the Secret${unread.length === 1 ? '' : 's'} ${unread.join(', ')}`;
  return `The controller cannot read ${secrets}: see that each is there and stands in ${READ_SECRETS}`;
}

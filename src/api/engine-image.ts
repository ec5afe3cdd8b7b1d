// The image that an engine comes as: how people may name it, and its identity, which is the digest, wherever it was pulled from.
// Pure: what a tag leads to is asked elsewhere.
import { z } from 'zod';

/** What a revision pins of an engine that is installed on the one machine there is: whatever version that has. */
export const INSTALLED_BUILD = 'installed';
/** Where an image without a registry in its name is pulled from. */
export const DEFAULT_REGISTRY = 'docker.io';

const IMAGE_CHARS_MAX = 512;

/** Always by digest: what a tag leads to can change under a revision. */
export const engineImageSchema = z
  .string()
  .max(IMAGE_CHARS_MAX)
  .regex(
    /^[a-z0-9][A-Za-z0-9._:/-]*@sha256:[0-9a-f]{64}$/,
    'must be an image by digest, for example registry.example.com/vllm/vllm-openai@sha256:DIGEST with 64 hexadecimal digits',
  );

/** As people write it in a Model: by digest, or by a tag that is resolved when the version is pinned. */
export const writtenImageSchema = z
  .string()
  .max(IMAGE_CHARS_MAX)
  .regex(
    /^[a-z0-9][A-Za-z0-9._:/-]*(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127}|@sha256:[0-9a-f]{64})$/,
    'must be an image by tag or by digest, for example vllm/vllm-openai:TAG, or registry.example.com/vllm/vllm-openai@sha256:DIGEST with 64 hexadecimal digits',
  );

/** An image that is named by a tag alone. */
export interface TaggedImage {
  /** As it is written, without the tag. */
  readonly name: string;
  /** Host, and port where one is written. */
  readonly registry: string;
  readonly repository: string;
  readonly tag: string;
}

/** What is written is taken apart as container runtimes do; undefined when a digest is there and nothing is left to resolve. */
export function parseTaggedImage(image: string): TaggedImage | undefined {
  if (image.includes('@')) return undefined;
  const colon = image.lastIndexOf(':');
  const isTagged = colon > image.lastIndexOf('/');
  const name = isTagged ? image.slice(0, colon) : image;
  const tag = isTagged ? image.slice(colon + 1) : 'latest';
  const [first = '', ...rest] = name.split('/');
  const hasRegistry = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost');
  const registry = hasRegistry ? first : DEFAULT_REGISTRY;
  const path = hasRegistry ? rest.join('/') : name;
  const repository = registry === DEFAULT_REGISTRY && !path.includes('/') ? `library/${path}` : path;
  return { name, registry, repository, tag };
}

/** `sha256:<hex>` of an image that is named by digest. One by tag has none: it stands for itself until it is resolved. */
export function imageDigestOf(image: string): string {
  return image.slice(image.lastIndexOf('@') + 1);
}

/** Whether what runs may be what was pinned. */
export function isPinnedBuild(pinned: string, observed: string): boolean {
  return pinned === INSTALLED_BUILD || pinned === observed;
}

/** What a revision pins and an agent reports; undefined when there is no image and the engine is asked for its version. */
export function renderImageBuild(imageDigest: string): string;
export function renderImageBuild(imageDigest: string | undefined): string | undefined;
export function renderImageBuild(imageDigest: string | undefined): string | undefined {
  return imageDigest === undefined ? undefined : `image@${imageDigest}`;
}

// The identity of an engine that comes as an image: the image's digest, wherever it was pulled from. Pure.
import { z } from 'zod';

/** What a revision pins of an engine that is installed on the one machine there is: whatever version that has. */
export const INSTALLED_BUILD = 'installed';

/** Always by digest: what a tag leads to can change under a revision. */
export const engineImageSchema = z
  .string()
  .max(512)
  .regex(
    /^[a-z0-9][A-Za-z0-9._:/-]*@sha256:[0-9a-f]{64}$/,
    'must be an image by digest, for example registry.example.com/vllm/vllm-openai@sha256:DIGEST with 64 hexadecimal digits',
  );

/** `sha256:<hex>` of an image that is named by digest. */
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

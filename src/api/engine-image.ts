// The identity of an engine that comes as an image: the image's digest, wherever it was pulled from. Pure.

/** What a revision pins and an agent reports; undefined when there is no image and the engine is asked for its version. */
export function renderImageBuild(imageDigest: string | undefined): string | undefined {
  return imageDigest === undefined ? undefined : `image@${imageDigest}`;
}

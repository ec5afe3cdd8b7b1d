// What the controller needs to pin an image that is named by a tag. Implemented by src/stager.
import type { TaggedImage } from '../api/engine-image.ts';
import type { Result } from '../lib/result.ts';

export interface ImageError {
  readonly type: 'AccessDenied' | 'NotFound' | 'Unreachable' | 'Refused';
  /** A sentence for people: what happened at which address. */
  readonly message: string;
}

export interface RegistryLogin {
  readonly username: string;
  readonly password: string;
}

/** Asks a registry which image a tag leads to now. */
export interface ImageResolver {
  /** Gives `sha256:<hex>`, of the index where the tag leads to images for several machines. Rejects only when `signal` aborts. */
  resolveImage(
    image: TaggedImage,
    login: RegistryLogin | undefined,
    signal: AbortSignal,
  ): Promise<Result<string, ImageError>>;
}

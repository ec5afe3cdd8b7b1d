// What the controller needs to pin a version: what the weights are, wherever they lie. Implemented by src/engine.
import type { FileSet } from '../api/file-set.ts';
import type { ModelDescription } from '../api/model-config.ts';
import type { WeightSource } from '../api/weight-sources.ts';
import type { Result } from '../lib/result.ts';

export interface WeightsError {
  readonly reason: 'WeightsMissing' | 'WeightsUnreadable' | 'WeightsInvalid' | 'HashMismatch';
  /** A sentence for people: what is wrong, and with which file. */
  readonly message: string;
}

export interface ResolvedWeights extends ModelDescription {
  /** Absolute. */
  readonly path: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

export type WeightsResult = Result<ResolvedWeights, WeightsError>;

export interface WeightsResolver {
  /** Reads everything the first time. Rejects only when `signal` aborts. */
  resolve(
    wanted: {
      readonly path: string;
      /** One GGUF file, unless it says otherwise. */
      readonly form?: 'File' | 'Folder';
      readonly expectedSha256?: string;
    },
    signal: AbortSignal,
  ): Promise<WeightsResult>;
}

export interface SourceError {
  readonly reason: string;
  /** A sentence for people: what is wrong, where, and what to do. */
  readonly message: string;
}

export interface ResolvedSource {
  readonly fileSet: FileSet;
  /** What the config.json beside the weights says; missing when there is none, or it says nothing. */
  readonly description?: ModelDescription | undefined;
}

/** Finds out which files a source has now, and pins each by its digest. Implemented by src/stager. */
export interface SourceResolver {
  /** `credentials` is what the Secret holds, decoded. Rejects only when `signal` aborts. */
  resolveSource(
    source: WeightSource,
    credentials: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<Result<ResolvedSource, SourceError>>;
}

// What the controller needs to pin a version: what the weights are, wherever they lie. Implemented by src/engine.
import type { Result } from '../lib/result.ts';

export interface WeightsError {
  readonly reason: 'WeightsMissing' | 'WeightsUnreadable' | 'WeightsInvalid' | 'HashMismatch';
  /** A sentence for people: what is wrong, and with which file. */
  readonly message: string;
}

export interface ResolvedWeights {
  /** Absolute. */
  readonly path: string;
  readonly sizeBytes: number;
  readonly sha256: string;
  /** Tokens that the model was trained for. */
  readonly trainedContextLength: number;
}

export type WeightsResult = Result<ResolvedWeights, WeightsError>;

export interface WeightsResolver {
  /** Reads the whole file the first time. Rejects only when `signal` aborts. */
  resolve(
    wanted: { readonly path: string; readonly expectedSha256?: string },
    signal: AbortSignal,
  ): Promise<WeightsResult>;
}

// How far a stager is, as whoever started it may ask. Implemented by src/stager.
import type { Pod } from '../api/kinds.ts';

export interface StagerProgress {
  readonly doneBytes: number;
  readonly totalBytes: number;
}

export interface ProgressReader {
  /** Of the stager in this Pod, which brings the set of this digest. Undefined when it cannot be had now. Never rejects. */
  read(
    stager: { readonly pod: Pod; readonly digest: string },
    signal: AbortSignal,
  ): Promise<StagerProgress | undefined>;
}

// Where llama-server's /metrics says what we ask for (--metrics). Newer releases do not tell the use of their room. Pure data.
import type { FigureNames } from '../third-party/figures.ts';

export const llamaServerFigureNames: FigureNames = {
  running: ['llamacpp:requests_processing'],
  waiting: ['llamacpp:requests_deferred'],
  kvUsedShare: ['llamacpp:kv_cache_usage_ratio'],
  // Token counts grow only when a request ends.
  steps: ['llamacpp:n_decode_total'],
};

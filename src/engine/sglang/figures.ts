// Where SGLang's /metrics says what we ask for (--enable-metrics). Pure data.
import type { FigureNames } from '../third-party/figures.ts';

export const sglangFigureNames: FigureNames = {
  running: ['sglang:num_running_reqs'],
  waiting: ['sglang:num_queue_reqs'],
  kvUsedShare: ['sglang:token_usage'],
  steps: ['sglang:generation_tokens_total', 'sglang:prompt_tokens_total'],
};

// Where vLLM's /metrics says what we ask for (its docs/usage/metrics.md). An older release called the use of its room
// gpu_cache_usage_perc. Pure data.
import type { FigureNames } from '../third-party/figures.ts';

export const vllmFigureNames: FigureNames = {
  running: ['vllm:num_requests_running'],
  waiting: ['vllm:num_requests_waiting'],
  kvUsedShare: ['vllm:kv_cache_usage_perc', 'vllm:gpu_cache_usage_perc'],
  // Steps that computed anything, and tokens for releases that do not count steps.
  steps: ['vllm:iteration_tokens_total_count', 'vllm:generation_tokens_total', 'vllm:prompt_tokens_total'],
};

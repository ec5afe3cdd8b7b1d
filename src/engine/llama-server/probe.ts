// The probe of llama-server: its own /completion, because its OpenAI answers do not name tokens by number.
import { z } from 'zod';
import type { ProbeSample } from '../../api/model-revision.ts';
import { PROBE_PROMPT, PROBE_TOKENS, renderLogprob } from '../third-party/dialect.ts';
import { demandJson, type EngineHttp } from '../third-party/engine-http.ts';

const answerSchema = z.object({
  completion_probabilities: z.array(z.object({ id: z.int().min(0), logprob: z.number() })).max(64),
});

export async function llamaServerProbe(http: EngineHttp, signal: AbortSignal): Promise<ProbeSample> {
  const body = {
    prompt: PROBE_PROMPT,
    n_predict: PROBE_TOKENS,
    temperature: 0,
    seed: 0,
    n_probs: 1,
    ignore_eos: true,
    // It keeps prompts in its places; a part that was computed before gives slightly other figures.
    cache_prompt: false,
  };
  const what = { method: 'POST', path: '/completion', body, answer: answerSchema, refused: 'ProbeFailed' } as const;
  const tokens = (await demandJson(http, what, signal)).completion_probabilities;
  return { tokenIds: tokens.map(({ id }) => id), logprobs: tokens.map(({ logprob }) => renderLogprob(logprob)) };
}

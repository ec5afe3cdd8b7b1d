// The probe of SGLang: its own /generate, because its OpenAI answers do not name tokens by number.
import { z } from 'zod';
import type { ProbeSample } from '../../api/model-revision.ts';
import { PROBE_PROMPT, PROBE_TOKENS, renderLogprob } from '../third-party/dialect.ts';
import { demandJson, type EngineHttp } from '../third-party/engine-http.ts';

/** Log-probability, token, and in some releases its text. */
const tokenSchema = z.tuple([z.number(), z.int().min(0)]).rest(z.unknown());
const answerSchema = z.object({ meta_info: z.object({ output_token_logprobs: z.array(tokenSchema).max(64) }) });

export async function sglangProbe(http: EngineHttp, salt: string, signal: AbortSignal): Promise<ProbeSample> {
  const body = {
    text: PROBE_PROMPT,
    sampling_params: { temperature: 0, max_new_tokens: PROBE_TOKENS, ignore_eos: true },
    return_logprob: true,
    // Its own corner of the prefix cache, so that nothing computed before the sleep is used.
    extra_key: salt,
  };
  const what = { method: 'POST', path: '/generate', body, answer: answerSchema, refused: 'ProbeFailed' } as const;
  const tokens = (await demandJson(http, what, signal)).meta_info.output_token_logprobs;
  return { tokenIds: tokens.map(([, id]) => id), logprobs: tokens.map(([logprob]) => renderLogprob(logprob)) };
}

// The probe of vLLM: greedy tokens with their log-probabilities through its OpenAI completions. Token ids come as text of
// the form token_id:123, because the words alone do not name a token.
import { z } from 'zod';
import type { ProbeSample } from '../../api/model-revision.ts';
import { EngineError } from '../engine-error.ts';
import { PROBE_PROMPT, PROBE_TOKENS, renderLogprob } from '../third-party/dialect.ts';
import { demandJson, type EngineHttp } from '../third-party/engine-http.ts';

const answerSchema = z.object({
  choices: z
    .array(
      z.object({
        logprobs: z.object({
          tokens: z.array(z.string().max(256)).max(64),
          token_logprobs: z.array(z.number()).max(64),
        }),
      }),
    )
    .length(1),
});

export async function vllmProbe(
  http: EngineHttp,
  { servedName, salt }: { servedName: string; salt: string },
  signal: AbortSignal,
): Promise<ProbeSample> {
  const body = {
    model: servedName,
    prompt: PROBE_PROMPT,
    max_tokens: PROBE_TOKENS,
    temperature: 0,
    seed: 0,
    logprobs: 1,
    ignore_eos: true,
    return_tokens_as_token_ids: true,
    // Its own corner of the prefix cache, so that nothing computed before the sleep is used.
    cache_salt: salt,
  };
  const what = { method: 'POST', path: '/v1/completions', body, answer: answerSchema, refused: 'ProbeFailed' } as const;
  const [choice] = (await demandJson(http, what, signal)).choices;
  const { tokens = [], token_logprobs: logprobs = [] } = choice?.logprobs ?? {};
  return { tokenIds: tokens.map(readTokenId), logprobs: logprobs.map(renderLogprob) };
}

function readTokenId(text: string): number {
  const digits = /^token_id:([0-9]{1,9})$/.exec(text)?.[1];
  if (digits === undefined)
    throw new EngineError('ProbeFailed', 'The engine did not name the tokens of the probe by number.');
  return Number(digits);
}

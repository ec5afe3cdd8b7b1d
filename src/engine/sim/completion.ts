// POST /v1/completions of the simulated model: composes the answers. What follows is generation.ts.
// Must never start what does not fit into the context.
import type { ServerResponse } from 'node:http';
import { textShape } from '../llama/answer-shape.ts';
import { parseCompletionRequest } from '../llama/completion-request.ts';
import type { Passage } from '../llama/passages.ts';
import { resolveSampling, samplingOfChoice } from '../llama/sampling.ts';
import { composeAnswer } from './answer.ts';
import { noChance } from './chat.ts';
import { generateSim, refuseUnsimulated, roomAfter, type SimChoice, type SimContext } from './generation.ts';
import { countPassageTokens, describeQuestion } from './question.ts';
import { textOf } from './vocabulary.ts';

/** Answers the request whatever happens; rejects only with a Refusal that came before anything was written. */
export async function answerSimCompletion(json: unknown, response: ServerResponse, context: SimContext): Promise<void> {
  const { config, damage } = context;
  const wishes = parseCompletionRequest(json);
  refuseUnsimulated(wishes, 'logprobs');
  const sampling = resolveSampling(wishes.sampling, config.sampling, noChance);
  const { seed } = config.simulated;
  const choices = wishes.prompts.flatMap((passage) => {
    const text = textOfPassage(passage);
    const promptTokens = countPassageTokens(passage);
    const tokensMax = Math.min(wishes.tokensMax, roomAfter(promptTokens, config.contextLength, passage.at));
    return Array.from({ length: wishes.choices }, (_, index): SimChoice => {
      const question = describeQuestion([{ role: 'user', text }], samplingOfChoice(sampling, index));
      const answer = composeAnswer({ seed, damage, question }, tokensMax);
      return { promptTokens, answer, opening: wishes.echo ? text : '' };
    });
  });
  await generateSim({ choices, wishes, shape: textShape }, response, context);
}

export function textOfPassage(passage: Passage): string {
  return 'text' in passage ? passage.text : passage.tokens.map((token, index) => textOf(token, index === 0)).join('');
}

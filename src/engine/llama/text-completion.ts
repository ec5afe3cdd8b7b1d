// POST /v1/completions: from the parsed body to prompts in tokens. What follows is generation.ts.
// A prompt that is a text never becomes a control token; one that is given as tokens is taken as it is.
import type { ServerResponse } from 'node:http';
import { textShape } from './answer-shape.ts';
import { parseCompletionRequest } from './completion-request.ts';
import { checkCharacters, checkTokens, type GenerationContext, generate, type Prompt } from './generation.ts';
import { wrongField } from './json-fields.ts';
import type { LoadedModel } from './loaded-model.ts';
import { mapPassages, type Passage } from './passages.ts';

/** Answers the request whatever happens; rejects only with a Refusal that came before anything was written. */
export async function answerCompletion(
  json: unknown,
  response: ServerResponse,
  context: GenerationContext,
): Promise<void> {
  const wishes = parseCompletionRequest(json);
  const { model, config } = context;
  const prompts = await mapPassages(wishes.prompts, (passage): Prompt => {
    const tokens = passageTokens(passage, model, config.contextLength);
    return { tokens, opening: wishes.echo ? passageText(passage, model) : '' };
  });
  const generation = { prompts, wishes, tokensMax: wishes.tokensMax, shape: textShape, stopTexts: [] };
  await generate(generation, response, context);
}

/** Throws a Refusal when it does not fit or names tokens that the model does not have. */
function passageTokens(passage: Passage, model: LoadedModel, contextLength: number): readonly number[] {
  const { at } = passage;
  if ('text' in passage) checkCharacters(passage.text.length, model, contextLength, at);
  const tokens = 'text' in passage ? model.tokenizePrompt(passage.text) : passage.tokens;
  checkTokens(tokens, contextLength, at);
  checkKnown(tokens, model, at);
  return tokens;
}

export function checkKnown(tokens: readonly number[], model: LoadedModel, at: string): void {
  const known = model.identity.vocabulary.tokens;
  if (tokens.some((token) => token >= known)) {
    throw wrongField(at, `\`${at}\` names a token beyond the ${known} of this model.`);
  }
}

function passageText(passage: Passage, model: LoadedModel): string {
  return 'text' in passage ? passage.text : model.detokenize(passage.tokens, []);
}

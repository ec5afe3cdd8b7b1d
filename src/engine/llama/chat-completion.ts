// POST /v1/chat/completions: from the parsed body to prompts in tokens. What follows is generation.ts.
import type { ServerResponse } from 'node:http';
import { chatShape } from './answer-shape.ts';
import { parseChatRequest } from './chat-request.ts';
import { checkCharacters, checkTokens, type GenerationContext, generate } from './generation.ts';

/** Answers the request whatever happens; rejects only with a Refusal that came before anything was written. */
export async function answerChat(json: unknown, response: ServerResponse, context: GenerationContext): Promise<void> {
  const { config, model } = context;
  const wishes = parseChatRequest(json);
  const characters = wishes.messages.reduce((sum, message) => sum + message.text.length, 0);
  checkCharacters(characters, model, config.contextLength, 'messages');
  const tokens = model.renderPrompt(wishes.messages);
  checkTokens(tokens, config.contextLength, 'messages');
  const generation = {
    prompts: [{ tokens, opening: '' }],
    wishes,
    tokensMax: wishes.tokensMax ?? Number.POSITIVE_INFINITY,
    shape: chatShape,
    stopTexts: model.stopTexts,
  };
  await generate(generation, response, context);
}

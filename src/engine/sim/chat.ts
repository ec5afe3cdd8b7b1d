// POST /v1/chat/completions of the simulated model: composes the answers, in text or as the call of a tool that was demanded.
// What follows is generation.ts. Must never start what does not fit into the context.
import type { ServerResponse } from 'node:http';
import type { Rng } from '../../lib/rng.ts';
import { chatShape } from '../llama/answer-shape.ts';
import { type ChatRequest, parseChatRequest } from '../llama/chat-request.ts';
import { resolveSampling, samplingOfChoice } from '../llama/sampling.ts';
import { composeAnswer } from './answer.ts';
import { generateSim, refuseUnsimulated, roomAfter, type SimChoice, type SimContext } from './generation.ts';
import { countPromptTokens, describeQuestion } from './question.ts';
import { composeToolCall, parseDemandedTool, type SimTool, toolCallShape } from './tool-call.ts';

/** A request without a seed is sampled with seed 0, so that a simulation can be repeated. */
export const noChance: Rng = { next: () => 0, below: () => 0 };

/** Answers the request whatever happens; rejects only with a Refusal that came before anything was written. */
export async function answerSimChat(json: unknown, response: ServerResponse, context: SimContext): Promise<void> {
  const wishes = parseChatRequest(json, { tools: true });
  refuseUnsimulated(wishes, 'logprobs');
  const tool = parseDemandedTool(json);
  const promptTokens = countPromptTokens(wishes.messages);
  const room = roomAfter(promptTokens, context.config.contextLength, 'messages');
  const tokensMax = Math.min(wishes.tokensMax ?? room, room);
  const choices = Array.from({ length: wishes.choices }, (_, index): SimChoice => {
    const compose = tool === undefined ? composeText : composeCall(tool);
    return { promptTokens, opening: '', ...compose(wishes, context, { index, tokensMax }) };
  });
  const shape = tool === undefined ? chatShape : toolCallShape(tool, questionOf(wishes, context, 0));
  await generateSim({ choices, wishes, shape }, response, context);
}

type Compose = (
  wishes: ChatRequest,
  context: SimContext,
  place: { readonly index: number; readonly tokensMax: number },
) => Pick<SimChoice, 'answer' | 'texts'>;

const composeText: Compose = (wishes, context, { index, tokensMax }) => {
  const { config, damage } = context;
  const question = questionOf(wishes, context, index);
  return { answer: composeAnswer({ seed: config.simulated.seed, damage, question }, tokensMax) };
};

function composeCall(tool: SimTool): Compose {
  return (wishes, context, { index, tokensMax }) => {
    const { config, damage } = context;
    const question = questionOf(wishes, context, index);
    return composeToolCall(tool, { seed: config.simulated.seed, damage, question }, tokensMax);
  };
}

function questionOf(wishes: ChatRequest, { config }: SimContext, index: number): string {
  const sampling = resolveSampling(wishes.sampling, config.sampling, noChance);
  return describeQuestion(wishes.messages, samplingOfChoice(sampling, index));
}

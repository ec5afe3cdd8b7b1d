// What a chat request asks of the simulated model: how many tokens its prompt counts, and the text that its answer depends on.
// Pure. Nothing here understands the prompt.
import { createHash } from 'node:crypto';
import type { ChatMessage } from '../llama/chat-messages.ts';
import type { Passage } from '../llama/passages.ts';
import type { Sampling } from '../llama/sampling.ts';

/** The rule of thumb for English text. */
const CHARS_PER_TOKEN = 4;
/** The marks around a message, and those that begin the answer. */
const TOKENS_PER_MESSAGE = 4;
const TOKENS_OF_ANSWER_MARK = 3;

export function countPromptTokens(messages: readonly ChatMessage[]): number {
  return messages.reduce(
    (sum, { text }) => sum + TOKENS_PER_MESSAGE + Math.ceil(text.length / CHARS_PER_TOKEN),
    TOKENS_OF_ANSWER_MARK,
  );
}

/** A passage has no marks around it. */
export function countPassageTokens(passage: Passage): number {
  return 'text' in passage ? Math.ceil(passage.text.length / CHARS_PER_TOKEN) : passage.tokens.length;
}

/**
 * At temperature 0 the answer depends on the prompt alone; else also on how is sampled, so that another seed or temperature
 * gives another answer. A request without a seed has seed 0: a simulation can be repeated.
 */
export function describeQuestion(messages: readonly ChatMessage[], sampling: Sampling): string {
  const hash = createHash('sha256');
  for (const { role, text } of messages) hash.update(`${role} ${text.length} `).update(text);
  return `${hash.digest('hex')} ${sampling.temperature === 0 ? 'greedy' : describeSampling(sampling)}`;
}

function describeSampling(sampling: Sampling): string {
  const { temperature, topP, topK, minP, seed, presencePenalty, frequencyPenalty } = sampling;
  return [temperature, topP, topK, minP, seed, presencePenalty, frequencyPenalty].join(' ');
}

// How answers look on the wire: the same parts (an opening, pieces of text, an end) as chat completions or as text completions.
// Pure; a shape decides names and places, never what is said.
import { publicId } from '../../lib/ids.ts';
import { chatLogprobs, type PieceScores, textLogprobs } from './logprobs.ts';
import type { JobEnd } from './scheduler.ts';

export type Finish = JobEnd['finish'];

/** Fields of one choice, without `index` and `finish_reason`. */
type ChoiceFields = Readonly<Record<string, unknown>>;

export interface AnswerShape {
  newId(): string;
  /** `object` of a whole answer and of a chunk. */
  readonly whole: string;
  readonly chunk: string;
  /** What a stream says of a choice before its first text; undefined for nothing. */
  readonly opening: ChoiceFields | undefined;
  piece(text: string, scores: PieceScores | undefined): ChoiceFields;
  readonly closing: ChoiceFields;
  choice(text: string, scores: PieceScores | undefined): ChoiceFields;
  finishReason(finish: Finish): string;
}

export const chatShape: AnswerShape = {
  newId: () => publicId('chatcmpl-'),
  whole: 'chat.completion',
  chunk: 'chat.completion.chunk',
  opening: { delta: { role: 'assistant', content: '' }, logprobs: null },
  piece: (text, scores) => ({ delta: { content: text }, logprobs: chatLogprobs(scores) }),
  closing: { delta: {}, logprobs: null },
  choice: (text, scores) => ({
    message: { role: 'assistant', content: text, refusal: null },
    logprobs: chatLogprobs(scores),
  }),
  finishReason: (finish) => finish,
};

export const textShape: AnswerShape = {
  newId: () => publicId('cmpl-'),
  whole: 'text_completion',
  chunk: 'text_completion',
  opening: undefined,
  piece: (text, scores) => ({ text, logprobs: textLogprobs(scores) }),
  closing: { text: '', logprobs: null },
  choice: (text, scores) => ({ text, logprobs: textLogprobs(scores) }),
  finishReason: (finish) => finish,
};

// Answers of an instance in OpenAI's shapes, for scripted slots. For tests of the router.
import { usage } from './fake-slot.ts';

export function completionAnswer(responseId: string, texts: readonly string[]): object {
  return {
    id: responseId,
    object: 'text_completion',
    created: 1,
    model: 'served',
    choices: texts.map((text, index) => ({ index, text, finish_reason: 'stop', logprobs: null })),
    usage,
  };
}

/** One vector for each input, in base64 when it was asked for, as the official clients do. */
export function embeddingAnswer(vectors: readonly (readonly number[])[], format: unknown): object {
  const render = (vector: readonly number[]) =>
    format === 'base64' ? Buffer.from(new Float32Array(vector).buffer).toString('base64') : vector;
  return {
    object: 'list',
    model: 'served',
    data: vectors.map((vector, index) => ({ object: 'embedding', index, embedding: render(vector) })),
    usage: { prompt_tokens: 5, total_tokens: 5 },
  };
}

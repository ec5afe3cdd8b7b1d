// The fields of an embeddings request (POST /v1/embeddings) that the router acts on. Answers are always JSON, and nothing is
// generated: the work is the prompt.
import { ok } from '../../lib/result.ts';
import type { ObjectScan } from './json-scan.ts';
import { readPromptList } from './prompt-list.ts';
import { type Read, type RequestFields, readModel, segmentsOf, valuesOf, wrong } from './request-fields.ts';

/** OpenAI's own bound. */
export const INPUTS_MAX = 2048;

/** Reads one body that `scanObject` accepted. */
export function readEmbeddingFields(bytes: Uint8Array, scan: ObjectScan): Read<RequestFields> {
  const value = valuesOf(bytes, scan);
  const model = readModel(value('model'));
  if (!model.ok) return model;
  const input = value('input');
  const inputs = readPromptList('input', input, INPUTS_MAX);
  if (!inputs.ok) return inputs;
  const empty = input === '' ? 'input' : emptyEntry(input);
  if (empty !== undefined) return wrong(empty, `${empty} is empty: an empty text has no embedding.`);
  return ok({
    model: model.value,
    stream: false,
    includeUsage: false,
    answerTokensMax: undefined,
    answers: 0,
    promptTokens: inputs.value.tokens,
    segments: segmentsOf(scan, 'input'),
  });
}

function emptyEntry(input: unknown): string | undefined {
  const index = Array.isArray(input) ? input.indexOf('') : -1;
  return index < 0 ? undefined : `input[${index}]`;
}

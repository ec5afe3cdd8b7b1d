// The fields of a text completion (POST /v1/completions) that the router acts on. Each prompt of a list has its own answers,
// and `best_of` generates more of them than it returns: all of that is work.
import { ok } from '../../lib/result.ts';
import type { ObjectScan } from './json-scan.ts';
import { readPromptList } from './prompt-list.ts';
import {
  CHOICES_MAX,
  type Read,
  type ReadValue,
  type RequestFields,
  readBoolean,
  readCount,
  readModel,
  readStreamOptions,
  segmentsOf,
  valuesOf,
  wrong,
} from './request-fields.ts';

/** Prompts in one request. Engines run them side by side, so that many of them are many requests. */
export const PROMPTS_MAX = 128;

/** Reads one body that `scanObject` accepted. */
export function readCompletionFields(bytes: Uint8Array, scan: ObjectScan): Read<RequestFields> {
  const value = valuesOf(bytes, scan);
  const model = readModel(value('model'));
  if (!model.ok) return model;
  const stream = readBoolean('stream', value('stream'));
  if (!stream.ok) return stream;
  const includeUsage = readStreamOptions(value('stream_options'), stream.value);
  if (!includeUsage.ok) return includeUsage;
  const answerTokensMax = readAnswerTokensMax(value('max_tokens'));
  if (!answerTokensMax.ok) return answerTokensMax;
  const choices = readChoices(value);
  if (!choices.ok) return choices;
  const prompts = readPromptList('prompt', value('prompt'), PROMPTS_MAX);
  if (!prompts.ok) return prompts;
  return ok({
    model: model.value,
    stream: stream.value,
    includeUsage: includeUsage.value,
    answerTokensMax: answerTokensMax.value,
    answers: prompts.value.count * choices.value,
    promptTokens: prompts.value.tokens,
    segments: segmentsOf(scan, 'prompt'),
  });
}

/** 0 is allowed here: with `echo` it asks for the figures of the prompt alone. */
function readAnswerTokensMax(value: unknown): Read<number | undefined> {
  if (value === 0) return ok(0);
  return readCount('max_tokens', value, { max: Number.MAX_SAFE_INTEGER, fallback: undefined });
}

function readChoices(value: ReadValue): Read<number> {
  const choices = readCount('n', value('n'), { max: CHOICES_MAX, fallback: 1 });
  if (!choices.ok) return choices;
  const best = readCount('best_of', value('best_of'), { max: CHOICES_MAX, fallback: choices.value });
  if (!best.ok) return best;
  if (best.value < choices.value) return wrong('best_of', 'best_of must not be less than n.');
  return best;
}

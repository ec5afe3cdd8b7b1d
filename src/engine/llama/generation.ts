// From prompts in tokens to the last byte of their answers, for chat and text completions alike: one job for each answer, all of
// them one request to the scheduler, written as one stream or one body.
// Must never start work that does not fit into the context, and never keep working for a caller that is gone.
import type { ServerResponse } from 'node:http';
import type { Clock } from '../../lib/clock.ts';
import type { Rng } from '../../lib/rng.ts';
import type { AnswerWishes } from './answer-fields.ts';
import type { AnswerShape } from './answer-shape.ts';
import { type AnswerSink, createAnswerSink } from './answer-sink.ts';
import {
  type AnswerUsage,
  type AnswerWriter,
  createJsonWriter,
  createStreamWriter,
  tooLargeRefusal,
} from './answer-writer.ts';
import type { ServerConfig } from './config.ts';
import { wrongField } from './json-fields.ts';
import type { LoadedModel } from './loaded-model.ts';
import { Refusal, refusalOf } from './refusal.ts';
import { resolveSampling, samplingOfChoice } from './sampling.ts';
import type { Job, JobEnd, Scheduler } from './scheduler.ts';

export interface GenerationContext {
  readonly config: ServerConfig;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly model: LoadedModel;
  readonly scheduler: Scheduler;
  readonly fingerprint: string;
}

export interface Prompt {
  /** At least one, and fewer than the context holds. */
  readonly tokens: readonly number[];
  /** What its answers begin with: its own text when it is to be echoed. */
  readonly opening: string;
}

export interface Generation {
  /** Each gets `wishes.choices` answers, numbered one prompt after the other. */
  readonly prompts: readonly Prompt[];
  readonly wishes: AnswerWishes;
  /** Infinity for as long as the context lasts. */
  readonly tokensMax: number;
  readonly shape: AnswerShape;
  /** Texts of the model's own template that end an answer too. */
  readonly stopTexts: readonly string[];
}

/** Answers the request whatever happens; rejects only with a Refusal that came before anything was written. */
export async function generate(
  generation: Generation,
  response: ServerResponse,
  context: GenerationContext,
): Promise<void> {
  checkBiases(generation.wishes, context.model);
  const abort = new AbortController();
  response.once('close', () => abort.abort());
  let isTooLarge = false;
  const onTooLarge = () => {
    isTooLarge = true;
    abort.abort();
  };
  const writer = createWriter(generation, response, context, { onStuck: () => abort.abort(), onTooLarge });
  const works = createWorks(generation, context, { writer, signal: abort.signal });
  try {
    const jobs = works.map(({ job }) => job);
    const ends = await context.scheduler.runAll(jobs, (index, end) => works[index]?.sink.finish(end));
    if (isTooLarge) throw tooLargeRefusal();
    writer.end(usageOf(ends, generation.wishes.choices));
  } catch (error) {
    abort.abort();
    const refusal = isTooLarge ? tooLargeRefusal() : refusalOf(error);
    if (refusal.code === 'client_gone') response.destroy();
    else writer.fail(refusal);
  }
}

interface Work {
  readonly job: Job;
  readonly sink: AnswerSink;
}

function createWorks(
  { prompts, wishes, tokensMax, stopTexts }: Generation,
  { config, model, rng }: GenerationContext,
  { writer, signal }: { writer: AnswerWriter; signal: AbortSignal },
): readonly Work[] {
  const stops = [...wishes.stops, ...stopTexts];
  const speller = {
    spell: (token: number) => model.detokenize([token], []),
    bytes: (token: number) => model.tokenBytes(token),
  };
  return prompts.flatMap(({ tokens, opening }, promptIndex) => {
    const sampling = resolveSampling(wishes.sampling, config.sampling, rng);
    return Array.from({ length: wishes.choices }, (_, index): Work => {
      const choice = promptIndex * wishes.choices + index;
      const { detokenize } = model;
      const sink = createAnswerSink({ writer, choice, detokenize, stops, opening, speller });
      const job: Job = {
        prompt: tokens,
        tokensMax: Math.min(tokensMax, config.contextLength - tokens.length),
        sampling: samplingOfChoice(sampling, index),
        alternatives: wishes.alternatives,
        sink,
        signal,
      };
      return { job, sink };
    });
  });
}

function createWriter(
  { wishes, shape }: Generation,
  response: ServerResponse,
  { config, clock, scheduler, fingerprint }: GenerationContext,
  { onStuck, onTooLarge }: { readonly onStuck: () => void; readonly onTooLarge: () => void },
): AnswerWriter {
  const created = Math.floor(clock.wallMs() / 1000);
  const frame = { shape, id: shape.newId(), created, model: config.servedName, fingerprint };
  if (!wishes.stream) return createJsonWriter({ response, frame, onTooLarge });
  return createStreamWriter({
    response,
    frame,
    includeUsage: wishes.includeUsage,
    clock,
    onReady: () => scheduler.resume(),
    onStuck,
  });
}

/** A prompt counts once, however many answers it gets. */
export function usageOf(ends: readonly JobEnd[], choices: number): AnswerUsage {
  const usage = { promptTokens: 0, cachedTokens: 0, completionTokens: 0 };
  for (const [index, end] of ends.entries()) {
    usage.completionTokens += end.completionTokens;
    if (index % choices !== 0) continue;
    usage.promptTokens += end.promptTokens;
    usage.cachedTokens += end.cachedTokens;
  }
  return usage;
}

/** A text that cannot fit is refused without being turned into tokens. `at` is its place in the request. */
export function checkCharacters(
  characters: number,
  { longestTokenChars }: LoadedModel,
  contextLength: number,
  at: string,
): void {
  const tokensMin = Math.floor(characters / longestTokenChars);
  if (tokensMin >= contextLength) throw tooLong(contextLength, `at least ${tokensMin}`, at);
}

/** A prompt must leave room for one token of answer. */
export function checkTokens(tokens: readonly number[], contextLength: number, at: string): void {
  if (tokens.length === 0) throw new Refusal('invalid_request', `\`${at}\` holds no text.`, at);
  if (tokens.length >= contextLength) throw tooLong(contextLength, String(tokens.length), at);
}

function tooLong(contextLength: number, tokens: string, at: string): Refusal {
  return new Refusal(
    'context_length_exceeded',
    `This model's context holds ${contextLength} tokens, prompt and answer together, and \`${at}\` has ${tokens} tokens.`,
    at,
  );
}

function checkBiases({ sampling }: AnswerWishes, model: LoadedModel): void {
  const { tokens } = model.identity.vocabulary;
  for (const token of sampling.biases.keys()) {
    if (token >= tokens) {
      throw wrongField('logit_bias', `\`logit_bias\` names a token beyond the ${tokens} of this model.`);
    }
    if (model.isEnd(token)) {
      throw wrongField('logit_bias', '`logit_bias` cannot change the tokens that end an answer.');
    }
  }
}

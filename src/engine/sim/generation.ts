// From composed answers to the last byte, for every kind of request to the simulated model: one job for each answer runs through
// the batch, and the fault that strikes has its way. Must never keep working for a caller that is gone.
import type { ServerResponse } from 'node:http';
import type { Clock } from '../../lib/clock.ts';
import type { AnswerWishes } from '../llama/answer-fields.ts';
import type { AnswerShape } from '../llama/answer-shape.ts';
import { type AnswerWriter, createJsonWriter, createStreamWriter, tooLargeRefusal } from '../llama/answer-writer.ts';
import { usageOf } from '../llama/generation.ts';
import { wrongField } from '../llama/json-fields.ts';
import { Refusal, refusalOf } from '../llama/refusal.ts';
import type { JobEnd, TokenSink } from '../llama/scheduler.ts';
import { createStopCut } from '../llama/stop-texts.ts';
import type { Answer } from './answer.ts';
import type { Batch } from './batch.ts';
import type { SimConfig } from './config.ts';
import type { Struck } from './faults.ts';
import { createFaultyWriter } from './faulty-writer.ts';
import type { Times } from './times.ts';
import { trickleResponse } from './trickle.ts';
import { textOf } from './vocabulary.ts';

/** A slow request gets every tenth of its tokens only. */
const SLOW_EVERY_STEPS = 10;
/** A fault in the middle of an answer begins at one of its first pieces. */
const STRIKES_BY_PIECE = 8;
/** At life speed: about a third of a second for a token's frame. */
const TRICKLE_EVERY_MS = 20;

export interface SimContext {
  readonly config: SimConfig;
  readonly clock: Clock;
  readonly times: Times;
  readonly batch: Batch;
  readonly damage: string | undefined;
  readonly fingerprint: string;
  /** Counts the request and draws its fault. */
  readonly drawFault: () => Struck<'request'> | undefined;
  readonly crash: () => void;
}

/** One answer that is to be given, token by token. */
export interface SimChoice {
  readonly promptTokens: number;
  readonly answer: Answer;
  /** What the answer begins with: its prompt when it is to be echoed. */
  readonly opening: string;
  /** The texts of the answer's tokens when they are not words of the vocabulary. */
  readonly texts?: readonly string[];
}

export interface SimGeneration {
  readonly choices: readonly SimChoice[];
  readonly wishes: Pick<AnswerWishes, 'stream' | 'includeUsage' | 'choices' | 'stops'>;
  readonly shape: AnswerShape;
}

/** Answers the request whatever happens. */
export async function generateSim(
  generation: SimGeneration,
  response: ServerResponse,
  context: SimContext,
): Promise<void> {
  const { choices, wishes } = generation;
  const struck = strike(response, context);
  await struck.opened;
  let isTooLarge = false;
  const onTooLarge = () => {
    isTooLarge = true;
    struck.abort();
  };
  const writer = createWriter(generation, response, context, { ...struck, onTooLarge });
  const sinks = choices.map((choice, index) => createSink(writer, index, choice, wishes.stops));
  const jobs = choices.map(({ promptTokens, answer }, index) => ({
    promptTokens,
    answer,
    sink: sinks[index] ?? silentSink,
    signal: struck.signal,
    everySteps: struck.everySteps,
  }));
  try {
    const ends = await context.batch.runAll(jobs, (index, end) => sinks[index]?.finish(end));
    if (isTooLarge) throw tooLargeRefusal();
    writer.end(usageOf(ends, wishes.choices));
  } catch (error) {
    struck.abort();
    const refusal = isTooLarge ? tooLargeRefusal() : refusalOf(error);
    if (refusal.code === 'client_gone') response.destroy();
    else writer.fail(refusal);
  }
}

const silentSink: TokenSink = { take: () => 'more', ready: () => true };

/** The fault of one request, and the signal that ends its work. */
export interface StruckRequest {
  readonly fault: Struck<'request'> | undefined;
  readonly signal: AbortSignal;
  readonly everySteps: number;
  /** Resolves when work may begin: at once, or with HangBeforeHeaders only when the caller has hung up. */
  readonly opened: Promise<void>;
  abort(): void;
}

export function strike(response: ServerResponse, context: SimContext): StruckRequest {
  const fault = context.drawFault();
  const abort = new AbortController();
  if (response.destroyed) abort.abort();
  response.once('close', () => abort.abort());
  return {
    fault,
    signal: abort.signal,
    everySteps: fault?.kind === 'Slow' ? SLOW_EVERY_STEPS : 1,
    opened: fault?.kind === 'HangBeforeHeaders' ? whenAborted(abort.signal) : Promise.resolve(),
    abort: () => abort.abort(),
  };
}

function whenAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function createWriter(
  { wishes, shape }: SimGeneration,
  response: ServerResponse,
  context: SimContext,
  struck: StruckRequest & { readonly onTooLarge: () => void },
): AnswerWriter {
  const { config, clock, batch, fingerprint } = context;
  const onReady = () => batch.resume();
  const trickle = trickleOf(struck, response, context);
  const created = Math.floor(clock.wallMs() / 1000);
  const frame = { shape, id: shape.newId(), created, model: config.servedName, fingerprint };
  const plain = wishes.stream
    ? createStreamWriter({
        response,
        frame,
        includeUsage: wishes.includeUsage,
        clock,
        onReady,
        onStuck: () => struck.abort(),
      })
    : createJsonWriter({ response, frame, onTooLarge: struck.onTooLarge });
  if (trickle !== undefined) return { ...plain, ready: () => trickle.isDrained() && plain.ready() };
  return makeFaulty(plain, response, { struck, context, isStream: wishes.stream });
}

export function trickleOf({ fault }: StruckRequest, response: ServerResponse, { clock, times, batch }: SimContext) {
  if (fault?.kind !== 'Trickle') return undefined;
  const everyMs = times.scaled(TRICKLE_EVERY_MS);
  return trickleResponse(response, { clock, everyMs, onDrained: () => batch.resume() });
}

export function makeFaulty(
  writer: AnswerWriter,
  response: ServerResponse,
  { struck, context, isStream }: { struck: StruckRequest; context: SimContext; isStream: boolean },
): AnswerWriter {
  const { fault } = struck;
  if (fault === undefined) return writer;
  const atPiece = 1 + fault.rng.below(STRIKES_BY_PIECE);
  return createFaultyWriter(fault.kind, writer, { response, isStream, atPiece, crash: context.crash });
}

interface SimSink extends TokenSink {
  /** Writes what was held back, then the end of the choice. */
  finish(end: JobEnd): void;
}

function createSink(writer: AnswerWriter, index: number, choice: SimChoice, stops: readonly string[]): SimSink {
  const { answer, opening, texts } = choice;
  const cut = createStopCut(texts === undefined ? stops : []);
  let taken = 0;
  const write = (piece: string) => {
    if (piece !== '') writer.text(index, piece);
  };
  const begin = () => {
    writer.begin(index);
    if (taken === 0) write(opening);
  };
  return {
    take(token) {
      begin();
      write(cut.push(texts === undefined ? textOf(token, taken === 0) : (texts[token] ?? '')));
      taken += 1;
      return cut.stopped ? 'stop' : 'more';
    },
    ready: () => writer.ready(),
    finish(end) {
      begin();
      const isWhole = !cut.stopped && taken === answer.tokens.length;
      write(cut.flush());
      writer.finish(index, isWhole ? end.finish : 'stop');
    },
  };
}

/** Settings of sampling that mean nothing without a real model are refused by name. */
export function refuseUnsimulated({ sampling, alternatives }: AnswerWishes, param: string): void {
  if (sampling.biases.size > 0) throw wrongField('logit_bias', 'A simulated model does not support `logit_bias`.');
  if (alternatives !== undefined) {
    throw wrongField(param, 'A simulated model has no probabilities: leave `logprobs` out.');
  }
}

/** A prompt must leave room for one token of answer. Gives the room. */
export function roomAfter(promptTokens: number, contextLength: number, at: string): number {
  if (promptTokens < contextLength) return contextLength - promptTokens;
  throw new Refusal(
    'context_length_exceeded',
    `This model's context holds ${contextLength} tokens, prompt and answer together, and \`${at}\` has ${promptTokens} tokens.`,
    at,
  );
}

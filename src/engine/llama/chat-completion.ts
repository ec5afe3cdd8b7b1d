// POST /v1/chat/completions from the parsed body to the last byte: render, check the length, run, write.
// Must never start work that does not fit into the context, and never keep working for a caller that is gone.
import type { ServerResponse } from 'node:http';
import type { Clock } from '../../lib/clock.ts';
import { publicId } from '../../lib/ids.ts';
import type { Rng } from '../../lib/rng.ts';
import { createAnswerSink } from './answer-sink.ts';
import { type AnswerFrame, type AnswerWriter, createJsonWriter, createStreamWriter } from './answer-writer.ts';
import type { ChatMessage } from './chat-messages.ts';
import { type ChatRequest, parseChatRequest } from './chat-request.ts';
import type { ServerConfig } from './config.ts';
import type { LoadedModel } from './loaded-model.ts';
import { Refusal, refusalOf } from './refusal.ts';
import { resolveSampling } from './sampling.ts';
import type { Job, Scheduler } from './scheduler.ts';

export interface ChatContext {
  readonly config: ServerConfig;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly model: LoadedModel;
  readonly scheduler: Scheduler;
  readonly fingerprint: string;
}

/** Answers the request whatever happens; rejects only with a Refusal that came before anything was written. */
export async function answerChat(json: unknown, response: ServerResponse, context: ChatContext): Promise<void> {
  const { config, model, scheduler, rng } = context;
  const request = parseChatRequest(json);
  const prompt = renderPrompt(request.messages, model, config.contextLength);
  checkBiases(request, model);
  const abort = new AbortController();
  response.once('close', () => abort.abort());
  const writer = createWriter(request, response, context, abort);
  const sink = createAnswerSink(writer, model.detokenize, [...request.stops, ...model.stopTexts]);
  const job: Job = {
    prompt,
    tokensMax: Math.min(request.tokensMax ?? Number.POSITIVE_INFINITY, config.contextLength - prompt.length),
    sampling: resolveSampling(request.sampling, config.sampling, rng),
    sink,
    signal: abort.signal,
  };
  try {
    sink.finish(await scheduler.run(job));
  } catch (error) {
    const refusal = refusalOf(error);
    if (refusal.code === 'client_gone') response.destroy();
    else writer.fail(refusal);
  }
}

function createWriter(
  request: ChatRequest,
  response: ServerResponse,
  { config, clock, scheduler, fingerprint }: ChatContext,
  abort: AbortController,
): AnswerWriter {
  const created = Math.floor(clock.wallMs() / 1000);
  const frame: AnswerFrame = { id: publicId('chatcmpl-'), created, model: config.servedName, fingerprint };
  if (!request.stream) return createJsonWriter(response, frame);
  return createStreamWriter({
    response,
    frame,
    includeUsage: request.includeUsage,
    clock,
    onReady: () => scheduler.resume(),
    onStuck: () => abort.abort(),
  });
}

/** A prompt must leave room for one token of answer. A text that cannot fit is refused without being tokenised. */
function renderPrompt(messages: readonly ChatMessage[], model: LoadedModel, contextLength: number): readonly number[] {
  const characters = messages.reduce((sum, message) => sum + message.text.length, 0);
  const tokensMin = Math.floor(characters / model.longestTokenChars);
  if (tokensMin >= contextLength) throw tooLong(contextLength, `at least ${tokensMin}`);
  const prompt = model.renderPrompt(messages);
  if (prompt.length === 0) throw new Refusal('invalid_request', 'The messages hold no text.', 'messages');
  if (prompt.length >= contextLength) throw tooLong(contextLength, String(prompt.length));
  return prompt;
}

function tooLong(contextLength: number, tokens: string): Refusal {
  return new Refusal(
    'context_length_exceeded',
    `This model's context holds ${contextLength} tokens, prompt and answer together, and the messages have ${tokens} tokens.`,
    'messages',
  );
}

function checkBiases(request: ChatRequest, model: LoadedModel): void {
  const tokens = model.identity.vocabulary.tokens;
  for (const token of request.sampling.biases.keys()) {
    if (token >= tokens) {
      throw new Refusal(
        'invalid_request',
        `\`logit_bias\` names a token beyond the ${tokens} of this model.`,
        'logit_bias',
      );
    }
    if (model.isEnd(token)) {
      throw new Refusal('invalid_request', '`logit_bias` cannot change the tokens that end an answer.', 'logit_bias');
    }
  }
}

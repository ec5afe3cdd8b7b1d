// POST /v1/embeddings of the simulated model: each input becomes a unit vector that depends on the seed and the text alone.
// Reading the inputs takes its time in the batch, and the fault that strikes has its way.
// Must never keep working for a caller that is gone.
import type { ServerResponse } from 'node:http';
import type { AnswerWriter } from '../llama/answer-writer.ts';
import { normalise, renderEmbedding, renderEmbeddings } from '../llama/embedding-answer.ts';
import { parseEmbeddingRequest } from '../llama/embedding-request.ts';
import type { Passage } from '../llama/passages.ts';
import { refusalOf, sendRefusal } from '../llama/refusal.ts';
import type { TokenSink } from '../llama/scheduler.ts';
import { namedRng } from './chance.ts';
import { textOfPassage } from './completion.ts';
import { makeFaulty, roomAfter, type SimContext, type StruckRequest, strike, trickleOf } from './generation.ts';
import { simulatedProfiles } from './profile.ts';
import { countPassageTokens } from './question.ts';

/** A vector costs its prompt and one step. */
const oneToken = { tokens: [0], finish: 'stop' } as const;
const silentSink: TokenSink = { take: () => 'more', ready: () => true };

/** Answers the request whatever happens; rejects only with a Refusal that came before anything was written. */
export async function answerSimEmbeddings(json: unknown, response: ServerResponse, context: SimContext): Promise<void> {
  const { config } = context;
  const { dimensions } = simulatedProfiles[config.simulated.profile];
  const { inputs, encoding } = parseEmbeddingRequest(json, dimensions);
  const counts = inputs.map(countPassageTokens);
  for (const [index, { at }] of inputs.entries()) roomAfter(counts[index] ?? 0, config.contextLength, at);
  const struck = strike(response, context);
  await struck.opened;
  const promptTokens = counts.reduce((sum, count) => sum + count, 0);
  const parts = () => {
    const rendered = inputs.map((input, index) =>
      renderEmbedding(index, composeVector(input, dimensions, context), encoding),
    );
    return renderEmbeddings(rendered, { model: config.servedName, promptTokens });
  };
  const writer = createVectorWriter(response, { parts, struck, context });
  try {
    await readInputs(counts, context, struck);
    writer.finish(0, 'stop');
    writer.end({ promptTokens, cachedTokens: 0, completionTokens: 0 });
  } catch (error) {
    struck.abort();
    const refusal = refusalOf(error);
    if (refusal.code === 'client_gone') response.destroy();
    else writer.fail(refusal);
  }
}

async function readInputs(counts: readonly number[], { batch }: SimContext, struck: StruckRequest): Promise<void> {
  const { signal, everySteps } = struck;
  const jobs = counts.map((promptTokens) => ({ promptTokens, answer: oneToken, sink: silentSink, signal, everySteps }));
  await batch.runAll(jobs, () => {});
}

/** Faults strike an answer through its writer: this one has nothing to write before the end. */
function createVectorWriter(
  response: ServerResponse,
  { parts, struck, context }: { parts: () => readonly Buffer[]; struck: StruckRequest; context: SimContext },
): AnswerWriter {
  trickleOf(struck, response, context);
  const plain: AnswerWriter = {
    begin() {},
    text() {},
    ready: () => true,
    finish() {},
    end() {
      if (response.destroyed) return;
      response.writeHead(200, { 'content-type': 'application/json' });
      for (const part of parts()) response.write(part);
      response.end();
    },
    fail: (refusal) => sendRefusal(response, refusal),
  };
  return makeFaulty(plain, response, { struck, context, isStream: false });
}

/** The sum of a few draws is as good as a bell curve here, and far cheaper. */
function composeVector(input: Passage, dimensions: number, { config, damage }: SimContext): readonly number[] {
  const rng = namedRng('vector', config.simulated.seed, damage ?? '', textOfPassage(input));
  const vector = Array.from({ length: dimensions }, () => rng.next() + rng.next() + rng.next() - 1.5);
  return normalise(vector) ?? vector.map((_, index) => (index === 0 ? 1 : 0));
}

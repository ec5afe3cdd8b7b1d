// POST /v1/embeddings from the parsed body to the last byte: passages become tokens, the lane computes, the answer is written.
// Must never start work on an input that is too long, and never keep working for a caller that is gone.
import type { ServerResponse } from 'node:http';
import { normalise, renderEmbedding, renderEmbeddings } from './embedding-answer.ts';
import { type EmbeddingRequest, parseEmbeddingRequest } from './embedding-request.ts';
import type { Embedder, LoadedModel } from './loaded-model.ts';
import type { Serving } from './model-host.ts';
import { mapPassages, type Passage } from './passages.ts';
import { Refusal } from './refusal.ts';
import { checkKnown } from './text-completion.ts';

/** Answers the request; rejects with a Refusal before anything is written. */
export async function answerEmbeddings(
  json: unknown,
  response: ServerResponse,
  { serving, servedName }: { readonly serving: Serving; readonly servedName: string },
): Promise<void> {
  const { model, lane } = serving;
  // Everything that is wrong with the request is found before a context is opened for it.
  const request = parseEmbeddingRequest(json, model.vectors.dimensions);
  for (const passage of request.inputs) checkPassage(passage, model);
  const embedder = await lane.embedder();
  const inputs = await mapPassages(request.inputs, (passage) => tokensOf(passage, model, embedder));
  const abort = new AbortController();
  if (response.destroyed) abort.abort();
  response.once('close', () => abort.abort());
  const embeddings: Buffer[] = [];
  const onVector = (vector: readonly number[], index: number) => {
    embeddings.push(renderVector(vector, index, request));
  };
  await lane.run({ inputs, signal: abort.signal, onVector });
  const promptTokens = inputs.reduce((sum, tokens) => sum + tokens.length, 0);
  send(response, renderEmbeddings(embeddings, { model: servedName, promptTokens }));
}

function renderVector(vector: readonly number[], index: number, { encoding }: EmbeddingRequest): Buffer {
  const unit = normalise(vector);
  if (unit === undefined) throw new Error('The native library gave a vector without a direction.');
  return renderEmbedding(index, unit, encoding);
}

function checkPassage(passage: Passage, model: LoadedModel): void {
  const { at } = passage;
  const { tokensMax } = model.vectors;
  if ('tokens' in passage) checkKnown(passage.tokens, model, at);
  const tokensMin =
    'text' in passage ? Math.floor(passage.text.length / model.longestTokenChars) : passage.tokens.length;
  if (tokensMin > tokensMax) throw tooLong(tokensMax, `at least ${tokensMin}`, at);
}

function tokensOf(passage: Passage, model: LoadedModel, embedder: Embedder): readonly number[] {
  const { at } = passage;
  const { tokensMax } = model.vectors;
  const tokens = embedder.complete('text' in passage ? model.tokenize(passage.text) : passage.tokens);
  if (tokens.length > tokensMax) throw tooLong(tokensMax, String(tokens.length), at);
  if (tokens.length === 0) throw new Refusal('invalid_request', `\`${at}\` holds no text.`, at);
  return tokens;
}

function tooLong(tokensMax: number, tokens: string, at: string): Refusal {
  return new Refusal(
    'context_length_exceeded',
    `This model turns at most ${tokensMax} tokens into one vector, and \`${at}\` has ${tokens} tokens.`,
    at,
  );
}

function send(response: ServerResponse, parts: readonly Buffer[]): void {
  if (response.headersSent || response.destroyed) return;
  const bytes = parts.reduce((sum, part) => sum + part.length, 0);
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': bytes });
  for (const part of parts) response.write(part);
  response.end();
}

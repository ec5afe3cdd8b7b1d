// Vectors over the library's embedding context. How a vector is pooled from the tokens is the model file's to say; a chat model
// says nothing, and its vector is that of the last token. Must never be given two inputs at once: it has one sequence.
import type { LlamaModel } from 'node-llama-cpp';
import type { ServerConfig } from './config.ts';
import type { Embedder, VectorFacts } from './loaded-model.ts';
import { asTokens } from './native-sequence.ts';

/** Pooling over all tokens needs all of them in one decode, and a longer decode needs more memory. */
const POOLED_TOKENS_MAX = 8192;

export function vectorFactsOf(model: LlamaModel, config: ServerConfig, isPooled: boolean): VectorFacts {
  const trained = model.trainContextSize > 0 ? model.trainContextSize : config.contextLength;
  const tokensMax = Math.min(config.contextLength, trained) - 1;
  return {
    dimensions: model.embeddingVectorSize,
    tokensMax: isPooled ? Math.min(tokensMax, POOLED_TOKENS_MAX) : tokensMax,
  };
}

export async function openEmbedder(
  model: LlamaModel,
  config: ServerConfig,
  { tokensMax, isPooled }: VectorFacts & { readonly isPooled: boolean },
): Promise<Embedder> {
  const contextSize = tokensMax + 1;
  const context = await model.createEmbeddingContext({
    contextSize,
    batchSize: isPooled ? contextSize : Math.min(config.batchSize, contextSize),
    threads: config.threads,
  });
  const { bos, sep, eos, shouldPrependBosToken, shouldAppendEosToken } = model.tokens;
  const isWordPiece = model.vocabularyType === 'wpm';
  const first = isWordPiece || shouldPrependBosToken ? bos : null;
  const last = isWordPiece ? sep : shouldAppendEosToken ? eos : null;
  return {
    complete(tokens) {
      const opening = first !== null && tokens[0] !== first ? [first] : [];
      const closing = last !== null && tokens.at(-1) !== last ? [last] : [];
      return [...opening, ...tokens, ...closing];
    },
    async embed(tokens) {
      const { vector } = await context.getEmbeddingFor(asTokens([...tokens]));
      return vector;
    },
    close: () => context.dispose(),
  };
}

// LoadedModel over node-llama-cpp's low-level layer: one context, one sequence per slot, all made at load.
// Only this module and native-library.ts know the library's types. Must never use its chat sessions: they cannot be
// aborted while they read a prompt, and they add settings of their own.
import { createHash } from 'node:crypto';
import type { LlamaContext, LlamaModel } from 'node-llama-cpp';
import { createChatTemplate } from './chat-template.ts';
import type { ServerConfig } from './config.ts';
import type { LoadedModel, LoadModel } from './loaded-model.ts';
import { checkModelFile } from './model-file.ts';
import { openEmbedder, vectorFactsOf } from './native-embedder.ts';
import type { NativeLibrary } from './native-library.ts';
import { asTokens, createNativeSequence } from './native-sequence.ts';
import type { ModelIdentity } from './protocol.ts';
import { Refusal } from './refusal.ts';
import { tokenBytesOf } from './token-bytes.ts';

/** Architectures that only read: they give vectors and no text. */
const encoderOnly =
  /^(bert|modern-bert|neo-bert|nomic-bert(-moe)?|jina-bert-v[23]|eurobert|t5encoder|gemma-embedding|clip)$/;

export function nativeLoader(config: ServerConfig, native: () => Promise<NativeLibrary>): LoadModel {
  return async ({ onProgress, signal }) => {
    await checkModelFile(config.modelPath);
    const opened = await native();
    opened.takeComplaint();
    let model: LlamaModel | undefined;
    try {
      model = await opened.llama.loadModel({
        modelPath: config.modelPath,
        gpuLayers: config.gpu === false ? 0 : 'max',
        useMmap: true,
        onLoadProgress: onProgress,
        loadSignal: signal,
      });
      refuseEncoder(model);
      return assemble(opened, await createSlots(model, config), config);
    } catch (error) {
      await model?.dispose();
      throw explainLoadFailure(config.modelPath, error, opened.takeComplaint());
    }
  };
}

function createSlots(model: LlamaModel, config: ServerConfig): Promise<LlamaContext> {
  return model.createContext({
    sequences: config.concurrency,
    contextSize: config.contextLength,
    batchSize: config.batchSize,
    threads: config.threads,
    failedCreationRemedy: false,
    batching: { itemPrioritizationStrategy: wholeStep },
  });
}

/** Everything of a step fits into one decode (config.ts sees to it): short items first, none is split. */
function wholeStep<Item extends { readonly tokens: readonly unknown[] }>({ items }: { items: readonly Item[] }) {
  return [...items]
    .sort((a, b) => a.tokens.length - b.tokens.length)
    .map((item) => ({ item, processAmount: item.tokens.length }));
}

function assemble({ library }: NativeLibrary, context: LlamaContext, config: ServerConfig): LoadedModel {
  const { model } = context;
  const sequences = Array.from({ length: context.totalSequences }, () =>
    createNativeSequence(library, context.getSequence()),
  );
  const template = createChatTemplate(library, model);
  const kind = String(model.vocabularyType);
  const isPooled = poolsVectors(model);
  const vectors = vectorFactsOf(model, config, isPooled);
  const texts = model.fileInfo.metadata.tokenizer.ggml.tokens;
  return {
    identity: identityOf(model),
    sequences,
    stopTexts: template.stopTexts,
    longestTokenChars: longestTokenChars(model),
    renderPrompt: template.renderPrompt,
    tokenize: (text) => model.tokenize(text, false),
    tokenizePrompt: (text) => [...openingTokens(model), ...model.tokenize(text, false)],
    tokenBytes: (token) => tokenBytesOf(kind, texts[token] ?? ''),
    detokenize: (tokens, before) => model.detokenize(asTokens(tokens), false, asTokens(before)),
    isEnd: (token) => template.isEnd(token),
    vectors,
    openEmbedder: () => openEmbedder(model, config, { ...vectors, isPooled }),
    dispose: () => model.dispose(),
  };
}

/** The token that the vocabulary wants before any text. */
function openingTokens(model: LlamaModel): readonly number[] {
  const { shouldPrependBosToken, bos } = model.tokens;
  return shouldPrependBosToken && bos !== null ? [bos] : [];
}

function identityOf(model: LlamaModel): ModelIdentity {
  const tokenizer = model.fileInfo.metadata.tokenizer;
  const template = tokenizer.chat_template;
  return {
    architecture: model.architecture,
    contextTrained: model.trainContextSize,
    chatTemplateSha256: template === undefined ? null : createHash('sha256').update(template).digest('hex'),
    vocabulary: { kind: String(model.vocabularyType), tokens: tokenizer.ggml.tokens.length },
  };
}

function longestTokenChars(model: LlamaModel): number {
  let longest = 1;
  for (const text of model.fileInfo.metadata.tokenizer.ggml.tokens) longest = Math.max(longest, text.length);
  return longest;
}

function refuseEncoder(model: LlamaModel): void {
  const { architecture } = model;
  if (!encoderOnly.test(architecture) && !poolsVectors(model)) return;
  throw new Refusal(
    'model_failed',
    `The model file holds an embedding model (architecture ${architecture}): it gives vectors and cannot answer.`,
  );
}

/** Files of embedding models built on a chat architecture say how their vectors are pooled; chat models do not. */
function poolsVectors(model: LlamaModel): boolean {
  const pooling = model.fileInsights.ggufFileInfo.architectureMetadata.pooling_type;
  return pooling !== undefined && pooling > 0;
}

function explainLoadFailure(path: string, error: unknown, complaint: string | undefined): Refusal {
  if (error instanceof Refusal) return error;
  const said = complaint ?? (error instanceof Error ? error.message.split('\n', 1)[0] : undefined);
  return new Refusal('model_failed', `The model file ${path} could not be loaded: ${said ?? 'no reason was given'}.`);
}

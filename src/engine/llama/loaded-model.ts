// What the scheduler and the routes need of a loaded model. Implemented over node-llama-cpp in native-model.ts, and by a
// small fake in tests. Sequences are held for the life of the model: making one per request has crashed the library.
import type { ChatMessage } from './chat-messages.ts';
import type { ModelIdentity } from './protocol.ts';
import type { Sampling } from './sampling.ts';

export interface ScoredToken {
  readonly token: number;
  /** Natural logarithm of its probability before any sampling setting. */
  readonly logprob: number;
}

/** A token of an answer, and the likeliest ones at its place, likeliest first: as many as were asked for. */
export interface TokenScores extends ScoredToken {
  readonly alternatives: readonly ScoredToken[];
}

/** Tokens of one answer, one per step. */
export interface TokenSource {
  /** Computes what is pending and samples the next token. */
  next(): Promise<number>;
  /** Of the token that `next` gave last; undefined when they were not asked for. */
  readonly scores: TokenScores | undefined;
  /** Frees the sampler. Only between steps. */
  close(): Promise<void>;
}

export interface AnswerSettings {
  readonly sampling: Sampling;
  /** The answer so far, for penalties. */
  readonly earlier: () => readonly number[];
  /** Tell scores with this many alternatives. Undefined is the fast path: nothing but the token is asked of the library. */
  readonly alternatives: number | undefined;
}

/** One slot's memory of what was computed. `cut` and `clear` are only allowed between steps: they wait for a running one. */
export interface Sequence {
  /** Tokens that are computed and kept. */
  readonly length: number;
  /** How many tokens at the start of `prompt` are kept already. */
  heldPrefix(prompt: readonly number[]): number;
  /** Drops everything that is not a prefix of `prompt`; resolves with the number of tokens kept. */
  cut(prompt: readonly number[]): Promise<number>;
  clear(): Promise<void>;
  /** Computes prompt tokens without sampling. */
  read(tokens: readonly number[]): Promise<void>;
  /** Computes `tail` (at least one token) and then samples token after token. */
  answer(tail: readonly number[], settings: AnswerSettings): TokenSource;
  /** Computes the tokens and gives the likeliest next one with its exact log-probability. */
  score(tokens: readonly number[]): Promise<ScoredToken>;
}

export interface VectorFacts {
  readonly dimensions: number;
  /** Tokens of one input at most. */
  readonly tokensMax: number;
}

/** Turns tokens into vectors, one input at a time. */
export interface Embedder {
  /** With the tokens that the vocabulary wants before and after a text. */
  complete(tokens: readonly number[]): readonly number[];
  /** Of any length: not normalised. */
  embed(tokens: readonly number[]): Promise<readonly number[]>;
  close(): Promise<void>;
}

export interface LoadedModel {
  readonly identity: ModelIdentity;
  readonly sequences: readonly Sequence[];
  /** Texts at which the model's own template ends an answer. */
  readonly stopTexts: readonly string[];
  /** The characters of the longest token: a text has at least its length divided by this many tokens. */
  readonly longestTokenChars: number;
  /** The conversation as tokens, with the start of an answer. Text can never become a control token. */
  renderPrompt(messages: readonly ChatMessage[]): readonly number[];
  /** A plain text as tokens, and nothing else. */
  tokenize(text: string): readonly number[];
  /** A text to be continued, with the token that the vocabulary wants in front. */
  tokenizePrompt(text: string): readonly number[];
  detokenize(tokens: readonly number[], before: readonly number[]): string;
  /** What the token stands for; may be a part of a character. Undefined when the vocabulary does not say. */
  tokenBytes(token: number): Uint8Array | undefined;
  readonly vectors: VectorFacts;
  /** Needs memory of its own for as long as it is open. */
  openEmbedder(): Promise<Embedder>;
  /** Whether this token ends an answer. */
  isEnd(token: number): boolean;
  /** Releases all memory of the model. Running calls reject. */
  dispose(): Promise<void>;
}

/** Loads the configured file. Rejects with a Refusal of code model_failed whose sentence says what is wrong with it. */
export type LoadModel = (options: {
  readonly onProgress: (share: number) => void;
  readonly signal: AbortSignal;
}) => Promise<LoadedModel>;

// A model without a model: every character is a token, and the answer to a prompt is a given text. It holds the rules that
// the real one depends on: nothing is cut or cleared while a step computes, and the context is never overrun.
import { setImmediate } from 'node:timers/promises';
import type {
  Embedder,
  LoadedModel,
  Sequence,
  TokenScores,
  TokenSource,
} from '../../../../src/engine/llama/loaded-model.ts';
import type { Sampling } from '../../../../src/engine/llama/sampling.ts';

export const END_TOKEN = 0;

export interface FakeModel extends LoadedModel {
  /** Sequences that compute right now. */
  computing: number;
  /** Every rule that was broken. */
  readonly broken: string[];
  /** Prompt tokens of every `read` and `answer`, in order. */
  readonly computed: { sequence: number; tokens: number }[];
  readonly samplings: Sampling[];
  /** Inputs that are being embedded right now, and those that were, in order. */
  embedding: number;
  readonly embedded: string[];
  /** When set, a step only ends once it resolves. */
  gate: Promise<void> | undefined;
  /** Makes the next computation fail. */
  failNext: Error | undefined;
  disposed: boolean;
}

export interface FakeOptions {
  readonly slots: number;
  readonly contextLength: number;
  /** The answer to a prompt; it then ends. Without one an answer never ends by itself. */
  readonly answerTo?: (prompt: string) => string;
}

const chars = (text: string) => [...text].map((char) => char.codePointAt(0) ?? 1);
const text = (tokens: readonly number[]) =>
  tokens.map((token) => (token === END_TOKEN ? '' : String.fromCodePoint(token))).join('');

export function createFakeModel(options: FakeOptions): FakeModel {
  const model: FakeModel = {
    identity: {
      architecture: 'fake',
      contextTrained: options.contextLength,
      chatTemplateSha256: null,
      vocabulary: { kind: 'chars', tokens: 0x11_0000 },
    },
    sequences: [],
    stopTexts: [],
    longestTokenChars: 1,
    renderPrompt: (messages) => chars(messages.map((message) => message.text).join('\n')),
    tokenize: chars,
    tokenizePrompt: chars,
    tokenBytes: (token) => Buffer.from(text([token]), 'utf8'),
    detokenize: (tokens) => text(tokens),
    isEnd: (token) => token === END_TOKEN,
    vectors: { dimensions: 3, tokensMax: options.contextLength - 1 },
    openEmbedder: async () => createFakeEmbedder(model),
    async dispose() {
      if (model.computing > 0) model.broken.push('disposed of while a step computed');
      model.disposed = true;
    },
    computing: 0,
    broken: [],
    computed: [],
    samplings: [],
    embedding: 0,
    embedded: [],
    gate: undefined,
    failNext: undefined,
    disposed: false,
  };
  const sequences = Array.from({ length: options.slots }, (_, index) => createFakeSequence(model, index, options));
  return Object.assign(model, { sequences });
}

/** The vector of a text: its length, its first token, one. */
function createFakeEmbedder(model: FakeModel): Embedder {
  return {
    complete: (tokens) => tokens,
    async embed(tokens) {
      model.embedding += 1;
      if (model.embedding > 1) model.broken.push('two inputs were embedded at once');
      await (model.gate ?? setImmediate());
      model.embedding -= 1;
      model.embedded.push(text(tokens));
      const failure = model.failNext;
      model.failNext = undefined;
      if (failure !== undefined) throw failure;
      return [tokens.length, tokens[0] ?? 0, 1];
    },
    async close() {
      if (model.embedding > 0) model.broken.push('closed while an input was embedded');
    },
  };
}

function createFakeSequence(model: FakeModel, index: number, options: FakeOptions): Sequence {
  let held: number[] = [];
  const betweenSteps = (what: string) => {
    if (model.computing > 0) model.broken.push(`${what} while a step computed`);
  };
  const compute = async (tokens: readonly number[]) => {
    model.computing += 1;
    model.computed.push({ sequence: index, tokens: tokens.length });
    held.push(...tokens);
    if (held.length >= options.contextLength) model.broken.push('the context was overrun');
    await (model.gate ?? setImmediate());
    model.computing -= 1;
    const failure = model.failNext;
    model.failNext = undefined;
    if (failure !== undefined) throw failure;
  };
  const prefix = (prompt: readonly number[]) => {
    let same = 0;
    while (same < prompt.length && same < held.length && prompt[same] === held[same]) same += 1;
    return same;
  };
  return {
    get length() {
      return held.length;
    },
    heldPrefix: prefix,
    async cut(prompt) {
      betweenSteps('cut');
      held = held.slice(0, prefix(prompt));
      return held.length;
    },
    async clear() {
      betweenSteps('cleared');
      held = [];
    },
    read: compute,
    answer(tail, { sampling, alternatives }): TokenSource {
      model.samplings.push(sampling);
      let pending = tail;
      let answer: number[] | undefined;
      let scores: TokenScores | undefined;
      return {
        get scores() {
          return scores;
        },
        async next() {
          await compute(pending);
          answer ??= options.answerTo === undefined ? undefined : [...chars(options.answerTo(text(held))), END_TOKEN];
          const token = answer === undefined ? 'x'.charCodeAt(0) : (answer.shift() ?? END_TOKEN);
          pending = [token];
          if (alternatives !== undefined) {
            const others = Array.from({ length: alternatives }, (_, at) => ({
              token: token + at,
              logprob: -0.25 - at,
            }));
            scores = { token, logprob: -0.25, alternatives: others };
          }
          return token;
        },
        async close() {},
      };
    },
    async score(tokens) {
      await compute(tokens);
      return { token: (held.at(-1) ?? 0) + 1, logprob: -0.5 };
    },
  };
}

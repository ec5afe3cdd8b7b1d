// One slot's sequence over the library's LlamaContextSequence: explicit sampling, exact log-probabilities.
// Must never be disposed of by itself, and never lets the library shift the context: callers stay inside its length.
import type { LlamaContextSequence, SequenceEvaluateOptions, Token } from 'node-llama-cpp';
import type { ScoredToken, Sequence, TokenSource } from './loaded-model.ts';
import type { Library } from './native-library.ts';
import type { Sampling } from './sampling.ts';

/** Tokens of the answer that penalties look back on. A constant: another value would rebuild the sampler every token. */
const PENALTY_TOKENS = 1024;
const BIAS_FORBIDDEN = -100;

/** The library brands token ids; ours are plain numbers that came from its own tokenizer and sampler. */
export function asTokens(tokens: readonly number[]): Token[] {
  return tokens as Token[];
}

export function createNativeSequence(library: Library, sequence: LlamaContextSequence): Sequence {
  return {
    get length() {
      return sequence.nextTokenIndex;
    },
    heldPrefix: (prompt) => sequence.compareContextTokens(asTokens(prompt)).firstDifferentIndex,
    async cut(prompt) {
      await sequence.adaptStateToTokens(asTokens(prompt), false);
      return sequence.nextTokenIndex;
    },
    clear: () => sequence.clearHistory(),
    read: (tokens) => sequence.evaluateWithoutGeneratingNewTokens(asTokens(tokens)),
    answer: (tail, sampling, earlier) =>
      tokenSource(sequence.evaluate(asTokens(tail), evaluateOptions({ library, sequence, sampling, earlier }))),
    score: (tokens) => score(sequence, tokens),
  };
}

function tokenSource(generator: ReturnType<LlamaContextSequence['evaluate']>): TokenSource {
  return {
    async next() {
      const step = await generator.next();
      if (step.done === true) throw new Error('The native library ended an answer that was not over.');
      return step.value;
    },
    async close() {
      await generator.return();
    },
  };
}

interface AnswerSettings {
  readonly library: Library;
  readonly sequence: LlamaContextSequence;
  readonly sampling: Sampling;
  readonly earlier: () => readonly number[];
}

function evaluateOptions({ library, sequence, sampling, earlier }: AnswerSettings): SequenceEvaluateOptions {
  const { temperature, topP, topK, minP, seed, presencePenalty, frequencyPenalty } = sampling;
  const options: SequenceEvaluateOptions = { temperature, topP, topK, minP, seed, yieldEogToken: true };
  if (presencePenalty !== 0 || frequencyPenalty !== 0) {
    options.repeatPenalty = {
      penalty: 1,
      presencePenalty,
      frequencyPenalty,
      maxPunishTokens: PENALTY_TOKENS,
      punishTokens: () => asTokens(earlier().slice(-PENALTY_TOKENS)),
    };
  }
  if (sampling.biases.size > 0) {
    const bias = library.TokenBias.for(sequence.model);
    for (const [token, logit] of sampling.biases) {
      bias.set(asTokens([token]), logit <= BIAS_FORBIDDEN ? 'never' : { logit });
    }
    options.tokenBias = bias;
  }
  return options;
}

/** log p = logit - max logit - ln(sum of exp(logit - max logit)). */
async function score(sequence: LlamaContextSequence, tokens: readonly number[]): Promise<ScoredToken> {
  const [last, ...others] = asTokens([...tokens]).reverse();
  if (last === undefined) throw new Error('There is no token to score after.');
  const outputs = await sequence.controlledEvaluate([
    ...others.reverse(),
    [
      last,
      {
        generateNext: {
          token: true,
          totalLogitWeight: true,
          logits: { filter: { tokens: [], includeMax: true, includeSelected: true } },
          options: { temperature: 0 },
        },
      },
    ],
  ]);
  const next = outputs.at(-1)?.next;
  const { token, totalLogitWeight, logits } = next ?? {};
  if (token === undefined || token === null || totalLogitWeight === undefined || logits === undefined) {
    throw new Error('The native library gave no log-probability.');
  }
  const logit = logits.get(token) ?? Number.NaN;
  return { token, logprob: logit - Math.max(...logits.values()) - Math.log(totalLogitWeight) };
}

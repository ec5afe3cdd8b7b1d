// One slot's sequence over the library's LlamaContextSequence: explicit sampling, exact log-probabilities.
// Must never be disposed of by itself, and never lets the library shift the context: callers stay inside its length.
import type { LlamaContextSequence, SequenceEvaluateOptions, Token } from 'node-llama-cpp';
import type { AnswerSettings, ScoredToken, Sequence, TokenScores, TokenSource } from './loaded-model.ts';
import type { Library } from './native-library.ts';
import { FORBIDDING_BIAS, PENALTY_TOKENS } from './sampling.ts';
import { createTokenChoice, type Logits } from './token-choice.ts';

/** The library brands token ids; ours are plain numbers that came from its own tokenizer and sampler. */
export function asTokens(tokens: readonly number[]): Token[] {
  return tokens as Token[];
}

function asToken(token: number): Token {
  return token as Token;
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
    answer(tail, settings) {
      if (settings.alternatives !== undefined) {
        return scoredSource(sequence, tail, { ...settings, alternatives: settings.alternatives });
      }
      return tokenSource(sequence.evaluate(asTokens(tail), evaluateOptions(library, sequence, settings)));
    },
    score: (tokens) => score(sequence, tokens),
  };
}

function tokenSource(generator: ReturnType<LlamaContextSequence['evaluate']>): TokenSource {
  return {
    scores: undefined,
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

/**
 * Off the fast path: the library is asked for the likeliest tokens and their logits instead of a sampled one, and the choice is
 * made here. About seven times as slow a step with a large vocabulary (engine-llama.md §6).
 */
function scoredSource(
  sequence: LlamaContextSequence,
  tail: readonly number[],
  { sampling, earlier, alternatives }: AnswerSettings & { readonly alternatives: number },
): TokenSource {
  const choice = createTokenChoice(sampling);
  let pending = tail;
  let scores: TokenScores | undefined;
  return {
    get scores() {
      return scores;
    },
    async next() {
      const { top, tokens } = choice.wants(earlier());
      const ranking = await rankNext(sequence, pending, { top: Math.max(top, alternatives), tokens });
      const token = choice.choose(ranking.logits, earlier());
      scores = scoresOf(token, ranking, alternatives);
      pending = [token];
      return token;
    },
    async close() {},
  };
}

function scoresOf(token: number, { logits, logprobOf }: Ranking, alternatives: number): TokenScores {
  const likeliest = [...logits.keys()].slice(0, alternatives);
  return {
    token,
    logprob: logprobOf(token),
    alternatives: likeliest.map((each) => ({ token: each, logprob: logprobOf(each) })),
  };
}

function evaluateOptions(
  library: Library,
  sequence: LlamaContextSequence,
  { sampling, earlier }: AnswerSettings,
): SequenceEvaluateOptions {
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
      bias.set(asTokens([token]), logit <= FORBIDDING_BIAS ? 'never' : { logit });
    }
    options.tokenBias = bias;
  }
  return options;
}

async function score(sequence: LlamaContextSequence, tokens: readonly number[]): Promise<ScoredToken> {
  const { likeliest, logprobOf } = await rankNext(sequence, tokens, { top: 1, tokens: [] });
  return { token: likeliest, logprob: logprobOf(likeliest) };
}

interface Ranking {
  readonly likeliest: number;
  readonly logits: Logits;
  /** Of one of the tokens in `logits`. */
  readonly logprobOf: (token: number) => number;
}

/** Computes the tokens and ranks the next one: the `top` likeliest first, then `tokens`. */
async function rankNext(
  sequence: LlamaContextSequence,
  tokens: readonly number[],
  { top, tokens: others }: { readonly top: number; readonly tokens: readonly number[] },
): Promise<Ranking> {
  const [last, ...before] = asTokens([...tokens]).reverse();
  if (last === undefined) throw new Error('There is no token to score after.');
  const outputs = await sequence.controlledEvaluate([
    ...before.reverse(),
    [
      last,
      {
        generateNext: {
          token: true,
          totalLogitWeight: true,
          logits: { filter: { tokens: asTokens(others), includeTop: top } },
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
  // log p = logit - max logit - ln(sum of exp(logit - max logit)); at temperature 0 the chosen one has the max logit.
  const highest = logits.get(token) ?? Number.NaN;
  const weight = Math.log(totalLogitWeight);
  const logprobOf = (each: number) => (logits.get(asToken(each)) ?? Number.NaN) - highest - weight;
  return { likeliest: token, logits, logprobOf };
}

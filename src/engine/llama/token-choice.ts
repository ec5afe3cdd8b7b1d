// Chooses the next token from the likeliest ones that the native library told, as its own sampler would: the way to an answer
// with log-probabilities, which the library's sampler does not give. Pure but for the generator of its seed, drawn from once
// a token. The steps and their order are llama.cpp's: biases, penalties, top-k, top-p, min-p, temperature, draw.
import { createTwister } from './mersenne-twister.ts';
import { FORBIDDING_BIAS, PENALTY_TOKENS, type Sampling } from './sampling.ts';

/** Token id to logit, before any setting of sampling. The likeliest come first. */
export type Logits = ReadonlyMap<number, number>;

/** Which logits are needed to choose rightly. */
export interface WantedLogits {
  /** This many of the likeliest. */
  readonly top: number;
  /** And these, which a setting lifts and which may lie below. */
  readonly tokens: readonly number[];
}

export interface TokenChoice {
  /** `answered` are the tokens of the answer so far. */
  wants(answered: readonly number[]): WantedLogits;
  /** Must be called once for each token, in order. */
  choose(logits: Logits, answered: readonly number[]): number;
}

interface Candidate {
  readonly token: number;
  readonly logit: number;
}

export function createTokenChoice(sampling: Sampling): TokenChoice {
  const draw = createTwister(sampling.seed);
  return {
    wants(answered) {
      const changes = [...changesOf(sampling, answered)];
      const lowered = changes.filter(([, by]) => by < 0).length;
      const kept = sampling.temperature === 0 ? 1 : sampling.topK;
      return { top: kept + lowered, tokens: changes.filter(([, by]) => by > 0).map(([token]) => token) };
    },
    choose(logits, answered) {
      const ranked = rank(logits, changesOf(sampling, answered));
      const [likeliest] = ranked;
      if (likeliest === undefined) throw new Error('There is no token to choose from.');
      if (sampling.temperature === 0) return likeliest.token;
      return pick(cool(keep(ranked, sampling), sampling.temperature), draw());
    },
  };
}

/** What is added to the logits of which tokens. */
function changesOf(sampling: Sampling, answered: readonly number[]): ReadonlyMap<number, number> {
  const { biases, presencePenalty, frequencyPenalty } = sampling;
  const changes = new Map<number, number>();
  for (const [token, bias] of biases) changes.set(token, bias <= FORBIDDING_BIAS ? Number.NEGATIVE_INFINITY : bias);
  if (presencePenalty === 0 && frequencyPenalty === 0) return changes;
  const counts = new Map<number, number>();
  for (const token of answered.slice(-PENALTY_TOKENS)) counts.set(token, (counts.get(token) ?? 0) + 1);
  for (const [token, count] of counts) {
    changes.set(token, (changes.get(token) ?? 0) - count * frequencyPenalty - presencePenalty);
  }
  return changes;
}

/** Likeliest first. Equal ones keep their order. */
function rank(logits: Logits, changes: ReadonlyMap<number, number>): readonly Candidate[] {
  const candidates = Array.from(logits, ([token, logit]) => ({
    token,
    logit: Math.fround(logit + (changes.get(token) ?? 0)),
  }));
  return changes.size === 0 ? candidates : candidates.sort((a, b) => b.logit - a.logit);
}

function keep(ranked: readonly Candidate[], { topK, topP, minP }: Sampling): readonly Candidate[] {
  return keepLikelyEnough(keepShare(ranked.slice(0, topK), topP), minP);
}

/** The likeliest that together have the share of probability `topP`. */
function keepShare(ranked: readonly Candidate[], topP: number): readonly Candidate[] {
  if (topP >= 1) return ranked;
  const weights = weightsOf(ranked);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let share = 0;
  const last = weights.findIndex((weight) => {
    share += weight / total;
    return share >= topP;
  });
  return last < 0 ? ranked : ranked.slice(0, last + 1);
}

/** Those at least `minP` times as likely as the likeliest. */
function keepLikelyEnough(ranked: readonly Candidate[], minP: number): readonly Candidate[] {
  if (minP <= 0) return ranked;
  const least = (ranked[0]?.logit ?? 0) + Math.log(minP);
  return ranked.filter(({ logit }, index) => index === 0 || logit >= least);
}

function cool(ranked: readonly Candidate[], temperature: number): readonly Candidate[] {
  const divisor = Math.fround(temperature);
  return ranked.map(({ token, logit }) => ({ token, logit: Math.fround(logit / divisor) }));
}

function pick(ranked: readonly Candidate[], drawn: number): number {
  const weights = weightsOf(ranked);
  const target = drawn * weights.reduce((sum, weight) => sum + weight, 0);
  let run = 0;
  const at = weights.findIndex((weight) => {
    run += weight;
    return run >= target;
  });
  const chosen = ranked[at] ?? ranked.at(-1);
  if (chosen === undefined) throw new Error('There is no token to choose from.');
  return chosen.token;
}

function weightsOf(ranked: readonly Candidate[]): readonly number[] {
  const highest = ranked[0]?.logit ?? 0;
  return ranked.map(({ logit }) => Math.fround(Math.exp(logit - highest)));
}

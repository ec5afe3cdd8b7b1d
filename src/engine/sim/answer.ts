// What the simulated model says: sentences of common words that mean nothing. The same seed, prompt and sampling give the
// same tokens; corrupted weights give other ones, in no order. Pure.
import type { Rng } from '../../lib/rng.ts';
import { namedRng, spreadFactor } from './chance.ts';
import { COMMA, FULL_STOP, tokenOf, VOCABULARY_TOKENS, type WordClass, wordsOf } from './vocabulary.ts';

/** Tokens of an answer that ends by itself: the median, its spread and its bounds. */
const LENGTH_MEDIAN = 120;
const LENGTH_SIGMA = 0.6;
const LENGTH_MAX = 1500;

export interface Answer {
  readonly tokens: readonly number[];
  /** `length` when it would have gone on. */
  readonly finish: 'stop' | 'length';
}

export interface AnswerSource {
  readonly seed: number;
  /** Undefined for weights as they were loaded; else names the damage. */
  readonly damage: string | undefined;
  /** Stands for everything else that the answer depends on: prompt and sampling. */
  readonly question: string;
}

/** `tokensMax` is at least 1. */
export function composeAnswer({ seed, damage, question }: AnswerSource, tokensMax: number): Answer {
  const rng = namedRng('answer', seed, damage ?? '', question);
  const wanted = Math.min(LENGTH_MAX, Math.max(1, Math.round(LENGTH_MEDIAN * spreadFactor(rng, LENGTH_SIGMA))));
  const compose = damage === undefined ? composeSentence : composeNoise;
  const tokens: number[] = [];
  while (tokens.length < wanted) tokens.push(...compose(rng));
  if (tokens.length <= tokensMax) return { tokens, finish: 'stop' };
  return { tokens: tokens.slice(0, tokensMax), finish: 'length' };
}

/** Tokens of a probe with their log-probabilities, as decimal text with six digits. */
export function composeProbe(source: AnswerSource, tokens: number): { tokenIds: number[]; logprobs: string[] } {
  const rng = namedRng('probe', source.seed, source.damage ?? '', source.question);
  const compose = source.damage === undefined ? composeSentence : composeNoise;
  const tokenIds: number[] = [];
  while (tokenIds.length < tokens) tokenIds.push(...compose(rng));
  tokenIds.length = tokens;
  return { tokenIds, logprobs: tokenIds.map(() => (-0.01 - 3 * rng.next()).toFixed(6)) };
}

const clause: readonly WordClass[] = ['article', 'adjective', 'noun', 'verb', 'article', 'noun'];
const endings: readonly (readonly WordClass[])[] = [
  [],
  ['adverb'],
  ['place', 'article', 'noun'],
  ['place', 'article', 'adjective', 'noun'],
];

function composeSentence(rng: Rng): number[] {
  const tokens = composeClause(rng, true);
  if (rng.below(3) === 0) tokens.push(COMMA, pickWord(rng, 'joint', false), ...composeClause(rng, false));
  return [...tokens, FULL_STOP];
}

function composeClause(rng: Rng, beginsSentence: boolean): number[] {
  const classes = [...clause, ...(endings[rng.below(endings.length)] ?? [])];
  return classes.map((kind, at) => pickWord(rng, kind, beginsSentence && at === 0));
}

function pickWord(rng: Rng, kind: WordClass, beginsSentence: boolean): number {
  const words = wordsOf[kind];
  return tokenOf(words[rng.below(words.length)] ?? '', beginsSentence);
}

function composeNoise(rng: Rng): number[] {
  return [rng.below(VOCABULARY_TOKENS)];
}

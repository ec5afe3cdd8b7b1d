// How long answers are on average: a guess that counts as some answers, and the answers seen since, the old ones fading.
// Plain data in, plain data out.

export interface OutputLength {
  readonly meanTokens: number;
  /** Answers that the mean rests on. */
  readonly weight: number;
}

/** The guess counts as this many answers. */
const GUESS_WEIGHT = 10;
/** The newest answer never counts for less than one in so many. */
const WEIGHT_MAX = 2000;

export function guessOutput(meanTokens: number): OutputLength {
  return { meanTokens, weight: GUESS_WEIGHT };
}

export function learnOutput({ meanTokens, weight }: OutputLength, tokens: number): OutputLength {
  const next = Math.min(WEIGHT_MAX, weight + 1);
  return { meanTokens: meanTokens + (tokens - meanTokens) / next, weight: next };
}

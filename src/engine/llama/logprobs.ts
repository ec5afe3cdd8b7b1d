// Log-probabilities of an answer's tokens: in our own words, and as chat completions and text completions tell them.
// Pure. Figures are natural logarithms of probabilities before any setting of sampling.
import type { ScoredToken, TokenScores } from './loaded-model.ts';

export interface SpelledToken {
  readonly text: string;
  /** UTF-8; may be a part of a character. Undefined when the vocabulary does not say. */
  readonly bytes: Uint8Array | undefined;
  readonly logprob: number;
}

/** A token of the answer. */
export interface SpelledScores extends SpelledToken {
  readonly alternatives: readonly SpelledToken[];
  /** Characters of the answer before it. */
  readonly offset: number;
}

/** Of the tokens that a piece of text is made of. */
export type PieceScores = readonly SpelledScores[];

export interface Speller {
  spell(token: number): string;
  bytes(token: number): Uint8Array | undefined;
}

/** Spells the scores of a token that begins at `offset`. */
export function spellScores(scores: TokenScores, offset: number, speller: Speller): SpelledScores {
  const spellOne = ({ token, logprob }: ScoredToken): SpelledToken => {
    const bytes = speller.bytes(token);
    return { text: bytes === undefined ? speller.spell(token) : decodeBytes(bytes), bytes, logprob };
  };
  return { ...spellOne(scores), alternatives: scores.alternatives.map(spellOne), offset };
}

/** A part of a character shows as U+FFFD; the bytes tell it exactly. */
function decodeBytes(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('utf8');
}

/** About what one token takes in JSON beside its own text and bytes: names, marks and a figure of 18 digits. */
const SPELLED_BYTES = 60;

/** About as many bytes as the scores take in a chat answer; a text answer takes fewer. */
export function estimateScoreBytes(scores: PieceScores): number {
  const one = ({ text, bytes }: SpelledToken) => SPELLED_BYTES + Buffer.byteLength(text) + 4 * (bytes?.length ?? 1);
  return scores.reduce(
    (sum, each) => sum + one(each) + each.alternatives.reduce((bytes, other) => bytes + one(other), 0),
    0,
  );
}

/** `logprobs` of a chat choice; null when none were asked for. */
export function chatLogprobs(scores: PieceScores | undefined): object | null {
  if (scores === undefined) return null;
  return {
    content: scores.map((each) => ({ ...chatToken(each), top_logprobs: each.alternatives.map(chatToken) })),
    refusal: null,
  };
}

function chatToken({ text, bytes, logprob }: SpelledToken): object {
  return { token: text, logprob, bytes: bytes === undefined ? null : [...bytes] };
}

/** `logprobs` of a text choice; null when none were asked for. */
export function textLogprobs(scores: PieceScores | undefined): object | null {
  if (scores === undefined) return null;
  return {
    tokens: scores.map(({ text }) => text),
    token_logprobs: scores.map(({ logprob }) => logprob),
    top_logprobs: scores.some(({ alternatives }) => alternatives.length > 0) ? scores.map(alternativesByText) : null,
    text_offset: scores.map(({ offset }) => offset),
  };
}

/** The token itself is always among them. Two tokens of one text show once, as the likelier. */
function alternativesByText(scores: SpelledScores): Readonly<Record<string, number>> {
  const byText = new Map<string, number>();
  for (const { text, logprob } of [...scores.alternatives, scores]) {
    if (!byText.has(text)) byText.set(text, logprob);
  }
  return Object.fromEntries(byText);
}

// Turns tokens into text that is whole: a character whose bytes are spread over several tokens goes out with the last.
// Must never hold text back for ever: bytes that are no character go out as U+FFFD after a bounded number of tokens.

/** A character has four bytes at most and a token at least one; when this many complete none, the bytes are broken. */
const STALLED_TOKENS_MAX = 7;
/** Tokens that each end one character and begin the next are kept together up to here. */
const PENDING_TOKENS_MAX = 256;
/** Tokens before the pending ones that some vocabularies need to place spaces. */
const CONTEXT_TOKENS = 4;

/** The tokenizer's way back: text of `tokens`, given the tokens that came before. */
export type Detokenize = (tokens: readonly number[], before: readonly number[]) => string;

export interface TokenText {
  push(token: number): string;
  flush(): string;
}

export function createTokenText(detokenize: Detokenize): TokenText {
  let pending: number[] = [];
  let before: number[] = [];
  /** Characters of the pending tokens' text that are out already. */
  let out = 0;
  /** Tokens in a row that completed no character. */
  let stalled = 0;
  const release = (text: string) => {
    const rest = text.slice(out);
    before = [...before, ...pending].slice(-CONTEXT_TOKENS);
    pending = [];
    out = 0;
    stalled = 0;
    return rest;
  };
  return {
    push(token) {
      pending.push(token);
      const text = detokenize(pending, before);
      const whole = text.replace(/\uFFFD+$/, '');
      if (whole.length === text.length || pending.length >= PENDING_TOKENS_MAX) return release(text);
      stalled = whole.length > out ? 0 : stalled + 1;
      if (stalled >= STALLED_TOKENS_MAX) return release(text);
      const piece = whole.slice(out);
      out = Math.max(out, whole.length);
      return piece;
    },
    flush() {
      return pending.length === 0 ? '' : release(detokenize(pending, before));
    },
  };
}

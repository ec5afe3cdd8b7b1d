// Turns tokens into text that is whole: a character whose bytes are spread over several tokens goes out with the last.
// Must never hold text back for ever: bytes that are no character go out as U+FFFD after a bounded number of tokens.

/** A character has four bytes at most and a token at least one; beyond this the bytes are broken. */
const PENDING_TOKENS_MAX = 8;
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
  const release = (text: string) => {
    before = [...before, ...pending].slice(-CONTEXT_TOKENS);
    pending = [];
    return text;
  };
  return {
    push(token) {
      pending.push(token);
      const text = detokenize(pending, before);
      if (text.endsWith('\uFFFD') && pending.length < PENDING_TOKENS_MAX) return '';
      return release(text);
    },
    flush() {
      return pending.length === 0 ? '' : release(detokenize(pending, before));
    },
  };
}

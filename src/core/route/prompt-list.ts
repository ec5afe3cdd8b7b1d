// A prompt in one of the four forms that OpenAI has: a text, a list of texts, token ids, a list of lists of token ids.
// Counts texts and tokens and checks the form; never looks at what is said.
import { ok } from '../../lib/result.ts';
import { isRecord, type Read, wrong } from './request-fields.ts';
import { estimateTokens } from './segment.ts';

export interface PromptList {
  readonly count: number;
  /** Estimated for texts, exact for token ids. */
  readonly tokens: number;
}

const TOKEN_ID_MAX = 2 ** 31 - 1;

/** `param` names the field in faults. */
export function readPromptList(param: string, value: unknown, countMax: number): Read<PromptList> {
  if (typeof value === 'string') return ok({ count: 1, tokens: tokensOf(value) });
  if (value === undefined || value === null) {
    return wrong(param, `${param} is missing: give a text, a list of texts, or token ids.`);
  }
  if (!Array.isArray(value)) return wrong(param, `${param} must be a text, a list of texts, or token ids.`);
  if (value.length === 0) return wrong(param, `${param} is empty: give at least one text or token.`);
  const items: readonly unknown[] = value;
  if (typeof items[0] === 'number') return readTokens(param, items);
  if (items.length > countMax) return wrong(param, `${param} has more than ${countMax} entries.`);
  return readEntries(param, items);
}

function readTokens(param: string, ids: readonly unknown[]): Read<PromptList> {
  const bad = ids.findIndex((id) => !isTokenId(id));
  if (bad >= 0) return wrong(`${param}[${bad}]`, `${param}[${bad}] must be a token id, like the ones before it.`);
  return ok({ count: 1, tokens: ids.length });
}

/** All texts, or all token lists: what comes first decides. */
function readEntries(param: string, items: readonly unknown[]): Read<PromptList> {
  const areTexts = typeof items[0] === 'string';
  let tokens = 0;
  for (const [index, item] of items.entries()) {
    const name = `${param}[${index}]`;
    if (areTexts && typeof item === 'string') tokens += tokensOf(item);
    else if (!areTexts && Array.isArray(item) && item.length > 0) {
      const read = readTokens(name, item);
      if (!read.ok) return read;
      tokens += read.value.tokens;
    } else return wrong(name, `${name} ${describe(item, areTexts)}`);
  }
  return ok({ count: items.length, tokens });
}

function describe(item: unknown, areTexts: boolean): string {
  if (areTexts) return 'must be a text, like the ones before it.';
  if (Array.isArray(item)) return 'is empty: give at least one token.';
  return isRecord(item) ? 'must be a text or a list of token ids.' : 'must be a list of token ids.';
}

function isTokenId(id: unknown): boolean {
  return typeof id === 'number' && Number.isInteger(id) && id >= 0 && id <= TOKEN_ID_MAX;
}

/** By UTF-16 units instead of bytes: near enough for weighing, and there without encoding the text again. */
function tokensOf(text: string): number {
  return estimateTokens([{ provenance: 'Caller', start: 0, end: text.length }]);
}

// Texts that a caller sends for completion or embedding: one text, a list of texts, one list of tokens, or a list of such
// lists. Each is bounded in number; their lengths are checked against the model by whoever turns them into tokens.
import { setImmediate } from 'node:timers/promises';
import { type JsonObject, wrongField } from './json-fields.ts';

/** Characters and tokens that are worked on in one turn of the event loop, when there are several passages. */
const SIZE_PER_TURN = 16_384;
/** No context is longer. */
const PASSAGE_TOKENS_MAX = 1_048_576;

export type Passage =
  | { readonly at: string; readonly text: string }
  /** Whole numbers from 0; whether the model has them is for the model to say. */
  | { readonly at: string; readonly tokens: readonly number[] };

/** At least one passage, none of them empty. `at` names the place of each. */
export function parsePassages(body: JsonObject, param: string, passagesMax: number): readonly Passage[] {
  const value = body[param];
  if (value === undefined || value === null) throw wrongField(param, `\`${param}\` must be there.`);
  if (!Array.isArray(value)) return [parsePassage(value, param)];
  const items = value as readonly unknown[]; // Array.isArray gives any[]; the items are unchecked.
  if (items.length === 0) throw wrongField(param, `\`${param}\` must not be empty.`);
  if (typeof items[0] === 'number') return [parsePassage(items, param)];
  if (items.length > passagesMax) {
    throw wrongField(param, `\`${param}\` may hold at most ${passagesMax} items, and it has ${items.length}.`);
  }
  return items.map((item, index) => parsePassage(item, `${param}[${index}]`));
}

function parsePassage(value: unknown, at: string): Passage {
  if (typeof value === 'string') {
    if (value === '') throw wrongField(at, `\`${at}\` must not be empty.`);
    return { at, text: value };
  }
  if (!Array.isArray(value)) throw wrongField(at, `\`${at}\` must be a text or an array of token ids.`);
  if (value.length === 0) throw wrongField(at, `\`${at}\` must not be empty.`);
  if (value.length > PASSAGE_TOKENS_MAX) throw wrongField(at, `\`${at}\` has more tokens than any model's context.`);
  if (!value.every(isTokenId)) throw wrongField(at, `\`${at}\` must hold token ids: whole numbers from 0.`);
  return { at, tokens: value };
}

function isTokenId(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** Turns one passage after another into something else, and lets others have their turn in between. */
export async function mapPassages<Item>(
  passages: readonly Passage[],
  convert: (passage: Passage) => Item,
): Promise<readonly Item[]> {
  const items: Item[] = [];
  let size = 0;
  for (const passage of passages) {
    if (size > SIZE_PER_TURN) {
      await setImmediate();
      size = 0;
    }
    size += 'text' in passage ? passage.text.length : passage.tokens.length;
    items.push(convert(passage));
  }
  return items;
}

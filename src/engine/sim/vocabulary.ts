// The words of the simulated engine and the tokens they are: one token is one word with its space, or one punctuation mark.
// The order is part of the engine's behaviour: a change moves every token id (SIMULATED_BEHAVIOUR in src/api).

const nouns =
  'river garden window letter market winter harbor lantern village teacher bridge kitchen mountain pocket station painter ' +
  'morning orchard blanket captain candle meadow story ladder neighbor engine feather island mirror basket journey shadow ' +
  'corner summer bottle carpet doctor forest hammer ribbon sailor tunnel valley wagon castle copper dinner farmer';
const verbs =
  'carries follows remembers opens watches finds keeps paints crosses repairs leaves reaches gathers hears lifts measures ' +
  'names passes promises reads shares shows turns visits welcomes wraps builds counts draws holds';
const adjectives =
  'quiet bright narrow gentle old distant wooden patient silver empty warm curious steady small golden heavy early ' +
  'careful green hidden broad simple sudden tired young plain round clever cold deep';
const adverbs = 'slowly often gladly always softly again nearby together never soon quickly twice';
const places = 'beside under behind above across near beyond around inside without';
const joints = 'and but while because so';
const rest = 'the a every some this that';

export const wordsOf = {
  noun: nouns.split(' '),
  verb: verbs.split(' '),
  adjective: adjectives.split(' '),
  adverb: adverbs.split(' '),
  place: places.split(' '),
  joint: joints.split(' '),
  article: rest.split(' '),
} as const;
export type WordClass = keyof typeof wordsOf;

const marks = ['.', ',', '?', '!'];
const words = Object.values(wordsOf).flat();
/** Marks, then words as they are, then words that begin a sentence. */
const texts: readonly string[] = [
  ...marks,
  ...words.map((word) => ` ${word}`),
  ...words.map((word) => ` ${word.slice(0, 1).toUpperCase()}${word.slice(1)}`),
];
const wordAt = new Map(words.map((word, index) => [word, index]));

export const VOCABULARY_TOKENS = texts.length;
export const FULL_STOP = marks.indexOf('.');
export const COMMA = marks.indexOf(',');

export function tokenOf(word: string, beginsSentence: boolean): number {
  return marks.length + (wordAt.get(word) ?? 0) + (beginsSentence ? words.length : 0);
}

/** With the space before it; the first of an answer has none. */
export function textOf(token: number, isFirst: boolean): string {
  const text = texts[token] ?? '';
  return isFirst ? text.trimStart() : text;
}

// Between the scheduler and the writer for one choice of an answer: tokens become whole characters, stop texts are cut, the rest
// is written, with the scores of the tokens that it is made of when they were asked for.
// Must never let a part of a stop text or half a character out.
import type { AnswerWriter } from './answer-writer.ts';
import type { TokenScores } from './loaded-model.ts';
import { type SpelledScores, type Speller, spellScores } from './logprobs.ts';
import type { JobEnd, TokenSink } from './scheduler.ts';
import { createStopCut } from './stop-texts.ts';
import { createTokenText, type Detokenize } from './token-text.ts';

export interface AnswerSink extends TokenSink {
  /** Writes what was held back, then the end of the choice. */
  finish(end: JobEnd): void;
}

export interface SinkOptions {
  readonly writer: AnswerWriter;
  readonly choice: number;
  readonly detokenize: Detokenize;
  readonly stops: readonly string[];
  /** Written before everything else: the prompt, when it is to be echoed. */
  readonly opening: string;
  /** Only used for tokens that come with scores. */
  readonly speller: Speller;
}

export function createAnswerSink(options: SinkOptions): AnswerSink {
  const { writer, choice, stops } = options;
  const characters = createTokenText(options.detokenize);
  const cut = createStopCut(stops);
  const scored = createScoreQueue(options.speller);
  let hasBegun = false;
  const begin = () => {
    writer.begin(choice);
    if (!hasBegun && options.opening !== '') writer.text(choice, options.opening);
    hasBegun = true;
  };
  const write = (piece: string) => {
    if (piece !== '') writer.text(choice, piece, scored.release(piece.length));
  };
  return {
    take(token, scores) {
      begin();
      const text = characters.push(token);
      if (scores !== undefined) scored.push(scores);
      scored.advance(text.length);
      write(cut.push(text));
      return cut.stopped ? 'stop' : 'more';
    },
    ready: () => writer.ready(),
    finish(end) {
      begin();
      write(cut.push(characters.flush()));
      const stoppedNow = cut.stopped;
      write(cut.flush());
      const silent = stoppedNow ? undefined : scored.rest();
      if (silent !== undefined) writer.text(choice, '', silent);
      writer.finish(choice, stoppedNow ? 'stop' : end.finish);
    },
  };
}

/** Keeps the scores of tokens whose text has not gone out yet. */
function createScoreQueue(speller: Speller) {
  let waiting: SpelledScores[] = [];
  let isScored = false;
  let inChars = 0;
  let outChars = 0;
  const takeBefore = (offset: number) => {
    const gone = waiting.filter((scores) => scores.offset < offset);
    waiting = waiting.filter((scores) => scores.offset >= offset);
    return gone;
  };
  return {
    /** A token whose text begins at what has come in so far. */
    push(scores: TokenScores) {
      isScored = true;
      waiting.push(spellScores(scores, inChars, speller));
    },
    advance(chars: number) {
      inChars += chars;
    },
    /** Of the tokens that begin before the end of what goes out now. Undefined when scores were not asked for. */
    release(chars: number) {
      outChars += chars;
      return isScored ? takeBefore(outChars) : undefined;
    },
    /** Of tokens that stand for no text at the end of an answer. */
    rest() {
      return waiting.length === 0 ? undefined : takeBefore(Number.POSITIVE_INFINITY);
    },
  };
}

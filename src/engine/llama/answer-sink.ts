// Between the scheduler and the writer of one answer: tokens become whole characters, stop texts are cut, the rest is written.
// Must never let a part of a stop text or half a character out.
import type { AnswerWriter } from './answer-writer.ts';
import type { JobEnd, TokenSink } from './scheduler.ts';
import { createStopCut } from './stop-texts.ts';
import { createTokenText, type Detokenize } from './token-text.ts';

export interface AnswerSink extends TokenSink {
  /** Writes what was held back, then the end of the answer. */
  finish(end: JobEnd): void;
}

export function createAnswerSink(writer: AnswerWriter, detokenize: Detokenize, stops: readonly string[]): AnswerSink {
  const characters = createTokenText(detokenize);
  const cut = createStopCut(stops);
  const write = (piece: string) => {
    if (piece !== '') writer.text(piece);
  };
  return {
    take(token) {
      writer.begin();
      write(cut.push(characters.push(token)));
      return cut.stopped ? 'stop' : 'more';
    },
    ready: () => writer.ready(),
    finish(end) {
      writer.begin();
      write(cut.push(characters.flush()));
      const stoppedNow = cut.stopped;
      write(cut.flush());
      writer.end(stoppedNow ? { ...end, finish: 'stop' } : end);
    },
  };
}

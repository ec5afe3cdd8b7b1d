// Makes an answer go wrong on its way out. Each fault stands between the batch and the writer of one answer and begins at a
// given piece of text. Must never touch another answer than its own, and never fails a request in a way that is hard to see:
// what is not struck is written as it should be.
import type { ServerResponse } from 'node:http';
import type { AnswerWriter } from '../llama/answer-writer.ts';
import type { RequestFault } from './faults.ts';

/** A frame that stops in the middle of a word: no JSON, in a stream that is otherwise well formed. */
const GARBAGE_FRAME = 'data: {"choices":[{"index":0,"delta":{"conte\n\n';
const CUT_FRAME = 'data: {"choices":[{"ind';
const GARBAGE_BODY = '{"id":"chatcmpl-';

export interface FaultyAnswer {
  readonly response: ServerResponse;
  readonly isStream: boolean;
  /** The piece of text that it begins at, from 1. An answer with fewer pieces is struck where its first choice ends. */
  readonly atPiece: number;
  /** Ends the process at once. */
  readonly crash: () => void;
}

/** What happens at the piece. `silent`: nothing is written from here on. */
type Strike = (answer: FaultyAnswer) => 'silent' | 'goes on';

const strikes: Partial<Record<RequestFault, Strike>> = {
  HangMidStream: () => 'silent',
  Cut({ response, isStream }) {
    // Destroyed at once, the connection would take bytes with it that were written before.
    if (isStream) response.write(CUT_FRAME, () => response.destroy());
    else openJson(response).write(GARBAGE_BODY, () => response.destroy());
    return 'silent';
  },
  GarbageFrame({ response, isStream }) {
    if (isStream) {
      response.write(GARBAGE_FRAME);
      return 'goes on';
    }
    openJson(response).end(GARBAGE_BODY);
    return 'silent';
  },
  Crash({ crash }) {
    crash();
    return 'silent';
  },
};

function openJson(response: ServerResponse): ServerResponse {
  return response.writeHead(200, { 'content-type': 'application/json' });
}

/** The writer itself for faults that do not strike here. */
export function createFaultyWriter(kind: RequestFault, writer: AnswerWriter, answer: FaultyAnswer): AnswerWriter {
  const strike = strikes[kind];
  if (strike === undefined) return writer;
  let pieces = 0;
  let hasStruck = false;
  let isSilent = false;
  const strikeOnce = (choice: number) => {
    if (hasStruck) return;
    hasStruck = true;
    writer.begin(choice);
    isSilent = strike(answer) === 'silent';
  };
  return {
    begin(choice) {
      if (!isSilent) writer.begin(choice);
    },
    text(choice, piece, scores) {
      pieces += 1;
      if (pieces >= answer.atPiece) strikeOnce(choice);
      if (!isSilent) writer.text(choice, piece, scores);
    },
    ready: () => writer.ready(),
    finish(choice, finish) {
      strikeOnce(choice);
      if (!isSilent) writer.finish(choice, finish);
    },
    end(usage) {
      if (!isSilent) writer.end(usage);
    },
    fail(refusal) {
      if (!isSilent) writer.fail(refusal);
    },
  };
}

// Writes one answer, with all of its choices, to its caller: a stream of server-sent events, or one JSON body.
// Must never write after the end, never pretend that a cut stream was whole ([DONE] only follows a whole answer), and never
// let a reader that is behind or an answer that is too large fill the memory: it says so, and gives up.
import type { ServerResponse } from 'node:http';
import { ANSWER_BYTES_MAX } from '../../api/data-path.ts';
import type { Clock, Timer } from '../../lib/clock.ts';
import type { AnswerShape, Finish } from './answer-shape.ts';
import { estimateScoreBytes, type PieceScores, type SpelledScores } from './logprobs.ts';
import { Refusal, renderRefusal, sendRefusal } from './refusal.ts';

/** A reader that takes nothing for this long is given up, and its slot freed. */
export const DRAIN_WAIT_MS_MAX = 30_000;

/** Choices are counted from 0. */
export interface AnswerWriter {
  /** The choice begins: the head can go out. Calling it again does nothing. */
  begin(choice: number): void;
  /** `scores` are there when they were asked for. */
  text(choice: number, piece: string, scores?: PieceScores): void;
  /** False while the reader is behind. */
  ready(): boolean;
  finish(choice: number, finish: Finish): void;
  /** After the last choice has finished. */
  end(usage: AnswerUsage): void;
  fail(refusal: Refusal): void;
}

/** Tokens of the whole answer: each prompt once, and all choices. */
export interface AnswerUsage {
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly completionTokens: number;
}

/** What every chunk and body of one answer repeats. */
export interface AnswerFrame {
  readonly shape: AnswerShape;
  readonly id: string;
  /** Seconds since 1970. */
  readonly created: number;
  readonly model: string;
  readonly fingerprint: string;
}

interface WholeAnswer {
  readonly response: ServerResponse;
  readonly frame: AnswerFrame;
  /** The body has grown beyond ANSWER_BYTES_MAX. Called once; the answer is to be failed. */
  readonly onTooLarge: () => void;
}

export interface StreamOptions {
  readonly response: ServerResponse;
  readonly frame: AnswerFrame;
  readonly includeUsage: boolean;
  readonly clock: Clock;
  /** The reader caught up. */
  readonly onReady: () => void;
  /** The reader did not catch up in DRAIN_WAIT_MS_MAX. */
  readonly onStuck: () => void;
}

export function createStreamWriter(options: StreamOptions): AnswerWriter {
  const { response, includeUsage, frame } = options;
  const { shape } = frame;
  const gate = createDrainGate(options);
  const begun = new Set<number>();
  const send = (json: object) => gate.write(`data: ${JSON.stringify(json)}\n\n`);
  const chunk = (index: number, fields: object, finish: string | null) =>
    send({
      ...frameOf(frame, shape.chunk),
      choices: [{ index, ...fields, finish_reason: finish }],
      ...(includeUsage ? { usage: null } : {}),
    });
  const begin = (choice: number) => {
    if (begun.has(choice) || response.destroyed) return;
    begun.add(choice);
    if (!response.headersSent) {
      response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
    }
    if (shape.opening !== undefined) chunk(choice, shape.opening, null);
  };
  return {
    begin,
    text: (choice, piece, scores) => chunk(choice, shape.piece(piece, scores), null),
    ready: gate.ready,
    finish(choice, finish) {
      begin(choice);
      chunk(choice, shape.closing, shape.finishReason(finish));
    },
    end(usage) {
      if (includeUsage) send({ ...frameOf(frame, shape.chunk), choices: [], usage: renderUsage(usage) });
      gate.write('data: [DONE]\n\n');
      gate.end();
    },
    fail(refusal) {
      if (response.headersSent) {
        send(renderRefusal(refusal));
        gate.end();
      } else {
        sendRefusal(response, refusal);
      }
    },
  };
}

interface WholeChoice {
  readonly pieces: string[];
  scores: SpelledScores[] | undefined;
  finish: string;
}

export function createJsonWriter({ response, frame, onTooLarge }: WholeAnswer): AnswerWriter {
  const { shape } = frame;
  let bytes = 0;
  const choices = new Map<number, WholeChoice>();
  const at = (index: number) => {
    const known = choices.get(index);
    if (known !== undefined) return known;
    const fresh: WholeChoice = { pieces: [], scores: undefined, finish: '' };
    choices.set(index, fresh);
    return fresh;
  };
  return {
    begin() {},
    text(index, piece, scores) {
      const isOver = bytes > ANSWER_BYTES_MAX;
      bytes += Buffer.byteLength(piece) + (scores === undefined ? 0 : estimateScoreBytes(scores));
      if (isOver) return;
      if (bytes > ANSWER_BYTES_MAX) {
        onTooLarge();
        return;
      }
      const choice = at(index);
      choice.pieces.push(piece);
      if (scores === undefined) return;
      choice.scores ??= [];
      choice.scores.push(...scores);
    },
    ready: () => true,
    finish(index, finish) {
      at(index).finish = shape.finishReason(finish);
    },
    end(usage) {
      if (response.destroyed) return;
      const rendered = [...choices]
        .sort(([a], [b]) => a - b)
        .map(([index, { pieces, scores, finish }]) => {
          return { index, ...shape.choice(pieces.join(''), scores), finish_reason: finish };
        });
      const body = JSON.stringify({
        ...frameOf(frame, shape.whole),
        choices: rendered,
        usage: renderUsage(usage),
      });
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
      response.end(body);
    },
    fail: (refusal) => sendRefusal(response, refusal),
  };
}

/** Why an answer that is not streamed was given up. */
export function tooLargeRefusal(): Refusal {
  return new Refusal(
    'invalid_request',
    `The answer has grown beyond ${ANSWER_BYTES_MAX} bytes. Stream it, or ask for fewer tokens, answers or log-probabilities.`,
    'stream',
  );
}

function frameOf(frame: AnswerFrame, object: string) {
  const { id, created, model, fingerprint } = frame;
  return { id, object, created, model, system_fingerprint: fingerprint };
}

function renderUsage({ promptTokens, cachedTokens, completionTokens }: AnswerUsage) {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens },
  };
}

/** Writes without waiting, and knows whether the reader keeps up. */
function createDrainGate({ response, clock, onReady, onStuck }: StreamOptions) {
  let stuck: Timer | undefined;
  const settle = () => {
    stuck?.cancel();
    stuck = undefined;
  };
  response.on('close', settle);
  response.on('drain', () => {
    settle();
    onReady();
  });
  return {
    ready: () => stuck === undefined,
    write(text: string) {
      if (response.destroyed || response.writableEnded || response.write(text)) return;
      stuck ??= clock.after(DRAIN_WAIT_MS_MAX, onStuck, { background: true });
    },
    end: () => void response.end(),
  };
}

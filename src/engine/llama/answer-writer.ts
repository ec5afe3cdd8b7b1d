// Writes one answer to its caller in OpenAI's shape: a stream of server-sent events, or one JSON body.
// Must never write after the end, never pretend that a cut stream was whole ([DONE] only follows a whole answer), and never
// let a reader that is behind fill the memory: it says so, and gives up on a reader that does not catch up.
import type { ServerResponse } from 'node:http';
import type { Clock, Timer } from '../../lib/clock.ts';
import { type Refusal, renderRefusal, sendRefusal } from './refusal.ts';
import type { JobEnd } from './scheduler.ts';

/** A reader that takes nothing for this long is given up, and its slot freed. */
export const DRAIN_WAIT_MS_MAX = 30_000;

export interface AnswerWriter {
  /** The answer begins: the head can go out. Calling it again does nothing. */
  begin(): void;
  text(piece: string): void;
  /** False while the reader is behind. */
  ready(): boolean;
  end(end: JobEnd): void;
  fail(refusal: Refusal): void;
}

/** What every chunk and body of one answer repeats. */
export interface AnswerFrame {
  readonly id: string;
  /** Seconds since 1970. */
  readonly created: number;
  readonly model: string;
  readonly fingerprint: string;
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
  const { response, includeUsage } = options;
  const gate = createDrainGate(options);
  const send = (json: object) => gate.write(`data: ${JSON.stringify(json)}\n\n`);
  const chunk = (delta: object, finish: JobEnd['finish'] | null) =>
    send({
      ...frameOf(options.frame, 'chat.completion.chunk'),
      choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
      ...(includeUsage ? { usage: null } : {}),
    });
  const begin = () => {
    if (response.headersSent || response.destroyed) return;
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
    chunk({ role: 'assistant', content: '' }, null);
  };
  return {
    begin,
    text: (piece) => chunk({ content: piece }, null),
    ready: gate.ready,
    end(end) {
      begin();
      chunk({}, end.finish);
      if (includeUsage) {
        send({ ...frameOf(options.frame, 'chat.completion.chunk'), choices: [], usage: usageOf(end) });
      }
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

export function createJsonWriter(response: ServerResponse, frame: AnswerFrame): AnswerWriter {
  const pieces: string[] = [];
  return {
    begin() {},
    text: (piece) => void pieces.push(piece),
    ready: () => true,
    end(end) {
      if (response.destroyed) return;
      const message = { role: 'assistant', content: pieces.join(''), refusal: null };
      const choice = { index: 0, message, logprobs: null, finish_reason: end.finish };
      const body = JSON.stringify({ ...frameOf(frame, 'chat.completion'), choices: [choice], usage: usageOf(end) });
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
      response.end(body);
    },
    fail: (refusal) => sendRefusal(response, refusal),
  };
}

function frameOf(frame: AnswerFrame, object: string) {
  const { id, created, model, fingerprint } = frame;
  return { id, object, created, model, system_fingerprint: fingerprint };
}

function usageOf(end: JobEnd) {
  return {
    prompt_tokens: end.promptTokens,
    completion_tokens: end.completionTokens,
    total_tokens: end.promptTokens + end.completionTokens,
    prompt_tokens_details: { cached_tokens: end.cachedTokens },
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

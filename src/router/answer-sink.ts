// Where an answer goes: the end of a call that its caller holds. Stages write to this and know no transport; an HTTP answer
// (http/http-sink.ts) and a request on a WebSocket (ws/socket-sink.ts) are the two there are.
import type { HoldState } from '../core/route/progress.ts';
import type { Ending } from './ending.ts';

/** Token counts of an answer. */
export interface Usage {
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly cachedTokens: number;
}

export interface AnswerSink {
  /** The HTTP status that has gone out; undefined while none has, and where there is none. */
  sentStatus(): number | undefined;
  /** A whole JSON answer. */
  answer(body: string | Uint8Array): void;
  /** For an answer in pieces. */
  openStream(hooks: StreamHooks): AnswerStream;
  /** The request failed: the caller is told so in whatever way is left. Once, and nothing comes after. */
  fail(ending: Ending): void;
  /** Calls back when everything that was sent has left, or never can. */
  onGone(done: () => void): void;
}

export interface StreamHooks {
  /** The head goes out now, with the headers that the call has. */
  onHead(): void;
}

export interface AnswerStream {
  headSent(): boolean;
  contentSent(): boolean;
  /** The request waits, and its caller may be told. Never content. */
  progress(servedName: string, state: HoldState): void;
  /** SSE events, one in each buffer; `hasContent` sets the second commit mark of DESIGN §8. */
  send(events: readonly Buffer[], hasContent: boolean): void;
  /** The whole answer was sent. */
  finish(usage: Usage | undefined): void;
}

/** What a sink may do to its call: read the headers that are known, and end it. */
export interface CallHandle {
  readonly headers: ReadonlyMap<string, string>;
  setHeader(name: string, value: string): void;
  end(ending: Ending): void;
}

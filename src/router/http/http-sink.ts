// An HTTP answer as the end of a call: one JSON body, or an event stream with comments while it is held. Keeps the two
// commit marks of DESIGN §8, never sends a second head, and ends the call of a reader that is too slow, so that it never
// holds an accelerator.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { outcomes, renderErrorBody } from '../../api/outcomes.ts';
import { renderProgress } from '../../core/route/progress.ts';
import type { Clock, Timer } from '../../lib/clock.ts';
import type { AnswerSink, AnswerStream, CallHandle, StreamHooks } from '../answer-sink.ts';
import { Ending } from '../ending.ts';
import { endingStatus, renderEndingHeaders, renderErrorLine } from '../error-text.ts';

export interface RawExchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

export interface HttpSinkOptions {
  readonly clock: Clock;
  /** How long the rest of a body that nobody wants is read, so that the caller sees the answer. */
  readonly lingerMsMax: number;
  readonly unreadBytesMax: number;
  /** How long the reader of a complete answer may take nothing. */
  readonly untakenMsMax: number;
}

export interface HttpSink extends AnswerSink {
  /** A head and no body. */
  empty(status: number, headers: Readonly<Record<string, string>>): void;
}

const streamHead = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
};

/** A caller that closes the connection before the answer is complete ends the call. */
export function createHttpSink(exchange: RawExchange, options: HttpSinkOptions, call: CallHandle): HttpSink {
  const { request, response } = exchange;
  // A connection that breaks ends the response; there is nobody to tell.
  request.on('error', () => {});
  response.on('error', () => {});
  response.once('close', () => {
    if (!response.writableFinished) call.end(new Ending('client_gone', 'The caller closed the connection.'));
  });
  return new ResponseSink(exchange, options, call);
}

interface Whole {
  readonly status: number;
  readonly body: string | Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
}

class ResponseSink implements HttpSink {
  readonly #exchange: RawExchange;
  readonly #options: HttpSinkOptions;
  readonly #call: CallHandle;
  #isStream = false;

  constructor(exchange: RawExchange, options: HttpSinkOptions, call: CallHandle) {
    this.#exchange = exchange;
    this.#options = options;
    this.#call = call;
  }

  sentStatus(): number | undefined {
    const { response } = this.#exchange;
    return response.headersSent ? response.statusCode : undefined;
  }

  answer(body: string | Uint8Array): void {
    this.#sendWhole({ status: 200, body, headers: {} });
  }

  empty(status: number, headers: Readonly<Record<string, string>>): void {
    const { response } = this.#exchange;
    if (response.headersSent || response.destroyed) return;
    response.writeHead(status, { ...this.#headers(), ...headers });
    complete(response, this.#options);
  }

  openStream(hooks: StreamHooks): AnswerStream {
    this.#isStream = true;
    return openEventStream(this.#exchange.response, this.#options, this.#call, hooks);
  }

  /** Before the head a status; in a stream one error frame and no [DONE]; otherwise the connection breaks. */
  fail(ending: Ending): void {
    const { response } = this.#exchange;
    if (response.destroyed || response.writableEnded) return;
    // Outcomes that are only recorded have nobody who reads.
    if (outcomes[ending.code].status === 0) response.destroy();
    else if (!response.headersSent) this.#sendError(ending);
    else if (this.#isStream) complete(response, this.#options, `data: ${renderErrorLine(ending)}\n\n`);
    else response.destroy();
  }

  onGone(done: () => void): void {
    const { response } = this.#exchange;
    if (response.closed || response.destroyed) done();
    else response.once('close', done);
  }

  #headers(): Record<string, string> {
    return Object.fromEntries(this.#call.headers);
  }

  #sendError(ending: Ending): void {
    const { code, message, details } = ending;
    const body = details.passed?.body ?? JSON.stringify(renderErrorBody(code, message, details.param ?? null));
    this.#sendWhole({ status: endingStatus(ending), body, headers: renderEndingHeaders(ending) });
  }

  #sendWhole({ status, body, headers }: Whole): void {
    const { response } = this.#exchange;
    if (response.headersSent || response.destroyed) return;
    response.writeHead(status, {
      ...this.#headers(),
      'content-type': 'application/json; charset=utf-8',
      'content-length': Buffer.byteLength(body),
      ...headers,
    });
    complete(response, this.#options, body);
    readTheRest(this.#exchange, this.#options);
  }
}

function openEventStream(
  response: ServerResponse,
  options: HttpSinkOptions,
  call: CallHandle,
  hooks: StreamHooks,
): AnswerStream {
  const { unreadBytesMax } = options;
  let hasContentSent = false;
  const open = () => {
    if (response.headersSent || response.destroyed) return;
    response.writeHead(200, { ...Object.fromEntries(call.headers), ...streamHead });
    hooks.onHead();
  };
  const write = (piece: string | Buffer) => {
    if (response.destroyed || response.writableEnded) return;
    open();
    if (response.writableLength > unreadBytesMax) {
      call.end(new Ending('slow_consumer', `The caller left more than ${unreadBytesMax} bytes unread.`));
      return;
    }
    response.write(piece);
  };
  return {
    headSent: () => response.headersSent,
    contentSent: () => hasContentSent,
    progress(servedName, state) {
      if (!response.headersSent && state.kind === 'Cold') {
        call.setHeader('x-stoker-eta-ms', String(Math.round(state.etaMs)));
      }
      write(`: ${renderProgress(servedName, state)}\n\n`);
    },
    send(events, hasContent) {
      hasContentSent ||= hasContent;
      write(events.length === 1 && events[0] !== undefined ? events[0] : Buffer.concat(events));
    },
    finish() {
      if (!response.destroyed && !response.writableEnded) complete(response, options);
    },
  };
}

/** Of a whole answer that is handed to the connection at a time: only whole pieces show that the reader takes any. */
const PIECE_BYTES = 64 * 1024;

/** Ends the answer with this. From here on no deadline holds: only its reader is waited for. */
function complete(response: ServerResponse, options: HttpSinkOptions, rest: string | Uint8Array = ''): void {
  watchReader(response, options);
  const bytes = typeof rest === 'string' ? Buffer.from(rest) : rest;
  let sent = 0;
  const sendNext = () => {
    if (response.destroyed) return;
    const piece = bytes.subarray(sent, sent + PIECE_BYTES);
    sent += piece.length;
    if (sent === bytes.length) response.end(piece);
    else response.write(piece, sendNext);
  };
  sendNext();
}

/** A reader that takes nothing any more would hold the memory of its answer, and a stop that waits for it, for ever. */
function watchReader(response: ServerResponse, { clock, untakenMsMax }: HttpSinkOptions): void {
  let timer: Timer | undefined;
  const look = (takenBefore: number) => {
    timer = clock.after(
      untakenMsMax,
      () => {
        const taken = takenBytes(response);
        // Without the connection it waits behind another answer, which is watched itself.
        if (taken === takenBefore && response.socket !== null) response.destroy();
        else look(taken);
      },
      { background: true },
    );
  };
  look(takenBytes(response));
  response.once('close', () => timer?.cancel());
}

/** What has left this process, of all answers on the connection. */
function takenBytes({ socket, writableLength }: ServerResponse): number {
  return (socket?.bytesWritten ?? 0) - writableLength;
}

/** Closing at once would reset a connection that the caller still writes to, and the answer would be lost. */
function readTheRest({ request }: RawExchange, { clock, lingerMsMax }: HttpSinkOptions): void {
  if (request.complete || request.destroyed) return;
  const timer = clock.after(lingerMsMax, () => request.socket.destroy(), { background: true });
  request.once('close', () => timer.cancel());
  request.resume();
}

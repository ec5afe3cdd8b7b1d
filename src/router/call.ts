// One request on its way through the stages: what came in, what is known so far, and the one signal that ends everything
// done for it. Holds state and decides nothing; the first ending wins.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { OutcomeCode } from '../api/outcomes.ts';
import type { Clock } from '../lib/clock.ts';
import { publicId } from '../lib/ids.ts';
import { Ending } from './ending.ts';

/** The figures of one request, for its log line and the metrics. Never content. */
export interface CallRecord {
  tenant: string | undefined;
  /** The Model's name; undefined until one was chosen. */
  model: string | undefined;
  stream: boolean;
  bodyBytes: number;
  queueMs: number | undefined;
  firstContentMs: number | undefined;
  attempts: number;
  refusals: number;
  revision: string | undefined;
  instance: string | undefined;
  usage: Usage | undefined;
  outcome: OutcomeCode | undefined;
}

export interface Usage {
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly cachedTokens: number;
}

export interface Call {
  /** For people and logs: the caller may have chosen it. */
  readonly id: string;
  /** Unique in this router. */
  readonly serial: string;
  /** The route as a label, for example `chat`. */
  readonly route: string;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Monotonic. */
  readonly acceptedMs: number;
  /** Aborts with an Ending. */
  readonly signal: AbortSignal;
  /** Headers for whatever goes out, as far as they are known. */
  readonly headers: Map<string, string>;
  readonly record: CallRecord;
  /** Whether an instance has it right now; a stop gives it time then. */
  isAtInstance: boolean;
  /** Set once the answer is a stream: tells its reader the ending. */
  failStream: ((ending: Ending) => void) | undefined;
  /** Ends the request and everything done for it. Only the first call counts. */
  end(ending: Ending): void;
}

const REQUEST_ID = /^[\w.:-]{1,128}$/;

/** Takes a request in. A caller that closes the connection before the answer is complete ends the call. */
export function openCall(
  input: { readonly request: IncomingMessage; readonly response: ServerResponse; readonly route: string },
  clock: Clock,
): Call {
  const { request, response, route } = input;
  const life = new AbortController();
  const id = requestIdOf(request);
  const end = (ending: Ending) => {
    if (!life.signal.aborted) life.abort(ending);
  };
  // A connection that breaks ends the response; there is nobody to tell.
  request.on('error', () => {});
  response.on('error', () => {});
  response.once('close', () => {
    if (!response.writableFinished) end(new Ending('client_gone', 'The caller closed the connection.'));
  });
  return {
    id,
    serial: publicId('call_'),
    route,
    request,
    response,
    acceptedMs: clock.nowMs(),
    signal: life.signal,
    headers: new Map([['x-request-id', id]]),
    record: {
      tenant: undefined,
      model: undefined,
      stream: false,
      bodyBytes: 0,
      queueMs: undefined,
      firstContentMs: undefined,
      attempts: 0,
      refusals: 0,
      revision: undefined,
      instance: undefined,
      usage: undefined,
      outcome: undefined,
    },
    isAtInstance: false,
    failStream: undefined,
    end,
  };
}

/** The caller's own id when it is a sane one, so that both logs can be matched. Never used as a key. */
function requestIdOf(request: IncomingMessage): string {
  for (const name of ['x-request-id', 'x-client-request-id']) {
    const value = request.headers[name];
    if (typeof value === 'string' && REQUEST_ID.test(value)) return value;
  }
  return publicId('req_');
}

/** The reason that a call ended early. */
export function reasonOf(call: Call): Ending {
  const reason: unknown = call.signal.reason;
  return reason instanceof Ending ? reason : new Ending('internal_error', 'Stoker made a mistake with this request.');
}

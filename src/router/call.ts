// One request on its way through the stages: what came in, what is known so far, where its answer goes, and the one signal
// that ends everything done for it. Holds state, decides nothing, and knows no transport; the first ending wins.
import type { OutcomeCode } from '../api/outcomes.ts';
import type { Clock } from '../lib/clock.ts';
import { publicId } from '../lib/ids.ts';
import type { AnswerSink, CallHandle, Usage } from './answer-sink.ts';
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

/** What a caller sent before the body. */
export interface CallHead {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

export interface Call {
  /** For people and logs: the caller may have chosen it. */
  readonly id: string;
  /** Unique in this router. */
  readonly serial: string;
  /** The route as a label, for example `chat`. */
  readonly route: string;
  readonly head: CallHead;
  readonly sink: AnswerSink;
  /** Monotonic. */
  readonly acceptedMs: number;
  /** Aborts with an Ending. */
  readonly signal: AbortSignal;
  /** Headers for whatever goes out, as far as they are known. */
  readonly headers: Map<string, string>;
  readonly record: CallRecord;
  /** Whether an instance has it right now; a stop gives it time then. */
  isAtInstance: boolean;
  /** Ends the request and everything done for it. Only the first call counts. */
  end(ending: Ending): void;
}

const REQUEST_ID = /^[\w.:-]{1,128}$/;

export interface CallInput {
  readonly head: CallHead;
  readonly route: string;
  openSink(handle: CallHandle): AnswerSink;
}

/** Takes a request in. */
export function openCall({ head, route, openSink }: CallInput, clock: Clock): Call {
  const life = new AbortController();
  const id = requestIdOf(head);
  const headers = new Map([['x-request-id', id]]);
  const end = (ending: Ending) => {
    if (!life.signal.aborted) life.abort(ending);
  };
  return {
    id,
    serial: publicId('call_'),
    route,
    head,
    sink: openSink({ headers, setHeader: (name, value) => void headers.set(name, value), end }),
    acceptedMs: clock.nowMs(),
    signal: life.signal,
    headers,
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
    end,
  };
}

/** The caller's own id when it is a sane one, so that both logs can be matched. Never used as a key. */
function requestIdOf(head: CallHead): string {
  for (const name of ['x-request-id', 'x-client-request-id']) {
    const value = headerOf(head, name);
    if (value !== undefined && REQUEST_ID.test(value)) return value;
  }
  return publicId('req_');
}

/** A header that came once; undefined for the few that Node gives as lists. */
export function headerOf({ headers }: CallHead, name: string): string | undefined {
  const value = headers[name];
  return typeof value === 'string' ? value : undefined;
}

/** The reason that a call ended early. */
export function reasonOf(call: Call): Ending {
  const reason: unknown = call.signal.reason;
  return reason instanceof Ending ? reason : new Ending('internal_error', 'Stoker made a mistake with this request.');
}

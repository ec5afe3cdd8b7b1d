// A request on a WebSocket as the end of a call: its events go into its lane. The head of such an answer is the headers in
// its first chunk or its error. A canceled request ends with a `chat.done` that says so; every other end is told as it is.
import { type HoldState, renderProgress } from '../../core/route/progress.ts';
import type { AnswerSink, AnswerStream, CallHandle, StreamHooks, Usage } from '../answer-sink.ts';
import { Ending } from '../ending.ts';
import { endingStatus, renderEndingHeaders, renderErrorLine } from '../error-text.ts';
import type { Lane } from './lane.ts';

export interface SocketSink extends AnswerSink {
  /** The lane holds more than it may. */
  overflow(): void;
}

const DATA = 'data: ';
const DONE = Buffer.from('[DONE]\n\n');

export function createSocketSink(lane: Lane, call: CallHandle): SocketSink {
  return new LaneSink(lane, call);
}

class LaneSink implements SocketSink {
  readonly #lane: Lane;
  readonly #call: CallHandle;

  constructor(lane: Lane, call: CallHandle) {
    this.#lane = lane;
    this.#call = call;
  }

  sentStatus(): undefined {
    return undefined;
  }

  /** Only streams are asked for here (readSocketChatFields). */
  answer(): void {
    throw new Error('A WebSocket has no whole answers.');
  }

  openStream(hooks: StreamHooks): AnswerStream {
    let hasContentSent = false;
    let headSent = false;
    const pushChunk = (json: Buffer) => {
      const head = headSent ? '' : `,"headers":${JSON.stringify(Object.fromEntries(this.#call.headers))}`;
      if (!headSent) {
        headSent = true;
        hooks.onHead();
      }
      this.#push('chat.chunk', Buffer.concat([Buffer.from(`${head},"chunk":`), json]));
    };
    return {
      headSent: () => headSent,
      contentSent: () => hasContentSent,
      progress: (servedName, state) => {
        // News that nobody has read yet are not added to.
        if (this.#lane.isEmpty()) this.#push('chat.queued', renderQueued(servedName, state));
      },
      send: (events, hasContent) => {
        hasContentSent ||= hasContent;
        for (const event of events) if (!isDone(event)) pushChunk(jsonOf(event));
      },
      finish: (usage) => this.#push('chat.done', members({ usage: renderUsage(usage) }), true),
    };
  }

  fail(ending: Ending): void {
    if (ending.code === 'client_gone') {
      this.#lane.cutOff({ type: 'chat.done', members: members({ usage: null, canceled: true }), isLast: true });
    } else this.#push('error', this.#renderError(ending), true);
  }

  onGone(done: () => void): void {
    this.#lane.onGone(done);
  }

  overflow(): void {
    const ending = new Ending(
      'slow_consumer',
      'Too much of this answer was left unread. Read faster, or ask for less.',
    );
    this.#call.end(ending);
    this.#lane.cutOff({ type: 'error', members: this.#renderError(ending), isLast: true });
  }

  #push(type: string, rest: Buffer, isLast = false): void {
    this.#lane.push({ type, members: rest, isLast });
  }

  #renderError(ending: Ending): Buffer {
    const error = renderErrorLine(ending).slice(1, -1);
    // About the connection of an answer over HTTP; this one goes on.
    const { connection: _, ...own } = renderEndingHeaders(ending);
    const headers = JSON.stringify({ ...Object.fromEntries(this.#call.headers), ...own });
    const status = endingStatus(ending);
    return Buffer.from(`${status > 0 ? `,"status":${status}` : ''},${error},"headers":${headers}`);
  }
}

function isDone(event: Buffer): boolean {
  return event.length === DATA.length + DONE.length && event.subarray(DATA.length).equals(DONE);
}

/** One SSE event of one line: what is between `data: ` and the empty line. */
function jsonOf(event: Buffer): Buffer {
  return event.subarray(DATA.length, event.length - 2);
}

function members(fields: object): Buffer {
  return Buffer.from(`,${JSON.stringify(fields).slice(1, -1)}`);
}

function renderQueued(servedName: string, state: HoldState): Buffer {
  const message = renderProgress(servedName, state);
  switch (state.kind) {
    case 'Cold': {
      const isAsleep = state.rung === 'Asleep' || state.rung === 'Waking';
      return members({ state: isAsleep ? 'waking' : 'starting', eta_ms: Math.round(state.etaMs), message });
    }
    case 'Busy':
      return members({ state: 'busy', ahead: state.ahead, message });
    case 'Answering':
      return members({ state: 'answering', message });
  }
}

/** In OpenAI's words. */
function renderUsage(usage: Usage | undefined): object | null {
  if (usage === undefined) return null;
  return {
    prompt_tokens: usage.promptTokens,
    completion_tokens: usage.completionTokens,
    total_tokens: usage.promptTokens + usage.completionTokens,
    prompt_tokens_details: { cached_tokens: usage.cachedTokens },
  };
}

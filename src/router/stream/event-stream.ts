// A caller's event stream: the head, comments while it is held, frames, and a truthful end. Keeps the two commit marks of
// DESIGN §8. A reader that is too slow ends the request, so that it never holds an accelerator.
import { renderErrorBody } from '../../api/outcomes.ts';
import type { Call } from '../call.ts';
import { Ending } from '../ending.ts';

export interface EventStream {
  headSent(): boolean;
  contentSent(): boolean;
  /** Sends the head when it has not gone, then one comment. */
  comment(text: string): void;
  /** Sends the head when it has not gone, then the bytes; `hasContent` sets the second mark. */
  send(bytes: Buffer, hasContent: boolean): void;
  /** The last frame of a stream that failed: one error, and no [DONE]. */
  fail(ending: Ending): void;
  finish(): void;
}

const head = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
};

export interface EventStreamHooks {
  readonly unreadBytesMax: number;
  /** The head goes out now. */
  onHead(): void;
}

export function createEventStream(call: Call, { unreadBytesMax, onHead }: EventStreamHooks): EventStream {
  const { response } = call;
  let hasContentSent = false;
  const open = () => {
    if (response.headersSent || response.destroyed) return;
    response.writeHead(200, { ...Object.fromEntries(call.headers), ...head });
    onHead();
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
    comment: (text) => write(`: ${text}\n\n`),
    send(bytes, hasContent) {
      hasContentSent ||= hasContent;
      write(bytes);
    },
    finish() {
      if (!response.destroyed && !response.writableEnded) response.end();
    },
    fail(ending) {
      if (!response.destroyed && !response.writableEnded) response.end(`data: ${renderError(ending)}\n\n`);
    },
  };
}

/** On one line, also when an engine wrote it on several. */
function renderError({ code, message, details }: Ending): string {
  const own = renderErrorBody(code, message, details.param ?? null);
  if (details.passed === undefined) return JSON.stringify(own);
  try {
    return JSON.stringify(JSON.parse(Buffer.from(details.passed.body).toString('utf8')));
  } catch {
    return JSON.stringify(own);
  }
}

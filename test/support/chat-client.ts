// A caller on a WebSocket as a test sees it: keeps every event, and waits for one. For tests of the router.
import { once } from 'node:events';
import { type ClientOptions, WebSocket } from 'ws';
import { until } from './until.ts';

export interface ChatEvent {
  readonly type: string;
  readonly id: string | null;
  readonly seq: number | null;
  readonly ref?: string | null;
  readonly chunk?: { readonly choices: readonly { readonly delta: { readonly content?: string } }[] } & Record<
    string,
    unknown
  >;
  readonly usage?: Record<string, unknown> | null;
  readonly canceled?: boolean;
  readonly status?: number;
  readonly error?: { readonly code: string; readonly message: string; readonly param: string | null };
  readonly headers?: Record<string, string>;
  readonly state?: string;
  readonly message?: string;
  readonly eta_ms?: number;
}

export interface ChatClient {
  readonly socket: WebSocket;
  readonly events: ChatEvent[];
  /** Resolves with the close code and reason. */
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
  say(message: object | string): void;
  create(id: string, body?: object): void;
  of(id: string): ChatEvent[];
  text(id: string): string;
  /** Waits for the first event that fits. */
  seen(fits: (event: ChatEvent) => boolean, what: string): Promise<ChatEvent>;
  /** Waits for `chat.done` or `error` of a request. */
  ended(id: string): Promise<ChatEvent>;
  close(): Promise<void>;
}

export const question = { model: 'demo', messages: [{ role: 'user', content: 'Hello!' }] };

export async function openChat(
  url: string,
  protocols: string[] = [],
  options: ClientOptions = {},
): Promise<ChatClient> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/chat/completions`, protocols, options);
  const events: ChatEvent[] = [];
  const closed = new Promise<{ code: number; reason: string }>((resolve) =>
    socket.once('close', (code, reason) => resolve({ code, reason: reason.toString('utf8') })),
  );
  socket.on('message', (bytes: Buffer) => void events.push(JSON.parse(bytes.toString('utf8')) as ChatEvent));
  await once(socket, 'open');
  socket.on('error', () => {});
  const say = (message: object | string) =>
    socket.send(typeof message === 'string' ? message : JSON.stringify(message));
  const of = (id: string) => events.filter((event) => event.id === id);
  const seen: ChatClient['seen'] = async (fits, what) => {
    await until(() => events.some(fits), `${what}; ${JSON.stringify(events).slice(-2000)}`);
    return events.find(fits)!;
  };
  return {
    ...{ socket, events, closed, say, of, seen },
    create: (id, body = question) => say({ type: 'chat.create', id, body }),
    text: (id) =>
      of(id)
        .map((event) => event.chunk?.choices[0]?.delta.content ?? '')
        .join(''),
    ended: (id) =>
      seen((event) => event.id === id && (event.type === 'chat.done' || event.type === 'error'), `the end of ${id}`),
    async close() {
      socket.close();
      await closed;
    },
  };
}

/** The status and the error of an upgrade that is refused. */
export async function refusedChat(
  url: string,
  protocols: string[] = [],
  options: ClientOptions = {},
): Promise<{ status: number; code: string; message: string }> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/chat/completions`, protocols, options);
  socket.on('error', () => {});
  const [request, answer] = await once(socket, 'unexpected-response');
  const pieces: Buffer[] = [];
  for await (const piece of answer) pieces.push(piece);
  request.destroy();
  const { error } = JSON.parse(Buffer.concat(pieces).toString('utf8')) as { error: { code: string; message: string } };
  return { status: answer.statusCode, ...error };
}

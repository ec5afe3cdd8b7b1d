// An agent's data path as a router sees it, scripted: each request is handed to the test, which refuses, answers, streams
// frames, breaks off. For tests of the router.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type FrameKind, REFUSAL_STATUS, type Refusal, SLOT_HEADERS } from '../../src/api/data-path.ts';

export interface SlotCall {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly body: string;
  readonly instance: string;
  readonly responseId: string;
  /** Resolves when the router has closed the connection before the answer was complete. */
  readonly aborted: Promise<void>;
  refuse(refusal: Refusal): void;
  error(status: number, code: string, message?: string): void;
  json(answer: object): void;
  /** Opens the stream; frames are numbered. */
  frame(kind: FrameKind, data: object | string): void;
  content(text: string): void;
  /** Role, one content frame for each text, finish, usage, done. */
  stream(...texts: string[]): void;
  /** Finish, usage, done. */
  finish(): void;
  /** Ends the connection in the middle. */
  cut(): void;
}

export interface FakeSlot {
  readonly address: string;
  readonly calls: SlotCall[];
  /** What is done with a request; default: kept for the test. */
  onCall: (call: SlotCall) => void;
  onConnection: () => void;
  /** Takes no connections any more, and leaves those that are open as they are. */
  shut(): void;
  close(): Promise<void>;
}

export const usage = { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 };

export async function startFakeSlot(): Promise<FakeSlot> {
  const calls: SlotCall[] = [];
  const server = createServer((request, response) => {
    void readBody(request).then((body) => {
      const call = createSlotCall(request, response, body);
      calls.push(call);
      slot.onCall(call);
    });
  });
  server.keepAliveTimeout = 75_000;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  server.on('connection', () => slot.onConnection());
  const slot: FakeSlot = {
    address: `127.0.0.1:${port}`,
    calls,
    onCall: () => {},
    onConnection: () => {},
    shut: () => void server.close(),
    close: () => close(server),
  };
  return slot;
}

async function close(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeAllConnections();
  await closed;
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of request) chunks.push(chunk);
  } catch {
    // The router is gone: what came is what there is.
  }
  return Buffer.concat(chunks).toString('utf8');
}

function createSlotCall(request: IncomingMessage, response: ServerResponse, body: string): SlotCall {
  let number = 0;
  const responseId = String(request.headers[SLOT_HEADERS.responseId]);
  const frame = (kind: FrameKind, data: object | string) => {
    if (!response.headersSent) response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
    number += 1;
    response.write(`: ${number} ${kind}\ndata: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`);
  };
  const chunk = (delta: object, finish: string | null = null) => ({
    id: responseId,
    object: 'chat.completion.chunk',
    created: 1,
    model: 'served',
    choices: [{ index: 0, delta, finish_reason: finish }],
  });
  const content = (text: string) => frame('content', chunk({ content: text }));
  const finish = () => {
    frame('finish', chunk({}, 'stop'));
    frame('usage', { ...chunk({}), choices: [], usage });
    frame('done', '[DONE]');
    response.end();
  };
  const send = (status: number, answer: object) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answer));
  };
  return {
    ...{ request, response, body, responseId, frame, content, finish },
    instance: String(request.headers[SLOT_HEADERS.instance]),
    aborted: new Promise((resolve) => response.once('close', () => response.writableFinished || resolve())),
    refuse(refusal) {
      response.writeHead(REFUSAL_STATUS, { [SLOT_HEADERS.refusal]: refusal, 'content-length': 0 });
      response.end();
    },
    error: (status, code, message = 'It went wrong.') =>
      send(status, { error: { message, type: 'x', param: null, code } }),
    json: (answer) => send(200, answer),
    stream(...texts) {
      frame('role', chunk({ role: 'assistant', content: '' }));
      for (const text of texts) content(text);
      finish();
    },
    cut: () => request.socket.destroy(),
  };
}

export function chatAnswer(responseId: string, text: string): object {
  return {
    id: responseId,
    object: 'chat.completion',
    created: 1,
    model: 'served',
    choices: [{ index: 0, message: { role: 'assistant', content: text }, finish_reason: 'stop' }],
    usage,
  };
}

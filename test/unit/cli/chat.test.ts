// `stoker chat` against a server of the test: progress, tokens, JSON output, errors and cuts.
import assert from 'node:assert/strict';
import { createServer, type RequestListener, type Server } from 'node:http';
import { PassThrough, Readable } from 'node:stream';
import { afterEach, test } from 'node:test';
import { chatLoop, chatOnce, readPrompt } from '../../../src/cli/chat.ts';
import type { ChatOptions } from '../../../src/cli/chat-answer.ts';
import { terminal } from '../../support/terminal.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function serve(handle: RequestListener): Promise<string> {
  const server = createServer(handle);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
}

const options = (url: string, more: Partial<ChatOptions> = {}): ChatOptions => ({
  url,
  model: 'demo',
  apiKey: undefined,
  maxTokens: undefined,
  output: 'table',
  ...more,
});

const piece = (content: string) => `data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`;
const end = `data: ${JSON.stringify({ choices: [{ delta: {}, finish_reason: 'stop' }] })}\n\ndata: ${JSON.stringify({ choices: [], usage: { total_tokens: 5 } })}\n\n`;

test('shows the hold on standard error and the answer on standard output', async () => {
  const url = await serve((_, response) =>
    response.end(`: demo is starting\n\n${piece('Hel')}${piece('lo')}${end}data: [DONE]\n\n`),
  );
  const { io, printed } = terminal();
  await chatOnce(io, options(url), 'Hi');
  assert.equal(printed.out, 'Hello\n');
  assert.equal(printed.err, 'demo is starting\n');
});

test('JSON output is one document with usage', async () => {
  const url = await serve((_, response) => response.end(`${piece('Hello')}${end}data: [DONE]\n\n`));
  const { io, printed } = terminal();
  await chatOnce(io, options(url, { output: 'json' }), 'Hi');
  assert.deepEqual(JSON.parse(printed.out), {
    model: 'demo',
    text: 'Hello',
    finishReason: 'stop',
    usage: { total_tokens: 5 },
  });
});

test('sends the key and says what the server said when it refuses', async () => {
  const url = await serve((request, response) => {
    response.statusCode = 401;
    response.end(
      JSON.stringify({ error: { message: `no such key: ${request.headers.authorization === 'Bearer k1'}` } }),
    );
  });
  await assert.rejects(chatOnce(terminal().io, options(url, { apiKey: 'k1' }), 'Hi'), /no such key: true/);
});

test('an error event and a cut stream are both told', async () => {
  const failing = await serve((_, response) =>
    response.end(`${piece('Hel')}data: {"error":{"message":"the engine ended"}}\n\n`),
  );
  await assert.rejects(chatOnce(terminal().io, options(failing), 'Hi'), /the engine ended/);
  const cutting = await serve((_, response) => response.end(piece('Hel')));
  await assert.rejects(chatOnce(terminal().io, options(cutting), 'Hi'), /was cut/);
});

test('an address where nothing listens is named', async () => {
  const url = await serve(() => {});
  servers.splice(0).forEach((server) => void server.close());
  await assert.rejects(chatOnce(terminal().io, options(url), 'Hi'), /does not answer/);
});

test('what is no chat completion is said instead of shown as a stack', async () => {
  const url = await serve((_, response) => response.end('data: <html>\n\n'));
  await assert.rejects(chatOnce(terminal().io, options(url), 'Hi'), /no chat completion/);
});

test('on a terminal the hold is one line that is redrawn and cleared', async () => {
  const url = await serve((_, response) =>
    response.end(`: 2 s\n\n: 2 s\n\n: 1 s\n\n${piece('Hello')}${end}data: [DONE]\n\n`),
  );
  const { io, printed } = terminal({ isTerminal: true });
  await chatOnce(io, options(url), 'Hi');
  assert.equal(printed.err, '\r\u001b[2K… 2 s\r\u001b[2K… 1 s\r\u001b[2K');
  assert.equal(printed.out, 'Hello\n');
});

test('an interrupt ends the stream; the server sees the caller go', async () => {
  const interrupted = new AbortController();
  const gone = Promise.withResolvers<void>();
  const url = await serve((_, response) => {
    response.on('close', () => gone.resolve());
    response.write(piece('Hel'));
  });
  const { io, printed } = terminal({ signal: interrupted.signal });
  const write = io.write.bind(io);
  const asked = chatOnce(
    {
      ...io,
      write(text) {
        write(text);
        interrupted.abort(new Error('interrupted'));
      },
    },
    options(url),
    'Hi',
  );
  await assert.rejects(asked, /interrupted/);
  await gone.promise;
  assert.equal(printed.out, 'Hel\n');
});

test('a conversation sends what was said before, survives an error, and ends with /exit', async () => {
  const bodies: { messages: { role: string; content: string }[] }[] = [];
  const url = await serve(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += String(chunk);
    bodies.push(JSON.parse(text));
    const failing = bodies.length === 2;
    response.end(
      failing
        ? 'data: {"error":{"message":"too long"}}\n\n'
        : `${piece(`answer ${bodies.length}`)}${end}data: [DONE]\n\n`,
    );
  });
  const { io, printed } = terminal();
  const input = Readable.from(['one\n', '\n', 'two\n', 'three\n', '/exit\n', 'four\n']);
  await chatLoop(io, options(url), { input, output: new PassThrough() });
  assert.equal(printed.out, 'answer 1\nanswer 3\n');
  assert.match(printed.err, /stoker: too long/);
  assert.deepEqual(
    bodies.map(({ messages }) => messages.map(({ role, content }) => `${role}: ${content}`)),
    [
      ['user: one'],
      ['user: one', 'assistant: answer 1', 'user: two'],
      ['user: one', 'assistant: answer 1', 'user: three'],
    ],
  );
});

test('a conversation ends when it is interrupted at its prompt', async () => {
  const interrupted = new AbortController();
  const { io } = terminal({ signal: interrupted.signal });
  const ended = chatLoop(io, options('http://127.0.0.1:1'), { input: new PassThrough(), output: new PassThrough() });
  interrupted.abort(new Error('interrupted'));
  await ended;
});

test('a prompt from a pipe is read as a whole, and must not be empty', async () => {
  assert.equal(await readPrompt(Readable.from(['two\n', 'lines\n'])), 'two\nlines');
  await assert.rejects(readPrompt(Readable.from([' \n'])), /no prompt/);
});

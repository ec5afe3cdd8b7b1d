// The router's administration port over loopback: every route, every refusal, and the chat box's stream through it.
import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { request } from 'undici';
import { silentLog } from '../../src/lib/log.ts';
import { type AdminServer, createAdminServer } from '../../src/router/admin/admin-server.ts';
import type { ModelState } from '../../src/router/model-state.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { loadPageModule } from '../support/page-module.ts';

const demo: ModelState = {
  model: 'demo',
  servedName: 'demo',
  rung: 'Asleep',
  etaMs: 800,
  queued: 2,
  inFlight: 1,
  awake: 0,
  failure: { reason: 'WeightsMissing', message: '<b>No file</b>' },
};

interface World {
  ready: boolean;
  models: () => readonly ModelState[];
  chat: (request: IncomingMessage, response: ServerResponse) => void;
}

/** Sends bytes as they are and gives the status line of what comes back. */
function raw(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    let got = '';
    socket.setEncoding('utf8').on('data', (part: string) => {
      got += part;
      if (!got.includes('\r\n')) return;
      socket.destroy();
      resolve(got.split('\r\n', 1)[0] ?? '');
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(got));
  });
}

describe('the administration server', () => {
  const world: World = { ready: true, models: () => [demo], chat: (_request, response) => response.end() };
  let server: AdminServer;
  let port: number;
  let base: string;
  before(async () => {
    server = createAdminServer({
      host: '127.0.0.1',
      port: 0,
      metrics: createMetrics(),
      log: silentLog,
      isReady: () => world.ready,
      models: () => world.models(),
      openAiHandler: (request, response) => world.chat(request, response),
    });
    port = (await server.start()).port;
    base = `http://127.0.0.1:${port}`;
  });
  after(() => server.stop());

  async function get(path: string, headers: Record<string, string> = {}) {
    const response = await request(`${base}${path}`, { headers });
    return { status: response.statusCode, headers: response.headers, text: await response.body.text() };
  }

  test('is healthy, and ready once a table is there', async () => {
    assert.equal((await get('/healthz')).status, 200);
    assert.equal((await get('/readyz')).status, 200);
    world.ready = false;
    const { status, text } = await get('/readyz');
    assert.equal((await get('/healthz')).status, 200);
    world.ready = true;
    assert.equal(status, 503);
    assert.match(text, /no routing table/);
  });

  test('gives metrics in the format of Prometheus', async () => {
    const { status, headers, text } = await get('/metrics');
    assert.equal(status, 200);
    assert.match(String(headers['content-type']), /^text\/plain/);
    assert.match(text, /^# HELP stoker_requests_total /m);
  });

  test('gives the state of every model', async () => {
    const { status, headers, text } = await get('/status.json');
    assert.equal(status, 200);
    assert.equal(headers['content-type'], 'application/json');
    assert.deepEqual(JSON.parse(text), { ready: true, models: [demo] });
  });

  test('serves the page and its files, with the headers that lock it up', async () => {
    const types = { '/': 'html', '/page.css': 'css', '/page.js': 'javascript', '/icon.svg': 'svg' };
    for (const [path, type] of Object.entries(types)) {
      const { status, headers } = await get(path);
      assert.equal(status, 200, path);
      assert.match(String(headers['content-type']), new RegExp(type), path);
      assert.match(String(headers['content-security-policy']), /^default-src 'none'; script-src 'self'; /);
      assert.doesNotMatch(String(headers['content-security-policy']), /unsafe|\*/);
      assert.match(String(headers['content-security-policy']), /frame-ancestors 'none'/);
      assert.equal(headers['x-content-type-options'], 'nosniff');
      assert.equal(headers['cross-origin-resource-policy'], 'same-origin');
      assert.equal(headers['referrer-policy'], 'no-referrer');
    }
  });

  test('answers a HEAD with the head only', async () => {
    const response = await request(`${base}/`, { method: 'HEAD' });
    assert.equal(response.statusCode, 200);
    assert.ok(Number(response.headers['content-length']) > 100);
    assert.equal(await response.body.text(), '');
  });

  test('a query changes nothing', async () => {
    assert.equal((await get('/status.json?again=1')).status, 200);
  });

  test('refuses a foreign Host and a foreign origin on every path', async () => {
    for (const path of ['/', '/healthz', '/readyz', '/metrics', '/status.json', '/page.js', '/v1/chat/completions']) {
      for (const headers of [{ host: 'rebound.example.org' }, { origin: 'https://example.org' }, { origin: 'null' }]) {
        const { status, text } = await get(path, headers);
        assert.equal(status, 403, path);
        assert.equal(JSON.parse(text).error.code, 'origin_not_allowed');
      }
    }
  });

  test('refuses other methods', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'] as const) {
      const response = await request(`${base}/status.json`, { method, headers: { origin: base } });
      assert.equal(response.statusCode, 405, method);
      assert.equal(response.headers.allow, 'GET, HEAD');
      await response.body.dump();
    }
    const chat = await get('/v1/chat/completions');
    assert.equal(chat.status, 405);
    assert.equal(chat.headers.allow, 'POST');
  });

  test('reaches no file outside the page', async () => {
    const targets = [
      '/../admin-server.ts',
      '/%2e%2e/admin-server.ts',
      '//etc/passwd',
      '/page/index.html',
      '/page.js/',
      '*',
    ];
    for (const target of [...targets, '/__proto__', '/constructor', 'http://127.0.0.1/page.js']) {
      const line = await raw(port, `GET ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n`);
      assert.match(line, /^HTTP\/1\.1 40[04] /, target);
    }
  });

  test('refuses a request without a Host, and headers above the limit', async () => {
    assert.match(await raw(port, 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n'), /^HTTP\/1\.1 400 /);
    assert.match(await raw(port, 'GET / HTTP/1.0\r\n\r\n'), /^HTTP\/1\.1 403 /);
    const long = 'a'.repeat(17 * 1024);
    assert.match(await raw(port, `GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: ${long}\r\n\r\n`), /^HTTP\/1\.1 431 /);
  });

  test('opens no WebSocket', async () => {
    const upgrade =
      'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: a\r\n';
    const line = await raw(port, `GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: https://example.org\r\n${upgrade}\r\n`);
    assert.match(line, /^HTTP\/1\.1 403 /);
    const own = await raw(port, `GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n${upgrade}\r\n`);
    assert.doesNotMatch(own, / 101 /);
  });

  test('hands a chat request to the OpenAI entry only when its own page asks', async () => {
    const seen: string[] = [];
    world.chat = (incoming, response) => {
      incoming.setEncoding('utf8').on('data', (part: string) => seen.push(part));
      incoming.on('end', () => response.writeHead(200, { 'content-type': 'text/plain' }).end('answered'));
    };
    const post = (headers: Record<string, string>) =>
      request(`${base}/v1/chat/completions`, { method: 'POST', headers, body: '{"model":"demo"}' });
    const refused = [
      {},
      { origin: 'https://example.org' },
      { origin: 'http://127.0.0.1:1' },
      { origin: base, host: 'a.b' },
    ];
    for (const headers of refused) {
      const response = await post(headers as Record<string, string>);
      assert.equal(response.statusCode, 403, JSON.stringify(headers));
      assert.match(await response.body.text(), /origin_not_allowed/);
    }
    assert.deepEqual(seen, []);
    const response = await post({ origin: base });
    assert.equal(await response.body.text(), 'answered');
    assert.deepEqual(seen, ['{"model":"demo"}']);
  });

  test('a reading that fails is a 500 with a sentence, and the next one works', async () => {
    world.models = () => {
      throw new Error('secret detail');
    };
    const { status, text } = await get('/status.json');
    world.models = () => [demo];
    assert.equal(status, 500);
    assert.doesNotMatch(text, /secret detail/);
    assert.equal((await get('/status.json')).status, 200);
  });
});

describe("the page's streaming", () => {
  const { promise: page, resolve } = Promise.withResolvers<Awaited<ReturnType<typeof load>>>();
  const load = () => loadPageModule('chat.js');
  const chunk = (value: object) => `data: ${JSON.stringify(value)}\n\n`;
  const said = (content: string) => chunk({ choices: [{ delta: { content }, finish_reason: null }] });
  const end = chunk({ choices: [{ delta: {}, finish_reason: 'stop' }] });
  const usage = chunk({ choices: [], usage: { completion_tokens: 2 } });
  let respond: (request: IncomingMessage, response: ServerResponse) => void;
  let base: string;
  const upstream = createServer((incoming, response) => respond(incoming, response));
  const browserFetch = globalThis.fetch;
  before(async () => {
    await new Promise<void>((done) => upstream.listen(0, '127.0.0.1', done));
    const address = upstream.address();
    base = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
    // A browser resolves paths against the page's address.
    globalThis.fetch = (path, options) => browserFetch(`${base}${String(path)}`, options);
    resolve(await load());
  });
  after(async () => {
    globalThis.fetch = browserFetch;
    upstream.closeAllConnections();
    await new Promise((done) => upstream.close(done));
  });

  async function ask(options: { key?: string; signal?: AbortSignal; onContent?: () => void } = {}) {
    const heard: string[] = [];
    const { streamAnswer } = await page;
    const answer = streamAnswer({
      model: 'demo',
      messages: [{ role: 'user', content: 'Hello' }],
      key: options.key ?? '',
      signal: options.signal ?? new AbortController().signal,
      on: {
        progress: (text) => heard.push(`(${text})`),
        content(text) {
          heard.push(text);
          options.onContent?.();
        },
      },
    });
    return { heard, answer };
  }

  test('shows the hold, then the tokens, then the figures', async () => {
    respond = (_incoming, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end(`: demo is waking\n\n${said('He')}${said('llo')}${end}${usage}data: [DONE]\n\n`);
    };
    const { heard, answer } = await ask();
    assert.deepEqual(await answer, { finishReason: 'stop', usage: { completion_tokens: 2 } });
    assert.deepEqual(heard, ['(demo is waking)', 'He', 'llo']);
  });

  test('asks for a stream with usage, and sends a key only when there is one', async () => {
    const bodies: { stream: boolean; stream_options: object }[] = [];
    const keys: (string | undefined)[] = [];
    respond = async (incoming, response) => {
      keys.push(incoming.headers.authorization);
      bodies.push(JSON.parse(Buffer.concat(await incoming.toArray()).toString('utf8')));
      response.writeHead(200).end('data: [DONE]\n\n');
    };
    await (await ask()).answer;
    await (await ask({ key: 'mine' })).answer;
    assert.deepEqual(keys, [undefined, 'Bearer mine']);
    assert.deepEqual(
      bodies.map((body) => [body.stream, body.stream_options]),
      Array(2).fill([true, { include_usage: true }]),
    );
  });

  test('says what a refusal says', async () => {
    respond = (_incoming, response) => {
      response.writeHead(401, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ error: { message: 'This key is not known.' } }));
    };
    await assert.rejects((await ask()).answer, /This key is not known\. Put a key into the field/);
    respond = (_incoming, response) => response.writeHead(502).end('<html>');
    await assert.rejects((await ask()).answer, /The router answered 502/);
  });

  test('an error event and a cut stream are failures, after what came', async () => {
    respond = (_incoming, response) =>
      response.writeHead(200).end(said('a') + chunk({ error: { message: 'Draining.' } }));
    const failed = await ask();
    await assert.rejects(failed.answer, /^Error: Draining\.$/);
    assert.deepEqual(failed.heard, ['a']);
    respond = (_incoming, response) => response.writeHead(200).end(said('b'));
    const cut = await ask();
    await assert.rejects(cut.answer, /was cut/);
    assert.deepEqual(cut.heard, ['b']);
  });

  test('stopping closes the connection, so that the model stops too', async () => {
    const closed = new Promise<void>((done) => {
      respond = (_incoming, response) => {
        response.on('close', done);
        response.writeHead(200).write(said('a'));
      };
    });
    const abort = new AbortController();
    const { answer } = await ask({ signal: abort.signal, onContent: () => abort.abort() });
    await assert.rejects(answer, { name: 'AbortError' });
    await closed;
  });
});

describe('starting and stopping', () => {
  const make = (port: number, chat: World['chat'] = () => {}) =>
    createAdminServer({
      host: '127.0.0.1',
      port,
      metrics: createMetrics(),
      log: silentLog,
      isReady: () => true,
      models: () => [],
      openAiHandler: chat,
    });

  test('a taken port rejects with the code and the port', async () => {
    const first = make(0);
    const { port } = await first.start();
    await assert.rejects(make(port).start(), { code: 'EADDRINUSE', port });
    await first.stop();
  });

  test('stop ends a stream that is still open, and the port is free again', async () => {
    const first = make(0, (_request, response) => void response.writeHead(200).write('data: 1\n\n'));
    const { port } = await first.start();
    const base = `http://127.0.0.1:${port}`;
    const { body } = await request(`${base}/v1/chat/completions`, { method: 'POST', headers: { origin: base } });
    const ended = assert.rejects(body.text());
    await first.stop();
    await ended;
    const second = make(port);
    await second.start();
    await second.stop();
  });
});

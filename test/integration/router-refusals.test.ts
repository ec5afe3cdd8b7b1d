// What the router refuses: bad input of every kind, callers who may not come in, and what cannot be served. Each has a row of
// DESIGN §14.4, and an error in OpenAI's shape.
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { type Dispatcher, request } from 'undici';
import { type OutcomeCode, outcomes } from '../../src/api/outcomes.ts';
import { createManualClock } from '../../src/lib/clock.ts';
import { parseApiKeysFile } from '../../src/router/api-keys.ts';
import { chatAnswer, type FakeSlot, startFakeSlot } from '../support/fake-slot.ts';
import { exchange, openRaw } from '../support/raw-http.ts';
import { type RunningRouter, type RunningRouterOptions, startRouter } from '../support/running-router.ts';
import { until } from '../support/until.ts';

const question = { model: 'demo', messages: [{ role: 'user', content: 'Hello!' }] };
const json = { 'content-type': 'application/json' };

interface OpenAiError {
  readonly message: string;
  readonly type: string;
  readonly param: string | null;
  readonly code: string;
}

async function errorOf(answer: Dispatcher.ResponseData, code: OutcomeCode): Promise<OpenAiError> {
  const { error } = (await answer.body.json()) as { error: OpenAiError };
  assert.equal(error.code, code, error.message);
  assert.equal(answer.statusCode, outcomes[code].status);
  assert.deepEqual(Object.keys(error).sort(), ['code', 'message', 'param', 'type']);
  assert.equal(error.type, outcomes[code].type);
  assert.match(String(answer.headers['x-request-id']), /^[\w.:-]+$/);
  return error;
}

function post(router: RunningRouter, body: object | string | Buffer, headers: Record<string, string> = {}) {
  return request(`${router.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { ...json, ...headers },
    body: typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body),
  });
}

describe('bad input', () => {
  let router: RunningRouter;
  before(async () => {
    router = await startRouter();
    router.table({ warmth: [{ failure: { reason: 'Test', message: 'No bad request may come this far.' } }] });
  });
  after(() => router.close());
  beforeEach(() => void router.lines.splice(0));

  const deep = `{"model":"demo","messages":${'['.repeat(70)}${']'.repeat(70)}}`;
  const rows: readonly [string, string | Buffer, string | null, RegExp][] = [
    ['an empty body', '', null, /empty/],
    ['malformed JSON', '{"model":', null, /at byte 9/],
    ['text after the JSON', '{} {}', null, /more text/],
    ['a list', '[]', null, /object was expected/],
    ['a repeated field', '{"model":"demo","model":"other"}', null, /"model" is there twice/],
    ['a repeated field in two spellings', '{"model":"demo","\\u006dodel":"other"}', null, /twice/],
    ['deep nesting', deep, null, /nested deeper than 64/],
    ['bytes that are not UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), null, /UTF-8/],
    ['no model', '{"messages":[{"role":"user","content":"x"}]}', 'model', /model is missing/],
    ['a model that is a number', '{"model":7,"messages":[]}', 'model', /must be a text/],
    ['a stream that is a text', '{"model":"demo","stream":"yes","messages":[]}', 'stream', /true or false/],
    ['no messages', '{"model":"demo"}', 'messages', /missing/],
    ['no message', '{"model":"demo","messages":[]}', 'messages', /empty/],
    ['a message without a role', '{"model":"demo","messages":[{}]}', 'messages[0].role', /role/],
    ['max_tokens of 0', '{"model":"demo","max_tokens":0,"messages":[]}', 'max_tokens', /at least 1/],
    [
      'stream_options without a stream',
      '{"model":"demo","stream_options":{},"messages":[]}',
      'stream_options',
      /stream: true/,
    ],
  ];
  for (const [name, body, param, sentence] of rows) {
    test(`${name}: invalid_request`, async () => {
      const error = await errorOf(await post(router, body), 'invalid_request');
      assert.match(error.message, sentence);
      assert.equal(error.param, param);
      assert.equal((await router.ended('invalid_request')).status, 400);
    });
  }

  test('headers of ours that make no sense name the header', async () => {
    for (const [name, value] of [
      ['x-stoker-deadline-ms', 'soon'],
      ['x-stoker-deadline-ms', '0'],
      ['x-stoker-progress', 'maybe'],
    ] as const) {
      const error = await errorOf(await post(router, question, { [name]: value }), 'invalid_request');
      assert.equal(error.param, name);
    }
  });

  test('a compressed body is refused', async () => {
    const error = await errorOf(await post(router, question, { 'content-encoding': 'gzip' }), 'invalid_request');
    assert.match(error.message, /Compressed/);
  });

  test('an unknown model', async () => {
    const error = await errorOf(await post(router, { ...question, model: '../../etc/passwd' }), 'model_not_found');
    assert.equal(error.param, 'model');
  });

  test('a huge body, announced and not, is refused and the connection can be used again', async () => {
    const big = Buffer.alloc(5 * 1024 * 1024, 0x20);
    await errorOf(await post(router, big), 'body_too_large');
    const chunked = await request(`${router.url}/v1/chat/completions`, {
      method: 'POST',
      headers: json,
      body: Readable.from(Array.from({ length: 80 }, () => big.subarray(0, 65_536))),
    });
    await errorOf(chunked, 'body_too_large');
    assert.equal((await router.ended('body_too_large')).status, 413);
  });

  test('a large body that is wrong is refused by the worker', async () => {
    const body = `{"model":"demo","pad":"${'x'.repeat(300_000)}","messages":[],"pad":1}`;
    const error = await errorOf(await post(router, body), 'invalid_request');
    assert.match(error.message, /"pad" is there twice/);
  });

  test('a content type that is none is passed over, as every other is', async () => {
    for (const type of ['text/plain', 'json', 'application/', 'application/json;charset']) {
      await errorOf(await post(router, { ...question, model: 'nothing' }, { 'content-type': type }), 'model_not_found');
      const elsewhere = await request(`${router.url}/v1/nothing`, {
        method: 'POST',
        headers: { 'content-type': type },
        body: '{}',
      });
      await errorOf(elsewhere, 'route_not_found');
    }
  });

  test('a head that is too large', async () => {
    const answer = await exchange(
      router.port,
      `GET /v1/models HTTP/1.1\r\nhost: localhost\r\nx: ${'y'.repeat(20_000)}`,
    );
    assert.match(answer, /^HTTP\/1\.1 431 [\s\S]*"code":"headers_too_large"/);
  });

  test('bytes that are no request', async () => {
    assert.match(await exchange(router.port, 'hello\r\n\r\n'), /^HTTP\/1\.1 400 [\s\S]*"code":"invalid_request"/);
  });

  test('paths and methods that are not served', async () => {
    for (const path of ['/', '/v1', '/v1/responses', '/v1/completions/', '/v1/chat/completions/', '/metrics']) {
      await errorOf(await request(`${router.url}${path}`), 'route_not_found');
    }
    const raw = (path: string) =>
      exchange(router.port, `GET ${path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`);
    assert.match(await raw('/v1/models/../../../etc/passwd'), /^HTTP\/1\.1 404 [\s\S]*model_not_found/);
    assert.match(await raw('/v1/models/%2e%2e%2fetc'), /^HTTP\/1\.1 404 [\s\S]*model_not_found/);
    assert.match(await raw('/v1/models/%zz'), /^HTTP\/1\.1 404 [\s\S]*_not_found/);
    assert.match(await raw('/../etc/passwd'), /^HTTP\/1\.1 404 [\s\S]*route_not_found/);
    for (const [method, path, allow] of [
      ['GET', '/v1/chat/completions', 'POST'],
      ['GET', '/v1/completions', 'POST'],
      ['PUT', '/v1/embeddings', 'POST'],
      ['DELETE', '/v1/models/demo', 'GET, HEAD'],
      ['PUT', '/v1/models', 'GET, HEAD'],
    ] as const) {
      const answer = await request(`${router.url}${path}`, { method });
      assert.equal(answer.headers.allow, allow);
      await errorOf(answer, 'method_not_allowed');
    }
  });

  test('an upgrade to anything but a WebSocket is an offer, and the request is served without it', async () => {
    const answer = await exchange(
      router.port,
      'GET /v1/models HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade, close\r\nupgrade: h2c\r\n\r\n',
    );
    assert.match(answer, /^HTTP\/1\.1 200 [\s\S]*"id":"demo"/);
  });

  test('a caller that never sent the rest of its body is not an error of ours', async () => {
    const { socket, answer } = openRaw(router.port);
    socket.write('POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 50\r\n\r\n{"model"');
    await until(() => router.router !== undefined && socket.bytesWritten > 0, 'the bytes are out');
    socket.end();
    await answer;
    await router.ended('client_gone');
  });
});

describe('who may come in', () => {
  let router: RunningRouter;
  afterEach(() => router.close());

  test('without keys: foreign pages and foreign names are refused, pages of this machine may read', async () => {
    router = await startRouter();
    for (const headers of [
      { origin: 'https://example.org' },
      { origin: 'null' },
      { host: 'rebound.example.org' },
      { host: 'localhost.example.org' },
    ]) {
      await errorOf(await post(router, question, headers), 'origin_not_allowed');
    }
    const own = await request(`${router.url}/v1/models`, { headers: { origin: 'http://localhost:3000' } });
    assert.equal(own.statusCode, 200);
    assert.equal(own.headers['access-control-allow-origin'], 'http://localhost:3000');
    await own.body.dump();
    const preflight = (origin: string) =>
      request(`${router.url}/v1/chat/completions`, {
        method: 'OPTIONS',
        headers: { origin, 'access-control-request-method': 'POST' },
      });
    const allowed = await preflight('http://127.0.0.1:5173');
    assert.equal(allowed.statusCode, 204);
    assert.match(String(allowed.headers['access-control-allow-headers']), /authorization/);
    const foreign = await preflight('https://example.org');
    assert.equal(foreign.headers['access-control-allow-origin'], undefined);
    await errorOf(foreign, 'origin_not_allowed');
  });

  test('with keys: no key and a wrong key are refused, before anything else is looked at', async () => {
    const keys = parseApiKeysFile('sk-alpha-12345\nteam-b: sk-beta-12345\n');
    assert.ok(keys.ok);
    router = await startRouter({ apiKeys: keys.value });
    for (const headers of [{}, { authorization: 'Bearer sk-alpha-1234' }, { authorization: 'sk-alpha-12345' }]) {
      const answer = await post(router, '{', headers);
      assert.equal(answer.headers['www-authenticate'], 'Bearer');
      const error = await errorOf(answer, 'invalid_api_key');
      assert.doesNotMatch(error.message, /sk-/);
    }
    await errorOf(await request(`${router.url}/nothing`), 'invalid_api_key');
    const answer = await request(`${router.url}/v1/models`, {
      headers: { authorization: 'Bearer sk-beta-12345', origin: 'https://example.org' },
    });
    assert.equal(answer.statusCode, 200);
    await answer.body.dump();
    assert.equal((await router.ended('served')).tenant, 'team-b');
  });
});

describe('what cannot be served', () => {
  let slot: FakeSlot;
  let router: RunningRouter;
  const start = async (options: RunningRouterOptions = {}) => {
    router = await startRouter(options);
  };
  beforeEach(async () => {
    slot = await startFakeSlot();
  });
  afterEach(async () => {
    await router.close();
    await slot.close();
  });

  test('a model that failed says why', async () => {
    await start();
    router.table({ warmth: [{ failure: { reason: 'FileMissing', message: 'The file a.gguf is missing.' } }] });
    const answer = await post(router, question);
    assert.equal(answer.headers['x-should-retry'], 'false');
    assert.match((await errorOf(answer, 'model_failed')).message, /The file a\.gguf is missing/);
  });

  test('a held request ends when its model fails', async () => {
    await start();
    router.table({ warmth: [{ etaMs: 1000 }] });
    const held = post(router, question);
    await router.demanded((demand) => demand.queued === 1, 'one request queued');
    router.table({ warmth: [{ failure: { reason: 'Crash', message: 'The engine crashed.' } }] });
    await errorOf(await held, 'model_failed');
  });

  test('a held request ends when its model is deleted', async () => {
    await start();
    router.table({ warmth: [{ etaMs: 1000 }] });
    const held = post(router, question);
    await router.demanded((demand) => demand.queued === 1, 'one request queued');
    router.table({ models: [{ model: 'other', servedName: 'other' }] });
    await errorOf(await held, 'model_not_found');
  });

  test('a JSON caller of a model that wakes too slowly is told when to come back, and takes back its place', async () => {
    await start();
    router.table({ warmth: [{ etaMs: 90_000 }] });
    const answer = await post(router, question);
    assert.equal(answer.headers['retry-after'], '60');
    assert.equal(answer.headers['retry-after-ms'], '60000');
    assert.equal(answer.headers['x-should-retry'], 'true');
    assert.equal(answer.headers['x-stoker-eta-ms'], '90000');
    await errorOf(answer, 'model_warming');
    await router.demanded((demand) => demand.wakeLeaseMs > 140_000 && demand.queued === 0, 'a claim of 150 s');
    // A later caller is there first when the model is nearly awake; the one who was sent away goes before it.
    router.table({ warmth: [{ etaMs: 1000 }] });
    const later = post(router, { ...question, user: 'later' });
    await router.demanded((demand) => demand.queued === 1, 'the later one queued');
    const again = post(router, question);
    await router.demanded((demand) => demand.queued === 2, 'both queued');
    slot.onCall = (call) => call.json(chatAnswer(call.responseId, 'Hi'));
    router.table({ endpoints: [{ address: slot.address, share: 1 }] });
    for (const served of await Promise.all([later, again])) {
      assert.equal(served.statusCode, 200);
      await served.body.dump();
    }
    assert.doesNotMatch(slot.calls[0]?.body ?? '', /later/);
    assert.match(slot.calls[1]?.body ?? '', /later/);
  });

  test('a silent hold ends after 50 s', async () => {
    const clock = createManualClock();
    await start({ clock });
    router.table({ warmth: [{ etaMs: 40_000 }] });
    const held = post(router, { ...question, stream: true }, { 'x-stoker-progress': 'off' });
    await until(() => clock.pendingTimers() > 4, 'the request waits');
    clock.advance(49_000);
    clock.advance(1100);
    await errorOf(await held, 'model_warming');
  });

  test('a silent hold is not counted anew when its instance dies', async () => {
    const clock = createManualClock();
    await start({ clock });
    router.table({ warmth: [{ etaMs: 40_000 }] });
    const held = post(router, question);
    await until(() => clock.pendingTimers() > 4, 'the request waits');
    clock.advance(30_000);
    router.table({ endpoints: [{ address: slot.address }] });
    await until(() => slot.calls.length === 1, 'the instance has it');
    router.table({ warmth: [{ etaMs: 40_000 }] });
    slot.calls[0]?.cut();
    assert.equal((await router.ended('model_warming')).totalMs, 30_000);
    assert.equal((await held).headers['retry-after-ms'], '40000');
    await errorOf(await held, 'model_warming');
  });

  test('a silent hold that was over while there was an instance ends when that is lost', async () => {
    const clock = createManualClock();
    await start({ clock });
    router.table({ endpoints: [{ address: slot.address, share: 1 }] });
    const first = post(router, question);
    await until(() => slot.calls.length === 1, 'the instance has the first one');
    const held = post(router, question);
    await until(() => {
      clock.advance(1);
      return router.demand()?.models[0]?.queued === 1;
    }, 'the second one waits for it');
    clock.advance(51_000);
    assert.deepEqual(router.lines, []);
    // Another one may be there in a moment: so it may have been for 50 s.
    router.table({ warmth: [{ rung: 'Waking', etaMs: 0 }] });
    clock.advance(1);
    await router.ended('model_warming');
    await errorOf(await held, 'model_warming');
    slot.calls[0]?.json(chatAnswer(slot.calls[0].responseId, 'Hi'));
    await (await first).body.dump();
  });

  test('a full queue refuses', async () => {
    await start({ bounds: { queueItemsMax: 4 } });
    router.table({ warmth: [{ etaMs: 1000 }] });
    const held = [post(router, question), post(router, question)];
    await router.demanded((demand) => demand.queued === 2, 'two requests queued');
    const answer = await post(router, question);
    assert.equal(answer.headers['x-should-retry'], 'true');
    await errorOf(answer, 'queue_full');
    slot.onCall = (call) => call.json(chatAnswer(call.responseId, 'Hi'));
    router.table({ endpoints: [{ address: slot.address }] });
    for (const served of await Promise.all(held)) await served.body.dump();
  });

  test('bodies have one bound together', async () => {
    await start({ bounds: { bodiesBytesMax: 1000 } });
    await errorOf(await post(router, { ...question, pad: 'x'.repeat(2000) }), 'queue_full');
    slot.onCall = (call) => call.json(chatAnswer(call.responseId, 'Hi'));
    router.table({ endpoints: [{ address: slot.address }] });
    for (let round = 0; round < 20; round += 1) {
      const served = await post(router, question);
      assert.equal(served.statusCode, 200);
      await served.body.dump();
    }
  });

  test('a deadline ends a held request and a slow answer', async () => {
    const clock = createManualClock();
    await start({ clock });
    router.table({ warmth: [{ etaMs: 100 }] });
    const held = post(router, question, { 'x-stoker-deadline-ms': '500' });
    await until(() => clock.pendingTimers() > 4, 'the request waits');
    clock.advance(501);
    const answer = await held;
    assert.equal(answer.headers['x-should-retry'], 'false');
    await errorOf(answer, 'deadline_exceeded');
    router.table({ endpoints: [{ address: slot.address }] });
    const slow = post(router, question, { 'x-stainless-timeout': '2' });
    await until(() => slot.calls.length === 1, 'the instance has it');
    clock.advance(2001);
    await errorOf(await slow, 'deadline_exceeded');
    await slot.calls[0]?.aborted;
  });

  test('an engine that falls silent in the middle of an answer', async () => {
    const clock = createManualClock();
    await start({ clock });
    router.table({ endpoints: [{ address: slot.address }] });
    slot.onCall = (call) => call.content('half');
    const answer = await post(router, { ...question, stream: true });
    clock.advance(30_001);
    const text = await answer.body.text();
    assert.match(text, /half[\s\S]*data: \{"error":.*"deadline_exceeded"/);
    assert.doesNotMatch(text, /DONE/);
    await slot.calls[0]?.aborted;
  });

  test('an instance that fails each time, and one that talks nonsense', async () => {
    await start();
    router.table({ endpoints: [{ address: slot.address }] });
    slot.onCall = (call) => call.error(500, 'upstream_failed');
    const answer = await post(router, question);
    assert.equal(answer.headers['x-should-retry'], 'false');
    await errorOf(answer, 'upstream_failed');
    assert.equal(slot.calls.length, 3);
    slot.onCall = (call) => call.response.writeHead(200, { 'content-type': 'application/json' }).end('{"a":');
    await errorOf(await post(router, question), 'upstream_garbled');
    slot.onCall = (call) =>
      call.response.writeHead(200, { 'content-type': 'text/event-stream' }).end('data: {"choices":[]}\n\n');
    const quiet = { 'x-stoker-progress': 'off' };
    await errorOf(await post(router, { ...question, stream: true }, quiet), 'upstream_garbled');
  });

  test('a body that does not come', async () => {
    const clock = createManualClock();
    await start({ clock });
    const { socket, answer } = openRaw(router.port);
    socket.write('POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 50\r\n\r\n{"model"');
    await until(() => clock.pendingTimers() > 1, 'the request is read');
    clock.advance(30_001);
    assert.match(await answer, /^HTTP\/1\.1 408 [\s\S]*"code":"request_timeout"/);
  });

  test('a router that is stopping refuses new requests and lets running ones end', async () => {
    await start();
    router.table({ endpoints: [{ address: slot.address }] });
    slot.onCall = (call) => call.content('one');
    const running = await post(router, { ...question, stream: true });
    const text = running.body.text();
    const stopped = router.close(5000);
    const refused = await post(router, question);
    assert.equal(refused.headers['x-should-retry'], 'true');
    await errorOf(refused, 'draining');
    slot.calls[0]?.finish();
    assert.match(await text, /\[DONE\]/);
    await stopped;
  });

  test('a running answer is cut truthfully when the grace is over', async () => {
    await start();
    router.table({ endpoints: [{ address: slot.address }] });
    slot.onCall = (call) => call.content('one');
    const running = await post(router, { ...question, stream: true });
    const text = running.body.text();
    await router.close(10);
    assert.match(await text, /data: \{"error":.*"draining"/);
    await slot.calls[0]?.aborted;
  });

  test('without a table a request waits for the first one, and is told when none comes', async () => {
    const clock = createManualClock();
    await start({ clock, tableless: true });
    assert.equal((await request(`${router.adminUrl}/readyz`)).statusCode, 503);
    const held = post(router, question);
    await until(() => clock.pendingTimers() > 4, 'the request waits');
    slot.onCall = (call) => call.json(chatAnswer(call.responseId, 'Hi'));
    router.table({ endpoints: [{ address: slot.address }] });
    const answer = await held;
    assert.equal(answer.statusCode, 200);
    await answer.body.dump();
    await router.close();
    router = await startRouter({ clock, tableless: true });
    const lost = post(router, question);
    await until(() => clock.pendingTimers() > 4, 'the request waits');
    clock.advance(10_001);
    await errorOf(await lost, 'model_warming');
  });

  test('without a table no model is denied: the models are told with the first one, or the caller to come back', async () => {
    const clock = createManualClock();
    await start({ clock, tableless: true });
    const timers = clock.pendingTimers();
    const ask = () => ['', '/demo'].map((path) => request(`${router.url}/v1/models${path}`));
    const waiting = ask();
    await until(() => clock.pendingTimers() === timers + 2, 'both wait');
    router.table({});
    for (const answer of await Promise.all(waiting)) {
      assert.equal(answer.statusCode, 200);
      assert.match(await answer.body.text(), /"id":"demo"/);
    }
    await router.close();
    router = await startRouter({ clock, tableless: true });
    const before = clock.pendingTimers();
    const lost = ask();
    await until(() => clock.pendingTimers() === before + 2, 'both wait');
    clock.advance(10_001);
    for (const answer of await Promise.all(lost)) await errorOf(answer, 'model_warming');
  });
});

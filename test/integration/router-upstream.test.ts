// Models that somebody else serves, through the real router: what goes there, what comes back, and everything that goes wrong.
import assert from 'node:assert/strict';
import { createServer as createTlsServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { request } from 'undici';
import { createAuthority, createServerCertificate } from '../../src/local/api/certificate.ts';
import {
  answerError,
  answerJson,
  endUpstreamStream,
  type FakeUpstream,
  openUpstreamStream,
  startFakeUpstream,
  type UpstreamCall,
  upstreamAnswer,
  upstreamTable,
} from '../support/fake-upstream.ts';
import { type RunningRouter, startRouter } from '../support/running-router.ts';
import { until } from '../support/until.ts';

const KEY = 'sk-very-secret-key';
const secret = { key: KEY, keyOrigin: 'house-api/token' };
let router: RunningRouter;
let upstream: FakeUpstream;
let version = 1;

beforeEach(async () => {
  [router, upstream] = await Promise.all([startRouter(), startFakeUpstream()]);
  show({});
});
afterEach(async () => {
  await router.close();
  await upstream.close();
});

function show(changes: Partial<Parameters<typeof upstreamTable>[1]>): void {
  version += 1;
  router.push(upstreamTable(version, { baseUrl: upstream.baseUrl, ...secret, ...changes }));
}

const question = { model: 'demo', messages: [{ role: 'user', content: 'Hello?' }], top_p: 0.9 };

async function post(body: object, headers: Record<string, string> = {}) {
  const response = await request(`${router.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  return { status: response.statusCode, headers: response.headers, text: await response.body.text() };
}

async function errorOf(given: Promise<Awaited<ReturnType<typeof post>>>): Promise<{ code: string; message: string }> {
  const { text } = await given;
  const { error } = JSON.parse(text) as { error: { code: string; message: string } };
  assert.doesNotMatch(text, /sk-/);
  return error;
}

describe('what goes there', () => {
  test('is the body with its own name for the model, and the key: nothing else of ours', async () => {
    upstream.onCall = answerJson;
    await post(question, { 'x-stoker-session': 'a', cookie: 'c=d', authorization: 'Bearer the-callers' });
    const [call] = upstream.calls;
    assert.equal(call?.path, '/openai/v1/chat/completions');
    assert.deepEqual(JSON.parse(call?.body ?? ''), { ...question, model: 'their-model' });
    const { host: _host, ...headers } = call?.headers ?? {};
    assert.deepEqual(headers, {
      authorization: `Bearer ${KEY}`,
      'content-type': 'application/json',
      accept: 'application/json',
      'user-agent': 'stoker',
      connection: 'keep-alive',
      'content-length': String(call?.body.length),
    });
  });

  test('is asked without a key when none is named', async () => {
    upstream.onCall = answerJson;
    router.push(upstreamTable(++version, { baseUrl: upstream.baseUrl }));
    await post(question);
    assert.equal(upstream.calls[0]?.headers.authorization, undefined);
  });

  test('asks a stream for its usage, and every other byte stays the caller’s', async () => {
    upstream.onCall = (call) => {
      openUpstreamStream(call, 'Hi');
      endUpstreamStream(call);
    };
    await post({ stream: true, ...question, metadata: { model: 'mine' } });
    const body = JSON.stringify({ stream: true, ...question, metadata: { model: 'mine' } });
    const expected = `${body.slice(0, -1).replace('"demo"', '"their-model"')},"stream_options":{"include_usage":true}}`;
    assert.equal(upstream.calls[0]?.body, expected);
  });

  test('is never more at once than its share', async () => {
    show({ share: 2 });
    const held: UpstreamCall[] = [];
    upstream.onCall = (call) => void held.push(call);
    const answers = [1, 2, 3, 4].map(() => post(question));
    await until(() => held.length === 2, 'two requests');
    await router.demanded(({ queued, inFlight }) => queued === 2 && inFlight === 2, 'two that wait');
    upstream.onCall = answerJson;
    for (const call of held) answerJson(call);
    for (const { status } of await Promise.all(answers)) assert.equal(status, 200);
  });
});

describe('what comes back', () => {
  test('is an answer with our id, name and revision, and no header of theirs', async () => {
    upstream.onCall = answerJson;
    const { status, headers, text } = await post(question);
    assert.equal(status, 200);
    const answer = JSON.parse(text);
    assert.match(answer.id, /^chatcmpl-[0-9a-f]{32}$/);
    assert.deepEqual(answer, { ...upstreamAnswer, id: answer.id, model: 'demo', system_fingerprint: 'demo-1' });
    assert.equal(headers['set-cookie'], undefined);
    assert.notEqual(headers['x-request-id'], 'theirs');
    assert.equal(headers['x-stoker-revision'], 'demo-1');
    const line = await router.ended('served');
    assert.deepEqual([line.usageIn, line.usageOut], [3, 2]);
  });

  test('gets a fingerprint when there is none', async () => {
    const { system_fingerprint: _none, ...bare } = upstreamAnswer;
    upstream.onCall = (call) => answerJson(call, bare);
    assert.equal(JSON.parse((await post(question)).text).system_fingerprint, 'demo-1');
  });

  test('is a stream in our frames, whose connection is used again', async () => {
    upstream.onCall = (call) => {
      openUpstreamStream(call, 'Hel', 'lo.');
      endUpstreamStream(call);
    };
    for (let times = 0; times < 3; times += 1) {
      const { text } = await post({ ...question, stream: true, stream_options: { include_usage: true } });
      const events = text.split('\n\n').filter((line) => line.startsWith('data: '));
      assert.equal(events.pop(), 'data: [DONE]');
      const chunks = events.map((line) => JSON.parse(line.slice(6)));
      assert.equal(chunks.map((one) => one.choices[0]?.delta.content ?? '').join(''), 'Hello.');
      assert.equal(chunks.at(-1).usage.total_tokens, 5);
      for (const one of chunks) assert.deepEqual([one.model, one.system_fingerprint], ['demo', 'demo-1']);
    }
    assert.equal(upstream.connections(), 1);
  });
});

describe('what goes wrong there', () => {
  const failing: readonly [string, (call: UpstreamCall) => void, number, RegExp][] = [
    [
      'a refused key',
      (call) => answerError(call, 401, { message: `Bad key ${KEY}` }),
      1,
      /refused the key of the Secret house-api \(entry token\) with status 401\.$/,
    ],
    ['a key without rights', (call) => answerError(call, 403), 1, /refused the key of the Secret house-api/],
    [
      'no such model',
      (call) => answerError(call, 404),
      1,
      /has no model their-model, or no such path\. It said: So it is\.$/,
    ],
    ['a bill', (call) => answerError(call, 402), 1, /asks for payment/],
    ['a quota', (call) => answerError(call, 429, { code: 'insufficient_quota' }), 1, /its quota is used up/],
    [
      'a redirect',
      ({ response }) => response.writeHead(302, { location: 'http://127.0.0.1/' }).end(),
      1,
      /answered with a redirect, which is not followed\.$/,
    ],
    [
      'a fault of its own',
      (call) => answerError(call, 500),
      3,
      /The upstream failed with status 500\. It said: So it is\./,
    ],
    [
      'a page',
      ({ response }) => response.writeHead(503, { 'content-type': 'text/html' }).end('<p>'),
      3,
      /status 503\.$/,
    ],
    ['a connection that breaks', ({ response }) => response.destroy(), 3, /did not answer \(UND_ERR_SOCKET\)/],
    [
      'an error that says 200',
      (call) => answerJson(call, { error: { message: 'Out of luck.' } }),
      3,
      /The upstream failed: Out of luck\./,
    ],
  ];
  for (const [name, onCall, attempts, sentence] of failing) {
    test(`${name} is told as upstream_failed, after ${attempts} attempts`, async () => {
      upstream.onCall = onCall;
      const error = await errorOf(post(question));
      assert.equal(error.code, 'upstream_failed');
      assert.match(error.message, sentence);
      assert.equal(upstream.calls.length, attempts);
    });
  }

  const garbled: readonly [string, string][] = [
    ['half an object', '{"choices":['],
    ['no object', '[]'],
    ['another object', '{"choices":"many"}'],
    ['nothing', ''],
    ['bytes', '\u0000\u0001'],
    ['a field twice', '{"choices":[],"choices":[]}'],
  ];
  for (const [name, body] of garbled) {
    test(`${name} is no answer`, async () => {
      upstream.onCall = ({ response }) => response.writeHead(200, { 'content-type': 'application/json' }).end(body);
      assert.equal((await errorOf(post(question))).code, 'upstream_garbled');
    });
  }

  test('an answer that is too large is asked for once', async () => {
    upstream.onCall = (call) => answerJson(call, { ...upstreamAnswer, more: 'x'.repeat(4_300_000) });
    const error = await errorOf(post(question));
    assert.equal(error.code, 'invalid_request');
    assert.match(error.message, /more than 4194304 bytes\. Ask for less, or stream it\./);
    assert.equal(upstream.calls.length, 1);
  });

  test('a form that was not asked for is no answer', async () => {
    upstream.onCall = ({ response }) => response.writeHead(200, { 'content-type': 'text/plain' }).end('Hello');
    assert.match((await errorOf(post(question))).message, /in a form that was not asked for/);
    upstream.onCall = answerJson;
    const { text } = await post({ ...question, stream: true });
    assert.match(text, /upstream_garbled/);
  });

  test('the caller’s own mistake is passed on in our form, once', async () => {
    upstream.onCall = (call) =>
      answerError(call, 400, { message: 'top_p is too large.', code: 'weird', internal: 'x' });
    const { status, text } = await post(question);
    assert.equal(status, 400);
    assert.deepEqual(JSON.parse(text).error, {
      message: 'top_p is too large.',
      type: 'invalid_request_error',
      param: null,
      code: 'invalid_request',
    });
    assert.equal(upstream.calls.length, 1);
  });

  test('too many requests for a moment are waited out', async () => {
    let calls = 0;
    upstream.onCall = (call) => {
      calls += 1;
      if (calls === 1) answerError(call, 429, { code: 'rate_limit_exceeded' }, { 'retry-after': '1' });
      else answerJson(call);
    };
    const { status, headers } = await post(question);
    assert.deepEqual([status, headers['x-stoker-attempts']], [200, '1']);
    assert.equal(calls, 2);
  });

  test('too many requests for long are told as they are', async () => {
    upstream.onCall = (call) => answerError(call, 429, {}, { 'retry-after': '120' });
    const { status, headers, text } = await post(question);
    assert.deepEqual([status, headers['retry-after'], headers['x-should-retry']], [429, '120', 'true']);
    assert.match(text, /"code":"rate_limited"/);
  });

  test('a stream that is cut after content ends with one error and no [DONE]', async () => {
    upstream.onCall = (call) => {
      openUpstreamStream(call, 'Hel');
      setImmediate(() => call.response.destroy());
    };
    const { text } = await post({ ...question, stream: true });
    assert.match(text, /Hel/);
    assert.match(
      text,
      /data: \{"error":\{"message":"[^"]+","type":"server_error","param":null,"code":"upstream_failed"\}\}\n\n$/,
    );
    assert.doesNotMatch(text, /\[DONE\]/);
    assert.equal(upstream.calls.length, 1);
  });

  test('a stream that ends politely without its end is told to be cut', async () => {
    upstream.onCall = (call) => {
      openUpstreamStream(call, 'Hel');
      call.response.end();
    };
    const { text } = await post({ ...question, stream: true });
    assert.match(text, /closed the stream before the answer was complete/);
    assert.doesNotMatch(text, /\[DONE\]/);
  });

  test('a stream that fails before content is tried again', async () => {
    let calls = 0;
    upstream.onCall = (call) => {
      calls += 1;
      openUpstreamStream(call, ...(calls === 1 ? [] : ['Hello.']));
      if (calls === 1) call.response.write('data: {{{\n\n');
      else endUpstreamStream(call);
    };
    const { text } = await post({ ...question, stream: true });
    assert.match(text, /Hello\./);
    assert.match(text, /\[DONE\]/);
    assert.equal(calls, 2);
  });

  test('garbage after content is no end', async () => {
    upstream.onCall = (call) => {
      openUpstreamStream(call, 'Hel');
      call.response.end('data: not json\n\n');
    };
    const { text } = await post({ ...question, stream: true });
    assert.match(text, /upstream_garbled/);
    assert.doesNotMatch(text, /\[DONE\]/);
  });

  test('a caller that goes ends the request there', async () => {
    const gone = Promise.withResolvers<void>();
    upstream.onCall = (call) => {
      openUpstreamStream(call, 'Hel');
      call.response.once('close', () => gone.resolve());
    };
    const response = await request(`${router.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...question, stream: true }),
    });
    response.body.on('error', () => {}).destroy();
    await gone.promise;
    await router.ended('client_gone');
  });
});

function createIdentity() {
  const validity = { fromMs: Date.now() - 60_000, untilMs: Date.now() + 3_600_000 };
  const authority = createAuthority('house', validity);
  const signed = createServerCertificate(['localhost'], validity, { name: 'house', ...authority });
  return { authority: authority.certificatePem, server: { cert: signed.certificatePem, key: signed.keyPem } };
}

describe('over TLS', () => {
  const { authority, server: identity } = createIdentity();
  const roots = getCACertificates('default');
  let server: Server;
  let asked = 0;
  beforeEach(async () => {
    asked = 0;
    server = createTlsServer(identity, (incoming, response) => {
      asked += 1;
      incoming.resume();
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(upstreamAnswer));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    show({ baseUrl: `https://localhost:${(server.address() as AddressInfo).port}/v1` });
  });
  afterEach(async () => {
    setDefaultCACertificates(roots);
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
  });

  test('an address is asked whose certificate somebody vouches for', async () => {
    setDefaultCACertificates([...roots, authority]);
    assert.equal((await post(question)).status, 200);
    assert.equal(asked, 1);
  });

  test('one that nobody vouches for is not', async () => {
    const error = await errorOf(post(question));
    assert.match(
      error.message,
      /did not answer \((UNABLE_TO_VERIFY_LEAF_SIGNATURE|UNABLE_TO_GET_ISSUER_CERT_LOCALLY)\)/,
    );
    assert.equal(asked, 0);
  });
});

describe('where no request goes', () => {
  const refused = [
    'https://169.254.169.254/v1',
    'https://2852039166/v1',
    'https://[fe80::1]/v1',
    'https://[::ffff:169.254.169.254]/v1',
    // Plain http is for this machine alone, whatever a table says.
    'http://10.0.0.1/v1',
  ];
  for (const baseUrl of refused) {
    test(baseUrl, async () => {
      show({ baseUrl });
      const error = await errorOf(post(question));
      assert.equal(error.code, 'upstream_failed');
      assert.match(error.message, /^No request is sent to /);
    });
  }
});

test('the key is in no line of the log', async () => {
  upstream.onCall = (call) => answerError(call, 401, { message: `Incorrect API key: ${KEY}` });
  await post(question);
  await router.ended('upstream_failed').then((line) => assert.doesNotMatch(JSON.stringify(line), /sk-/));
  assert.doesNotMatch(JSON.stringify(router.lines), /sk-/);
});

test('a key that changed is used from the next request on', async () => {
  upstream.onCall = answerJson;
  await post(question);
  show({ key: 'sk-another' });
  await post(question);
  assert.deepEqual(
    upstream.calls.map(({ headers }) => headers.authorization),
    [`Bearer ${KEY}`, 'Bearer sk-another'],
  );
});

test('a model that is asked nowhere any more fails by its reason', async () => {
  const table = upstreamTable(++version, { baseUrl: upstream.baseUrl });
  const failure = { reason: 'SecretMissing', message: 'There is no Secret house-api. Make it.' };
  const warmth = [{ model: 'demo', rung: 'Failed' as const, etaMs: 0, failure }];
  router.push({ ...table, endpoints: { version, hash: 'h', data: { endpoints: [], warmth } } });
  const { status, text } = await post(question);
  assert.equal(status, 503);
  assert.match(text, /There is no Secret house-api/);
});

// The data path through its front door: what it refuses, what it passes on, and that the count of requests in flight is exact
// however a request ends.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { Readable } from 'node:stream';
import { after, before, beforeEach, describe, test } from 'node:test';
import { request } from 'undici';
import { BODY_BYTES_MAX } from '../../src/agent/data-path/bounds.ts';
import { SLOT_HEADERS } from '../../src/api/data-path.ts';
import {
  answerJson,
  chunk,
  createFakeEngine,
  type FakeEngine,
  openEvents,
  usageChunk,
} from '../support/fake-engine.ts';
import { slotKey, wanted } from '../support/fake-hub.ts';
import { type RunningAgent, readFrames, slotRequest, startAgent } from '../support/running-agent.ts';
import { until } from '../support/until.ts';

const whole = [
  chunk({ role: 'assistant', content: '' }),
  chunk({ content: 'Hi' }),
  chunk({}, 'stop'),
  usageChunk,
  'data: [DONE]\n\n',
];

describe('the data path', { timeout: 60_000 }, () => {
  let fake: FakeEngine;
  let running: RunningAgent;
  let instance = '';
  before(async () => {
    fake = createFakeEngine();
    running = await startAgent({ engines: fake.engines, limits: { retryMsBase: 1, retryMsMax: 1 } });
  });
  after(async () => {
    await running.close();
    await fake.close();
  });
  beforeEach(async () => {
    running.hub.target([wanted('a', 'Awake')]);
    instance = (await running.hub.seen('a', (report) => report.rung === 'Awake' && report.inFlight === 0)).id;
  });

  const send = (changes: Parameters<typeof slotRequest>[1] = {}, id = instance) =>
    running.pool.request(slotRequest(id, changes));
  const inFlight = () => running.hub.instance('a')?.inFlight;
  const errorOf = async (body: { text(): Promise<string> }) => JSON.parse(await body.text()).error;

  describe('refuses', () => {
    const refusal = async (changes: Parameters<typeof slotRequest>[1], id = instance) => {
      const answer = await send(changes, id);
      await answer.body.dump();
      assert.equal(answer.statusCode, 409);
      return answer.headers[SLOT_HEADERS.refusal];
    };
    test('a wrong key, before anything else is looked at', async () => {
      assert.equal(await refusal({ headers: { authorization: 'Bearer no' }, path: '/v1/embeddings' }), 'StaleKey');
      assert.equal(await refusal({ headers: { authorization: slotKey } }), 'StaleKey');
    });

    test('another incarnation, and an instance that is not here', async () => {
      assert.equal(await refusal({}, instance.replace(/1$/, '2')), 'StaleIncarnation');
      assert.equal(await refusal({}, 'somewhere/else/1'), 'StaleIncarnation');
      assert.equal(await refusal({}, ''), 'StaleIncarnation');
    });

    test('a request too many, without reading its body, and takes the next one on the same connection', async () => {
      const held: (() => void)[] = [];
      fake.behaviour.chat = ({ response }) => held.push(() => answerJson(response, { choices: [] }));
      const first = send();
      const second = send();
      await until(() => held.length === 2, 'two requests at the engine');
      const big = 'x'.repeat(300_000);
      assert.equal(await refusal({ body: big }), 'Full');
      assert.equal(await refusal({ body: big }), 'Full');
      for (const release of held.splice(0)) release();
      for (const answer of await Promise.all([first, second])) {
        assert.equal(answer.statusCode, 200);
        await answer.body.dump();
      }
      const text = await running.metrics.render();
      assert.match(text, /stoker_agent_refusals_total\{reason="Full"\} 2/);
    });

    test('paths and methods that are not inference', async () => {
      for (const path of ['/sleep', '/v1/models', '/v1/responses', '/v1/chat/completions/../../sleep']) {
        const answer = await send({ path });
        assert.equal(answer.statusCode, 404, path);
        assert.equal((await errorOf(answer.body)).code, 'route_not_found');
      }
      const got = await request(`http://127.0.0.1:${running.dataPort}/v1/chat/completions`, {
        headers: { authorization: `Bearer ${slotKey}` },
      });
      assert.equal(got.statusCode, 405);
      await got.body.dump();
    });

    test('headers that make no sense', async () => {
      for (const headers of [{ [SLOT_HEADERS.responseId]: 'a b' }, { [SLOT_HEADERS.remainingMs]: '-1' }]) {
        const answer = await send({ headers });
        assert.equal(answer.statusCode, 400);
        assert.equal((await errorOf(answer.body)).code, 'invalid_request');
      }
    });
  });

  describe('passes on', () => {
    test('a stream as canonical frames, with the engine key and without the slot key', async () => {
      let seen = {};
      fake.behaviour.chat = ({ response, request: asked, body }) => {
        seen = { body, key: asked.headers.authorization, length: asked.headers['content-length'] };
        openEvents(response);
        response.end(whole.join(''));
      };
      const answer = await send({ body: '{"a":1}' });
      assert.match(String(answer.headers['content-type']), /^text\/event-stream/);
      const frames = readFrames(await answer.body.text());
      assert.deepEqual(
        frames.map((frame) => frame.kind),
        ['role', 'content', 'finish', 'usage', 'done'],
      );
      assert.deepEqual(seen, { body: '{"a":1}', key: 'Bearer engine-key', length: '7' });
    });

    test('streams one after another over one connection to the engine', async () => {
      const ports = new Set<number | undefined>();
      fake.behaviour.chat = ({ response, request: asked }) => {
        ports.add(asked.socket.remotePort);
        openEvents(response);
        response.write(whole.join(''), () => setImmediate(() => response.end()));
      };
      for (let round = 0; round < 5; round += 1) {
        assert.equal(readFrames(await (await send()).body.text()).at(-1)?.kind, 'done');
      }
      assert.equal(ports.size, 1);
    });

    test('an answer whose engine does not end after [DONE]', async () => {
      fake.behaviour.chat = ({ response }) => {
        openEvents(response);
        response.write(`${whole.join('')}${chunk({ content: 'more' })}`);
      };
      const frames = readFrames(await (await send()).body.text());
      assert.equal(frames.at(-1)?.kind, 'done');
      await until(() => inFlight() === 0, 'nothing in flight');
    });

    test('a JSON answer with our names', async () => {
      fake.behaviour.chat = ({ response }) =>
        answerJson(response, { id: 'theirs', object: 'chat.completion', model: 'theirs', choices: [{ index: 0 }] });
      const answer = await send();
      assert.deepEqual(await answer.body.json(), {
        id: 'chatcmpl-test',
        object: 'chat.completion',
        model: 'served-a',
        choices: [{ index: 0 }],
        system_fingerprint: 'a',
      });
    });

    test('an error of the engine with its status and body', async () => {
      const error = {
        message: 'too long',
        type: 'invalid_request_error',
        param: 'messages',
        code: 'context_length_exceeded',
      };
      fake.behaviour.chat = ({ response }) => answerJson(response, { error }, 400);
      const answer = await send();
      assert.equal(answer.statusCode, 400);
      assert.deepEqual(await answer.body.json(), { error });
    });

    const strange: [string, number, string | object, string][] = [
      ['an error without a shape', 500, 'oops', 'upstream_failed'],
      ['an error that is too long', 500, { error: { message: 'x'.repeat(70_000), code: 'a' } }, 'upstream_failed'],
      [
        'a status that is between us and the engine',
        401,
        { error: { message: 'key', code: 'invalid_api_key' } },
        'upstream_failed',
      ],
      ['JSON that is no answer', 200, { object: 'list' }, 'upstream_garbled'],
      ['an error with status 200', 200, { error: { message: 'no' } }, 'upstream_failed'],
    ];
    for (const [what, status, body, code] of strange) {
      test(`${what} as 502 ${code}`, async () => {
        fake.behaviour.chat = ({ response }) => {
          response.writeHead(status, { 'content-type': 'application/json' });
          response.end(typeof body === 'string' ? body : JSON.stringify(body));
        };
        const answer = await send();
        assert.equal(answer.statusCode, 502);
        assert.equal((await errorOf(answer.body)).code, code);
      });
    }

    const vectors = { object: 'list', data: [{ object: 'embedding', index: 0, embedding: 'AAAA' }], model: 'x' };
    const embeddings: [string, object | string, string | undefined][] = [
      ['a list of vectors', vectors, undefined],
      ['a list of many megabytes', { ...vectors, data: [{ embedding: 'A'.repeat(6_000_000) }] }, undefined],
      ['an answer of another route', { choices: [] }, 'upstream_garbled'],
      ['a list that breaks off', '{"data":[', 'upstream_garbled'],
      ['an error with status 200', { error: { message: 'no' } }, 'upstream_failed'],
    ];
    for (const [what, body, code] of embeddings) {
      test(`${what} on the way of embeddings as ${code === undefined ? 'it is' : `502 ${code}`}`, async () => {
        fake.behaviour.chat = ({ response }) => {
          response.writeHead(200, { 'content-type': 'application/json' });
          response.end(typeof body === 'string' ? body : JSON.stringify(body));
        };
        const answer = await send({ path: '/v1/embeddings', body: '{"input":"a"}' });
        if (code !== undefined) {
          assert.equal(answer.statusCode, 502);
          assert.equal((await errorOf(answer.body)).code, code);
          return;
        }
        assert.equal(answer.statusCode, 200);
        const names = { id: 'chatcmpl-test', model: 'served-a', system_fingerprint: 'a' };
        assert.deepEqual(await answer.body.json(), { ...(body as object), ...names });
      });
    }

    const large: [string, string, object, string, RegExp][] = [
      ['an answer', '/v1/chat/completions', { choices: ['x'.repeat(4_300_000)] }, 'stream', /4194304 bytes.*stream it/],
      [
        'a list of vectors',
        '/v1/embeddings',
        { data: ['A'.repeat(34_000_000)] },
        'input',
        /33554432 bytes.*fewer inputs/,
      ],
    ];
    for (const [what, path, body, param, sentence] of large) {
      test(`${what} that is too large as a request that asked for too much`, async () => {
        fake.behaviour.chat = ({ response }) => answerJson(response, body);
        const answer = await send({ path });
        assert.equal(answer.statusCode, 400);
        const error = await errorOf(answer.body);
        assert.deepEqual([error.code, error.param], ['invalid_request', param]);
        assert.match(error.message, sentence);
        await until(() => inFlight() === 0, 'nothing in flight');
      });
    }

    test('a stream of vectors as 502', async () => {
      fake.behaviour.chat = ({ response }) => {
        openEvents(response);
        response.end(whole.join(''));
      };
      const answer = await send({ path: '/v1/embeddings', body: '{"input":"a"}' });
      assert.equal(answer.statusCode, 502);
      assert.equal((await errorOf(answer.body)).code, 'upstream_garbled');
    });

    test('a body of another type as 502', async () => {
      fake.behaviour.chat = ({ response }) => response.writeHead(200, { 'content-type': 'text/html' }).end('<p>');
      const answer = await send();
      assert.equal(answer.statusCode, 502);
      assert.equal((await errorOf(answer.body)).code, 'upstream_garbled');
    });
  });

  describe('ends truthfully and gives the place back', () => {
    test('when the engine breaks off a stream', async () => {
      fake.behaviour.chat = ({ response }) => {
        openEvents(response);
        response.write(whole.slice(0, 2).join(''), () => response.destroy());
      };
      const frames = readFrames(await (await send()).body.text());
      assert.equal(frames.at(-1)?.kind, 'error');
      assert.equal(JSON.parse(frames.at(-1)?.data ?? '').error.code, 'upstream_failed');
      await until(() => inFlight() === 0, 'nothing in flight');
    });

    test('when the engine sends garbage, and hangs up on it', async () => {
      let closed = false;
      fake.behaviour.chat = ({ response }) => {
        response.on('close', () => {
          closed = true;
        });
        openEvents(response);
        response.write('data: {"choices":\n\n');
      };
      const frames = readFrames(await (await send()).body.text());
      assert.equal(JSON.parse(frames.at(-1)?.data ?? '').error.code, 'upstream_garbled');
      await until(() => closed && inFlight() === 0, 'the engine was hung up on');
    });

    test('when the engine dies before its head', async () => {
      fake.behaviour.chat = ({ response }) => response.destroy();
      const answer = await send();
      assert.equal(answer.statusCode, 502);
      assert.equal((await errorOf(answer.body)).code, 'upstream_failed');
    });

    test('when the router hangs up: the engine is told at once', async () => {
      let closed = false;
      fake.behaviour.chat = ({ response }) => {
        response.on('close', () => {
          closed = true;
        });
        openEvents(response);
        response.write(whole[1]);
      };
      const answer = await send();
      await until(() => inFlight() === 1, 'one in flight');
      answer.body.destroy();
      answer.body.on('error', () => {});
      await until(() => closed && inFlight() === 0, 'the engine was told');
    });

    test('when the router hangs up in the middle of its body', async () => {
      const socket = connect(running.dataPort, '127.0.0.1');
      const headers = { ...slotRequest(instance).headers, 'content-length': '1000', host: 'slot' };
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
      socket.write(`POST /v1/chat/completions HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n{"part":`);
      await until(() => inFlight() === 1, 'one in flight');
      socket.destroy();
      await until(() => inFlight() === 0, 'nothing in flight');
    });

    test('when the time is over, before and after the head', async () => {
      fake.behaviour.chat = () => {};
      const early = await send({ headers: { [SLOT_HEADERS.remainingMs]: '30' } });
      assert.equal(early.statusCode, 504);
      assert.equal((await errorOf(early.body)).code, 'deadline_exceeded');
      fake.behaviour.chat = ({ response }) => {
        openEvents(response);
        response.write(whole[1]);
      };
      const late = await send({ headers: { [SLOT_HEADERS.remainingMs]: '1500' } });
      const frames = readFrames(await late.body.text());
      assert.equal(JSON.parse(frames.at(-1)?.data ?? '').error.code, 'deadline_exceeded');
      await until(() => inFlight() === 0, 'nothing in flight');
    });

    test('when a body is too large, announced or not', async () => {
      fake.behaviour.chat = ({ response }) => answerJson(response, { choices: [] });
      const announced = await send({ body: 'x'.repeat(BODY_BYTES_MAX + 1) });
      assert.equal(announced.statusCode, 413);
      await announced.body.dump();
      async function* pieces() {
        for (let sent = 0; sent <= BODY_BYTES_MAX; sent += 1_048_576) yield Buffer.alloc(1_048_576, 120);
      }
      const { method, path, headers } = slotRequest(instance);
      const streamed = await request(`http://127.0.0.1:${running.dataPort}${path}`, {
        method,
        headers,
        body: Readable.from(pieces()),
      });
      assert.equal(streamed.statusCode, 413);
      assert.equal((await errorOf(streamed.body)).code, 'body_too_large');
      await until(() => inFlight() === 0, 'nothing in flight');
    });

    /** An engine that writes as fast as it may, and a router that sends a request and reads nothing. */
    const overflow = (remainingMs: string) => {
      const state = { written: 0, closed: false };
      fake.behaviour.chat = ({ response }) => {
        openEvents(response);
        response.on('close', () => {
          state.closed = true;
        });
        const piece = chunk({ content: 'x'.repeat(60_000) });
        const write = () => {
          while (!state.closed && state.written < 2000) {
            state.written += 1;
            if (!response.write(piece)) return void response.once('drain', write);
          }
        };
        write();
      };
      const socket = connect(running.dataPort, '127.0.0.1');
      const body = '{"stream":true}';
      const fixed = { 'content-length': String(body.length), host: 'slot', [SLOT_HEADERS.remainingMs]: remainingMs };
      const lines = Object.entries({ ...slotRequest(instance).headers, ...fixed }).map(
        ([name, value]) => `${name}: ${value}`,
      );
      socket.pause();
      socket.write(`POST /v1/chat/completions HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n${body}`);
      return { state, socket };
    };

    test('when the router does not read: the engine is not read either, and a hang-up ends it', async () => {
      const { state, socket } = overflow('30000');
      let last = -1;
      let sameFor = 0;
      await until(() => {
        sameFor = state.written === last && state.written > 0 ? sameFor + 1 : 0;
        last = state.written;
        return sameFor > 2000;
      }, 'the engine is held back');
      assert.ok(
        state.written < 1000,
        `the engine wrote ${state.written} chunks of 60 kB to a reader that does not read`,
      );
      assert.equal(inFlight(), 1);
      socket.destroy();
      await until(() => state.closed && inFlight() === 0, 'the hang-up came through');
    });

    test('when the router does not read and the time is over', async () => {
      const { state, socket } = overflow('1500');
      await until(() => state.closed && inFlight() === 0, 'the deadline came through');
      socket.destroy();
    });

    test('when the engine crashes: requests in flight end, new ones are refused until it is back', async () => {
      fake.behaviour.chat = ({ response }) => {
        openEvents(response);
        response.write(whole[1]);
      };
      const answer = await send();
      await fake.latest().crash();
      const frames = readFrames(await answer.body.text());
      assert.equal(frames.at(-1)?.kind, 'error');
      const back = await running.hub.seen('a', (report) => report.rung === 'Awake' && report.id !== instance);
      assert.equal(back.inFlight, 0);
      const stale = await send();
      assert.equal(stale.headers[SLOT_HEADERS.refusal], 'StaleIncarnation');
      await stale.body.dump();
      assert.match(await running.metrics.render(), /stoker_engine_restarts_total\{model="model-a"\} 1/);
    });
  });

  test('answers health, readiness and metrics on the administration port', async () => {
    for (const [path, status] of [
      ['/healthz', 200],
      ['/readyz', 200],
      ['/metrics', 200],
      ['/v1/chat/completions', 404],
    ] as const) {
      const answer = await request(`http://127.0.0.1:${running.adminPort}${path}`);
      assert.equal(answer.statusCode, status, path);
      await answer.body.dump();
    }
  });
});

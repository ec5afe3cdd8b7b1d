// The router's bounds, each reached: sockets, requests on a socket, heads that do not come, slow readers, shares. And that
// nobody is sent anything whom the table does not name.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type IncomingMessage, request as nodeRequest } from 'node:http';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { Client, request } from 'undici';
import { type Clock, createManualClock } from '../../src/lib/clock.ts';
import { chatAnswer, type FakeSlot, type SlotCall, startFakeSlot } from '../support/fake-slot.ts';
import { exchange, openRaw } from '../support/raw-http.ts';
import { type RunningRouter, type RunningRouterOptions, startRouter } from '../support/running-router.ts';
import { until } from '../support/until.ts';

const question = { model: 'demo', messages: [{ role: 'user', content: 'a very private question' }] };

describe('the bounds of the router', () => {
  let slot: FakeSlot;
  let router: RunningRouter;
  const start = async (options: RunningRouterOptions = {}) => {
    router = await startRouter(options);
    router.table({ endpoints: [{ address: slot.address }] });
  };
  const post = (body: object, headers: Record<string, string> = {}) =>
    request(`${router.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
  beforeEach(async () => {
    slot = await startFakeSlot();
  });
  afterEach(async () => {
    await router.close();
    await slot.close();
  });

  test('a connection too many is closed at once, and counted', async () => {
    await start({ bounds: { socketsMax: 1 } });
    const first = openRaw(router.port);
    await once(first.socket, 'connect');
    assert.equal(await exchange(router.port, 'GET /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n'), '');
    assert.match(await router.metrics.render(), /stoker_refused_sockets_total 1/);
    first.socket.destroy();
  });

  test('a connection is closed after its last request', async () => {
    await start({ bounds: { requestsPerSocketMax: 2 } });
    const client = new Client(router.url);
    const heads: (string | undefined)[] = [];
    for (let round = 0; round < 2; round += 1) {
      const answer = await client.request({ path: '/v1/models', method: 'GET' });
      heads.push(String(answer.headers.connection));
      await answer.body.dump();
    }
    assert.deepEqual(heads, ['keep-alive', 'close']);
    await client.close();
  });

  test('a head that does not come is not waited for', async () => {
    await start({ bounds: { headMsMax: 100 } });
    const { socket, answer } = openRaw(router.port);
    socket.write('POST /v1/chat/completions HTTP/1.1\r\nhost: local');
    assert.match(await answer, /^HTTP\/1\.1 408 [\s\S]*"code":"request_timeout"/);
  });

  test('bytes behind a request whose answer is running end the connection, and are no part of the answer', async () => {
    await start();
    slot.onCall = (call) => call.content('half');
    const { socket, answer } = openRaw(router.port);
    const body = JSON.stringify({ ...question, stream: true });
    socket.write(
      `POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    await once(socket, 'data');
    socket.write('hello\r\n\r\n');
    const text = await answer;
    assert.match(text, /^HTTP\/1\.1 200 [\s\S]*half/);
    assert.equal(text.match(/HTTP\/1\.1/g)?.length, 1);
    await router.ended('client_gone');
    const metrics = await router.metrics.render();
    assert.match(metrics, /stoker_requests_total\{model="demo",outcome="client_gone"\} 1/);
    assert.doesNotMatch(metrics, /stoker_requests_total\{[^}]*outcome="invalid_request"/);
  });

  test('a body that breaks HTTP is refused while nothing was answered, and counts once', async () => {
    await start();
    const answer = await exchange(
      router.port,
      'POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n',
    );
    assert.match(answer, /^HTTP\/1\.1 400 [\s\S]*"code":"invalid_request"/);
    await router.ended('client_gone');
    assert.equal((await router.metrics.render()).match(/^stoker_requests_total\{.*\} 1$/gm)?.length, 1);
  });

  test('a reader that is too slow is cut, and its instance freed', async () => {
    await start();
    const reader = nodeRequest(`${router.url}/v1/chat/completions`, { method: 'POST' });
    reader.end(JSON.stringify({ ...question, stream: true }));
    slot.onCall = (call) => {
      const more = () => {
        for (let piece = 0; piece < 16; piece += 1) call.content('x'.repeat(16_384));
        if (!call.response.destroyed) call.response.once('drain', more);
      };
      more();
    };
    const [answer] = await once(reader, 'response');
    answer.pause();
    answer.on('error', () => {});
    await until(() => slot.calls.length === 1, 'the instance has it');
    await slot.calls[0]?.aborted;
    await router.ended('slow_consumer');
    await router.demanded((demand) => demand.inFlight === 0, 'nothing in flight');
    let text = '';
    answer.on('data', (bytes: Buffer) => {
      text += bytes.toString('latin1').slice(-20);
    });
    const closed = new Promise((resolve) => answer.once('close', resolve));
    answer.resume();
    await closed;
    assert.doesNotMatch(text, /DONE/);
  });

  /** A complete answer of many times what the kernel takes. */
  const largeAnswer = async (clock: Clock) => {
    await start({ clock, bounds: { answerBytesMax: 64 * 1024 * 1024 } });
    slot.onCall = (call) => call.json(chatAnswer(call.responseId, 'x'.repeat(32 * 1024 * 1024)));
    const reader = nodeRequest(`${router.url}/v1/chat/completions`, { method: 'POST' });
    reader.end(JSON.stringify(question));
    const [answer] = (await once(reader, 'response')) as [IncomingMessage];
    answer.on('error', () => {});
    await router.ended('served');
    let bytes = 0;
    answer.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    answer.pause();
    return { answer, bytes: () => bytes };
  };

  test('a complete answer that nobody takes is cut, and a stop does not wait for it', async () => {
    const clock = createManualClock();
    const { answer } = await largeAnswer(clock);
    let isStopped = false;
    void router.close(1_000_000).then(() => {
      isStopped = true;
    });
    try {
      // The kernel still takes some of it at first. All of this is less than what the stop would wait.
      for (let look = 0; look < 20; look += 1) {
        clock.advance(30_000);
        await setImmediate();
      }
      await until(() => isStopped, 'the stop is over');
    } finally {
      answer.destroy();
    }
  });

  test('a reader that takes a complete answer slowly gets all of it', async () => {
    const clock = createManualClock();
    const { answer, bytes } = await largeAnswer(clock);
    const ended = once(answer, 'end');
    for (let round = 1; round <= 3; round += 1) {
      clock.advance(29_000);
      answer.resume();
      await until(() => bytes() > round * 8 * 1024 * 1024, 'more than the kernel held was read');
      answer.pause();
    }
    clock.advance(29_000);
    answer.resume();
    await ended;
    assert.ok(answer.complete && bytes() > 32 * 1024 * 1024);
  });

  test('an answer that is too large is asked for once, and is no failure of its instance', async () => {
    // Time stands still: an endpoint that was blocked would stay so.
    await start({ clock: createManualClock(), bounds: { answerBytesMax: 1000 } });
    slot.onCall = (call) => call.json(chatAnswer(call.responseId, 'x'.repeat(2000)));
    const asked = post(question);
    assert.equal((await router.ended('invalid_request')).attempts, 1);
    const answer = await asked;
    assert.equal(answer.statusCode, 400);
    const { error } = (await answer.body.json()) as { error: { message: string; param: string } };
    assert.equal(error.message, 'The answer has more than 1000 bytes. Ask for less, or stream it.');
    assert.equal(error.param, 'stream');
    assert.equal(slot.calls.length, 1);
    slot.onCall = (call) => call.json(chatAnswer(call.responseId, 'Hi'));
    const next = await post(question);
    assert.equal(next.statusCode, 200);
    await next.body.dump();
  });

  test('an instance never has more than its share, and everybody is served', async () => {
    await start();
    const second = await startFakeSlot();
    router.table({
      endpoints: [
        { address: slot.address, share: 2 },
        { address: second.address, share: 3 },
      ],
    });
    let now = 0;
    let most = 0;
    for (const each of [slot, second]) {
      each.onCall = (call) => {
        now += 1;
        most = Math.max(most, now);
        void setImmediate().then(() => {
          now -= 1;
          call.json(chatAnswer(call.responseId, 'Hi'));
        });
      };
    }
    const answers = await Promise.all(Array.from({ length: 60 }, () => post(question)));
    for (const answer of answers) {
      assert.equal(answer.statusCode, 200);
      await answer.body.dump();
    }
    assert.ok(most <= 5, `${most} at a time`);
    assert.ok(slot.calls.length > 0 && second.calls.length > 0);
    await second.close();
  });

  test('who is served already takes no place among those that wait', async () => {
    await start({ bounds: { queueItemsMax: 4 } });
    router.table({ endpoints: [{ address: slot.address, share: 6 }] });
    const served = Array.from({ length: 6 }, () => post(question));
    await until(() => slot.calls.length === 6, 'six at the instance');
    const held = [post(question), post(question)];
    await router.demanded((demand) => demand.queued === 2, 'two wait');
    const refused = await post(question);
    assert.equal(refused.statusCode, 429);
    await refused.body.dump();
    const answer = (call: SlotCall) => call.json(chatAnswer(call.responseId, 'Hi'));
    slot.onCall = answer;
    for (const call of slot.calls) answer(call);
    for (const each of await Promise.all([...served, ...held])) {
      assert.equal(each.statusCode, 200);
      await each.body.dump();
    }
  });

  test('who is not in the table any more, or not of this model, gets nothing', async () => {
    await start();
    const other = await startFakeSlot();
    other.onCall = (call) => call.json(chatAnswer(call.responseId, 'Hi'));
    slot.onCall = (call) => call.refuse('NotAwake');
    const waiting = post(question);
    await until(() => slot.calls.length > 0, 'refused once');
    router.table({ endpoints: [{ address: slot.address, model: 'other', instance: 'pod-0/other/1' }] });
    const before = slot.calls.length;
    await router.demanded((demand) => demand.queued === 1, 'it waits');
    router.table({ endpoints: [{ address: other.address, podUid: 'pod-9', instance: 'pod-9/demo-1/1' }] });
    const answer = await waiting;
    assert.equal(answer.statusCode, 200);
    await answer.body.dump();
    assert.equal(slot.calls.length, before);
    await other.close();
  });

  test('demand is told at once when somebody waits and nothing is free', async () => {
    const clock = createManualClock();
    await start({ clock });
    router.table({ warmth: [{ etaMs: 100 }] });
    clock.advance(100);
    const sent = router.sent.length;
    const held = post({ ...question, stream: true });
    await until(() => router.sent.length > sent, 'a message, without time passing');
    assert.equal(router.demand()?.models[0]?.queued, 1);
    assert.ok((router.demand()?.models[0]?.queuedTokens ?? 0) > 0);
    clock.advance(1000);
    slot.onCall = (call) => call.stream('x');
    router.table({ endpoints: [{ address: slot.address }] });
    await (await held).body.dump();
    assert.deepEqual(router.hello().history[0]?.countsPer10s.slice(-1), [1]);
    const acknowledged = router.sent.findLast((message) => message.type === 'acknowledge');
    assert.deepEqual(acknowledged?.versions, { policy: 4, endpoints: 4, keys: 4 });
  });

  test('without its controller the router serves on its last table', async () => {
    await start();
    slot.onCall = (call) => call.json(chatAnswer(call.responseId, 'Hi'));
    router.drop();
    const answer = await post(question);
    assert.equal(answer.statusCode, 200);
    await answer.body.dump();
    router.open();
    await router.demanded((demand) => demand.arrivals === 1, 'the whole demand');
  });

  test('nothing that was said is in the log or the metrics', async () => {
    await start();
    slot.onCall = (call) => call.stream('a very private answer');
    await (await post({ ...question, stream: true })).body.dump();
    slot.onCall = (call) => call.error(400, 'invalid_request', 'a very private complaint');
    await (await post(question)).body.dump();
    await (await post({ ...question, 'a very private field': 1, model: 'nothing' })).body.dump();
    await router.ended('served');
    await router.ended('invalid_request');
    assert.doesNotMatch(JSON.stringify(router.lines), /private/);
    assert.doesNotMatch(await router.metrics.render(), /private/);
  });

  test('models are listed, sleeping ones as well, also with slashes in their names', async () => {
    await start();
    router.table({
      models: [{}, { model: 'other', servedName: 'org/other' }],
      warmth: [{ model: 'other', rung: 'Asleep' }],
    });
    const list = (await (await request(`${router.url}/v1/models`)).body.json()) as { data: { id: string }[] };
    assert.deepEqual(
      list.data.map(({ id }) => id),
      ['demo', 'org/other'],
    );
    for (const path of ['org/other', 'org%2Fother']) {
      const answer = await request(`${router.url}/v1/models/${path}`);
      assert.deepEqual(await answer.body.json(), {
        id: 'org/other',
        object: 'model',
        created: 1_700_000_000,
        owned_by: 'stoker',
        context_length: 512,
      });
    }
    const head = await request(`${router.url}/v1/models`, { method: 'HEAD' });
    assert.equal(head.statusCode, 200);
    await head.body.dump();
  });
});

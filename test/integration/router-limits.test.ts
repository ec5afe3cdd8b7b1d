// The router's bounds, each reached: sockets, requests on a socket, heads that do not come, slow readers, shares. And that
// nobody is sent anything whom the table does not name.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as nodeRequest } from 'node:http';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { Client, request } from 'undici';
import { createManualClock } from '../../src/lib/clock.ts';
import { chatAnswer, type FakeSlot, startFakeSlot } from '../support/fake-slot.ts';
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
        setImmediate(() => {
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

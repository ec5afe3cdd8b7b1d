// Chat over a WebSocket against scripted instances: many requests on one socket, holds, cancels, cuts, and how a socket ends.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { createManualClock } from '../../src/lib/clock.ts';
import { parseApiKeysFile } from '../../src/router/api-keys.ts';
import { type ChatClient, openChat, question } from '../support/chat-client.ts';
import { type FakeSlot, startFakeSlot, usage } from '../support/fake-slot.ts';
import { type RunningRouter, type RunningRouterOptions, startRouter } from '../support/running-router.ts';
import { until } from '../support/until.ts';

let slot: FakeSlot;
let router: RunningRouter;
const clients: ChatClient[] = [];

async function start(options: RunningRouterOptions = {}): Promise<void> {
  router = await startRouter(options);
  router.table({ endpoints: [{ address: slot.address }] });
}

async function connect(...rest: [string[]?, object?]): Promise<ChatClient> {
  const client = await openChat(router.url, ...rest);
  clients.push(client);
  return client;
}

beforeEach(async () => {
  slot = await startFakeSlot();
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.socket.terminate();
  await router.close();
  await slot.close();
});

describe('a request on a WebSocket', () => {
  test('streams chunks in order, with the headers in the first and the usage at the end', async () => {
    await start();
    slot.onCall = (call) => call.stream('Hel', 'lo');
    const client = await connect();
    client.create('a', { ...question, user: 'kept' });
    const end = await client.ended('a');
    assert.equal(client.text('a'), 'Hello');
    assert.deepEqual(
      client.of('a').map(({ seq, type }) => [seq, type]),
      [
        [1, 'chat.chunk'],
        [2, 'chat.chunk'],
        [3, 'chat.chunk'],
        [4, 'chat.chunk'],
        [5, 'chat.done'],
      ],
    );
    const [first, second] = client.of('a');
    assert.equal(first?.headers?.['x-stoker-model'], 'demo');
    assert.equal(first?.headers?.['x-stoker-revision'], 'demo-1');
    assert.match(first?.headers?.['x-request-id'] ?? '', /^req_/);
    assert.equal(second?.headers, undefined);
    assert.deepEqual(end.usage, { ...usage, prompt_tokens_details: { cached_tokens: 0 } });
    assert.deepEqual(JSON.parse(slot.calls[0]?.body ?? ''), {
      ...question,
      user: 'kept',
      stream: true,
      stream_options: { include_usage: true },
    });
    const line = await router.ended('served');
    assert.deepEqual([line.route, line.tenant, line.usageOut], ['chat-socket', 'default', 2]);
  });

  test('shares its socket with others, and its id is free again when it has ended', async () => {
    await start();
    const client = await connect();
    for (const id of ['a', 'b', 'c']) client.create(id);
    await until(() => slot.calls.length === 3, 'three requests at the instance');
    for (const [index, text] of ['x', 'y', 'z'].entries()) slot.calls[2 - index]?.stream(text, text);
    for (const id of ['a', 'b', 'c']) assert.equal((await client.ended(id)).type, 'chat.done');
    assert.deepEqual(['a', 'b', 'c'].map((id) => client.text(id)).sort(), ['xx', 'yy', 'zz']);
    client.events.length = 0;
    slot.onCall = (call) => call.stream('again');
    client.create('a');
    await client.ended('a');
    assert.deepEqual([client.text('a'), client.of('a')[0]?.seq], ['again', 1]);
  });

  test('to a cold model is held and told so', async () => {
    await start();
    router.table({ warmth: [{ rung: 'Asleep', etaMs: 1200 }] });
    slot.onCall = (call) => call.stream('awake');
    const client = await connect();
    client.create('a');
    const news = await client.seen(({ type }) => type === 'chat.queued', 'news');
    assert.deepEqual([news.id, news.seq, news.state], ['a', 1, 'waking']);
    assert.ok((news.eta_ms ?? 0) > 0);
    assert.match(news.message ?? '', /^stoker model demo is waking/);
    await router.demanded((demand) => demand.queued === 1, 'one request queued');
    router.table({ endpoints: [{ address: slot.address }], warmth: [{ rung: 'Awake', etaMs: 0 }] });
    await client.ended('a');
    assert.equal(client.text('a'), 'awake');
  });

  test('ends when it is canceled, and its instance is freed', async () => {
    await start();
    const client = await connect();
    slot.onCall = (call) => call.content('one');
    client.create('a');
    await client.seen(({ type }) => type === 'chat.chunk', 'a chunk');
    client.say({ type: 'cancel', id: 'a' });
    const end = await client.ended('a');
    assert.deepEqual([end.type, end.canceled, end.usage], ['chat.done', true, null]);
    await slot.calls[0]?.aborted;
    await router.ended('client_gone');
    client.say({ type: 'cancel', id: 'a' });
    slot.onCall = (call) => call.stream('next');
    client.create('b');
    await client.ended('b');
    assert.equal(client.events.at(-1)?.id, 'b');
  });

  test('whose instance is cut ends with a truthful error, and the socket stays', async () => {
    await start();
    slot.onCall = (call) => {
      call.content('half');
      setImmediate(() => call.cut());
    };
    const client = await connect();
    client.create('a');
    const end = await client.ended('a');
    assert.deepEqual([end.type, end.seq, end.error?.code, end.status], ['error', 2, 'upstream_failed', 502]);
    slot.onCall = (call) => call.stream('whole');
    client.create('b');
    assert.equal((await client.ended('b')).type, 'chat.done');
  });

  test('that is wrong is answered like a POST, with what a client does about it', async () => {
    await start();
    const client = await connect();
    const rows: readonly [object, string, string | null][] = [
      [{ ...question, model: 'nothing' }, 'model_not_found', 'model'],
      [{ ...question, messages: [] }, 'invalid_request', 'messages'],
      [{ ...question, stream: false }, 'invalid_request', 'stream'],
    ];
    for (const [index, [body, code, param]] of rows.entries()) {
      client.create(`r${index}`, body);
      const end = await client.ended(`r${index}`);
      assert.deepEqual([end.error?.code, end.error?.param, end.seq], [code, param, 1]);
    }
    router.table({ warmth: [{ failure: { reason: 'Test', message: 'Broken.' } }] });
    client.create('f');
    const failed = await client.ended('f');
    assert.equal(failed.headers?.['x-should-retry'], 'false');
    assert.equal(slot.calls.length, 0);
  });

  test('is bound by the hints of the upgrade', async () => {
    const clock = createManualClock();
    await start({ clock });
    const client = await connect([], { headers: { 'x-stoker-deadline-ms': '500' } });
    client.create('a');
    await until(() => slot.calls.length === 1, 'the instance has it');
    clock.advance(501);
    assert.equal((await client.ended('a')).error?.code, 'deadline_exceeded');
  });

  test('with a large body is read elsewhere, and what came behind it keeps its place', async () => {
    await start();
    slot.onCall = (call) => call.stream('x');
    const client = await connect();
    client.create('big', { ...question, pad: 'x'.repeat(400_000) });
    client.say({ type: 'cancel', id: 'big' });
    client.create('small');
    assert.equal((await client.ended('big')).canceled, true);
    assert.equal((await client.ended('small')).type, 'chat.done');
    client.create('other', { ...question, pad: 'x'.repeat(400_000) });
    await client.ended('other');
    assert.equal(client.text('other'), 'x');
  });
});

describe('the end of a WebSocket', () => {
  for (const how of ['close', 'terminate'] as const) {
    test(`by the caller (${how}) aborts every request of it`, async () => {
      await start();
      slot.onCall = (call) => call.content('one');
      const client = await connect();
      for (const id of ['a', 'b', 'c']) client.create(id);
      await until(() => slot.calls.length === 3, 'three requests at the instance');
      if (how === 'close') client.socket.close(1001);
      else client.socket.terminate();
      for (const call of slot.calls) await call.aborted;
      for (const _ of slot.calls) await router.ended('client_gone');
      await router.demanded((demand) => demand.inFlight === 0, 'nothing in flight');
    });
  }

  test('comes with 1001 when the router stops, after running requests had their time', async () => {
    await start();
    slot.onCall = (call) => call.content('one');
    const [busy, idle] = [await connect(), await connect()];
    busy.create('a');
    await until(() => slot.calls.length === 1, 'the instance has it');
    const stopped = router.close(5000);
    assert.equal((await idle.closed).code, 1001);
    busy.create('late');
    assert.equal((await busy.ended('late')).error?.code, 'draining');
    slot.calls[0]?.finish();
    assert.equal((await busy.ended('a')).type, 'chat.done');
    assert.equal((await busy.closed).code, 1001);
    await stopped;
  });

  test('a held request is told that the router stops', async () => {
    await start();
    router.table({ warmth: [{ etaMs: 5000 }] });
    const client = await connect();
    client.create('a');
    await router.demanded((demand) => demand.queued === 1, 'one request queued');
    await router.close(5000);
    const end = await client.ended('a');
    assert.equal(end.error?.code, 'draining');
    assert.equal(end.headers?.connection, undefined);
    assert.equal((await client.closed).code, 1001);
  });

  test('comes when its key is taken away; others stay', async () => {
    const keys = (text: string) => {
      const parsed = parseApiKeysFile(text);
      assert.ok(parsed.ok);
      return parsed.value;
    };
    await start({ apiKeys: keys('team-a: sk-alpha-12345\nteam-b: sk-beta-12345\n') });
    slot.onCall = (call) => call.content('one');
    const key = `stoker.key.${Buffer.from('sk-alpha-12345').toString('base64url')}`;
    const revoked = await connect(['stoker.chat.v1', key]);
    assert.equal(revoked.socket.protocol, 'stoker.chat.v1');
    const kept = await connect([], { headers: { authorization: 'Bearer sk-beta-12345' } });
    revoked.create('a');
    kept.create('a');
    await until(() => slot.calls.length === 2, 'both at the instance');
    router.router.replaceApiKeys(keys('team-b: sk-beta-12345\nteam-c: sk-gamma-12345\n'));
    assert.equal((await revoked.ended('a')).error?.code, 'invalid_api_key');
    assert.equal((await revoked.closed).code, 1008);
    assert.equal((await router.ended('invalid_api_key')).tenant, 'team-a');
    for (const call of slot.calls) if (!call.response.destroyed) call.finish();
    assert.equal((await kept.ended('a')).type, 'chat.done');
    const fresh = await connect([], { headers: { authorization: 'Bearer sk-gamma-12345' } });
    await fresh.close();
  });

  test('comes when nobody answers its pings', async () => {
    const clock = createManualClock();
    await start({ clock });
    const deaf = await connect([], { autoPong: false });
    const alive = await connect();
    for (let beat = 0; beat < 3; beat += 1) {
      const answered = new Promise((resolve) => alive.socket.once('ping', resolve));
      clock.advance(20_000);
      if (beat < 2) await answered;
      // The pong of the live one has to come before the next beat.
      alive.create(`b${beat}`);
      await until(() => slot.calls.length === beat + 1, 'it was heard');
    }
    assert.equal((await deaf.closed).code, 1006);
    assert.equal(alive.socket.readyState, alive.socket.OPEN);
  });
});

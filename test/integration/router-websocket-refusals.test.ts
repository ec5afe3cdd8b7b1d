// What is refused on a WebSocket: one test for each kind of bad input. The socket stays open wherever it can, and what closes
// it has a code.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import { createManualClock } from '../../src/lib/clock.ts';
import { parseApiKeysFile } from '../../src/router/api-keys.ts';
import { type ChatClient, openChat, question, refusedChat } from '../support/chat-client.ts';
import { type FakeSlot, startFakeSlot } from '../support/fake-slot.ts';
import { openRaw } from '../support/raw-http.ts';
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

/** The socket still serves. */
async function assertAlive(client: ChatClient): Promise<void> {
  client.create('alive');
  assert.equal((await client.ended('alive')).type, 'chat.done');
}

beforeEach(async () => {
  slot = await startFakeSlot();
  slot.onCall = (call) => call.stream('x');
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.socket.terminate();
  await router.close();
  await slot.close();
});

describe('messages that are not accepted', () => {
  const rows: readonly [string, object | string, { code: string; param: string | null; ref: string | null }][] = [
    ['no JSON', 'hello', { code: 'invalid_message', param: null, ref: null }],
    ['a list', '[]', { code: 'invalid_message', param: null, ref: null }],
    ['a repeated field', '{"type":"cancel","id":"a","id":"b"}', { code: 'invalid_message', param: null, ref: null }],
    [
      'deep nesting',
      `{"type":${'['.repeat(70)}${']'.repeat(70)}}`,
      { code: 'invalid_message', param: null, ref: null },
    ],
    ['no type', { id: 'a' }, { code: 'invalid_message', param: 'type', ref: 'a' }],
    ['a type that is a number', { type: 1, id: 'a' }, { code: 'invalid_message', param: 'type', ref: 'a' }],
    ['an unknown type', { type: 'chat.delete', id: 'a' }, { code: 'unknown_type', param: 'type', ref: 'a' }],
    ['a type of another object', { type: '__proto__', id: 'a' }, { code: 'unknown_type', param: 'type', ref: 'a' }],
    ['no id', { type: 'chat.create', body: question }, { code: 'invalid_message', param: 'id', ref: null }],
    [
      'an id that is too long',
      { type: 'cancel', id: 'x'.repeat(65) },
      { code: 'invalid_message', param: 'id', ref: null },
    ],
    ['an id with quotes', { type: 'cancel', id: '"}' }, { code: 'invalid_message', param: 'id', ref: null }],
    ['no body', { type: 'chat.create', id: 'a' }, { code: 'invalid_message', param: 'body', ref: 'a' }],
    [
      'a body that is a text',
      { type: 'chat.create', id: 'a', body: '{}' },
      { code: 'invalid_message', param: 'body', ref: 'a' },
    ],
    ['a resume', { type: 'resume', id: 'a', after: 3 }, { code: 'resume_not_supported', param: 'type', ref: 'a' }],
  ];
  for (const [name, message, expected] of rows) {
    test(`${name}: ${expected.code}`, async () => {
      await start();
      const client = await connect();
      client.say(message);
      const { error, ref, id, seq } = await client.seen(({ type }) => type === 'error', 'an error');
      assert.deepEqual({ code: error?.code, param: error?.param, ref }, expected);
      assert.deepEqual([id, seq], [null, null]);
      assert.match(error?.message ?? '', /\.$/);
      await assertAlive(client);
      assert.match(
        await router.metrics.render(),
        new RegExp(`stoker_web_socket_faults_total\\{code="${expected.code}"\\} 1`),
      );
    });
  }

  test('an id that is open is refused, and the request that has it goes on', async () => {
    await start();
    slot.onCall = () => {};
    const client = await connect();
    client.create('a');
    await until(() => slot.calls.length === 1, 'the instance has it');
    client.create('a');
    const fault = await client.seen(({ type }) => type === 'error', 'an error');
    assert.deepEqual([fault.id, fault.ref, fault.error?.code], [null, 'a', 'duplicate_id']);
    slot.calls[0]?.stream('whole');
    await client.ended('a');
    assert.equal(client.text('a'), 'whole');
  });

  test('more requests than a socket may have', async () => {
    await start({ bounds: { webSocketRequestsMax: 3 } });
    slot.onCall = () => {};
    const client = await connect();
    for (const id of ['a', 'b', 'c', 'd']) client.create(id);
    const fault = await client.seen(({ type }) => type === 'error', 'an error');
    assert.deepEqual([fault.ref, fault.error?.code], ['d', 'too_many_requests']);
    client.say({ type: 'cancel', id: 'a' });
    await client.ended('a');
    slot.onCall = (call) => call.stream('x');
    await assertAlive(client);
  });

  test('a flood of them closes the socket', async () => {
    await start({ bounds: { webSocketNuisancesMax: 20 } });
    const client = await connect();
    for (let count = 0; count < 30; count += 1) client.say('{}');
    assert.equal((await client.closed).code, 1008);
  });
});

describe('frames that close the socket', () => {
  test('binary: 1003', async () => {
    await start();
    const client = await connect();
    client.socket.send(Buffer.from(JSON.stringify({ type: 'cancel', id: 'a' })), { binary: true });
    assert.equal((await client.closed).code, 1003);
  });

  test('a message that is too large: 1009, and its requests end', async () => {
    await start({ bounds: { bodyBytesMax: 10_000 } });
    slot.onCall = (call) => call.content('one');
    const client = await connect();
    client.create('a');
    await client.seen(({ type }) => type === 'chat.chunk', 'a chunk');
    client.create('b', { ...question, pad: 'x'.repeat(20_000) });
    assert.equal((await client.closed).code, 1009);
    await slot.calls[0]?.aborted;
    await router.ended('client_gone');
  });

  test('a compressed frame: 1002, since compression was never agreed on', async () => {
    await start();
    const client = await connect([], { perMessageDeflate: true });
    assert.equal(client.socket.extensions, '');
    const bomb = deflateRawSync(Buffer.alloc(64 * 1024 * 1024, 0x20));
    // FIN, RSV1, text; masked with zeros.
    const head = Buffer.alloc(14);
    head[0] = 0xc1;
    head[1] = 0xff;
    head.writeBigUInt64BE(BigInt(bomb.length), 2);
    rawSocketOf(client).write(Buffer.concat([head, bomb]));
    assert.equal((await client.closed).code, 1002);
  });

  test('text that is not UTF-8: 1007', async () => {
    await start();
    const client = await connect();
    client.socket.send(Buffer.from([0xff, 0xfe]), { binary: false });
    assert.equal((await client.closed).code, 1007);
  });

  test('a flood of pings: 1008', async () => {
    await start({ bounds: { webSocketNuisancesMax: 20 } });
    const client = await connect();
    for (let count = 0; count < 30; count += 1) client.socket.ping('x'.repeat(100));
    assert.equal((await client.closed).code, 1008);
  });

  test('a few pings are answered', async () => {
    await start();
    const client = await connect();
    const pong = once(client.socket, 'pong');
    client.socket.ping('hello');
    assert.equal(String((await pong)[0]), 'hello');
    await assertAlive(client);
  });

  test('a message that does not come whole in time: 1008; pings do not help', async () => {
    const clock = createManualClock();
    await start({ clock });
    const client = await connect();
    client.socket.send('{"type":', { fin: false });
    client.socket.ping();
    const pong = once(client.socket, 'pong');
    await pong;
    clock.advance(30_001);
    assert.equal((await client.closed).code, 1008);
  });

  test('a message for which the bodies of all requests leave no room: 1013', async () => {
    await start({ bounds: { bodiesBytesMax: 50_000 } });
    const client = await connect();
    client.socket.send('x'.repeat(60_000), { fin: false });
    assert.equal((await client.closed).code, 1013);
    const next = await connect();
    await assertAlive(next);
  });

  test('a reader that reads nothing: 1013 after 10 s, its requests end, its instances are free', async () => {
    const clock = createManualClock();
    await start({ clock, bounds: { webSocketBufferedBytesMax: 64 * 1024 } });
    const aborted: Promise<void>[] = [];
    slot.onCall = (call) => {
      aborted.push(call.aborted);
      for (let piece = 0; piece < 24; piece += 1) call.content('x'.repeat(16_384));
    };
    const client = await connect();
    client.socket.pause();
    // The kernel takes some megabytes before the first byte waits here.
    for (let index = 0; index < 40; index += 1) client.create(`r${index}`);
    router.table({ endpoints: [{ address: slot.address, share: 64 }] });
    await until(() => slot.calls.length === 40, 'all at the instance');
    await router.ended('slow_consumer');
    clock.advance(10_001);
    client.socket.resume();
    assert.equal((await client.closed).code, 1013);
    await Promise.all(aborted);
    clock.advance(100);
    await router.demanded((demand) => demand.inFlight === 0 && demand.queued === 0, 'nothing left');
  });
});

describe('upgrades that are refused', () => {
  test('another path, another subprotocol, no WebSocket at all', async () => {
    await start();
    assert.deepEqual((await refusedChat(router.url, ['graphql-ws'])).status, 400);
    assert.match((await refusedChat(router.url, ['graphql-ws'])).message, /stoker\.chat\.v1/);
    const elsewhere = await refusedChat(`${router.url}/elsewhere`);
    assert.deepEqual([elsewhere.status, elsewhere.code], [404, 'route_not_found']);
    const { socket, answer } = openRaw(router.port);
    socket.write(
      'GET /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
    );
    assert.match(await answer, /^HTTP\/1\.1 400 [\s\S]*"code":"invalid_request"/);
  });

  test('foreign pages and names, where no key protects', async () => {
    await start();
    for (const headers of [{ origin: 'https://example.org' }, { origin: 'null' }, { host: 'rebound.example.org' }]) {
      const refused = await refusedChat(router.url, [], { headers });
      assert.deepEqual([refused.status, refused.code], [403, 'origin_not_allowed']);
    }
    const own = await connect(['stoker.chat.v1'], { headers: { origin: 'http://localhost:3000' } });
    await assertAlive(own);
  });

  test('no key, a wrong key, a key that is no text', async () => {
    const keys = parseApiKeysFile('team-a: sk-alpha-12345\n');
    assert.ok(keys.ok);
    await start({ apiKeys: keys.value });
    const wrong = Buffer.from('sk-wrong-12345').toString('base64url');
    const rows: readonly [string[], Record<string, string>][] = [
      [[], {}],
      [['stoker.chat.v1'], {}],
      [['stoker.chat.v1', `stoker.key.${wrong}`], {}],
      [['stoker.chat.v1', `stoker.key.${'A'.repeat(600)}`], {}],
      [[], { authorization: 'Bearer sk-wrong-12345' }],
      [[], { authorization: 'sk-alpha-12345' }],
    ];
    for (const [protocols, headers] of rows) {
      const refused = await refusedChat(router.url, protocols, { headers });
      assert.deepEqual([refused.status, refused.code], [401, 'invalid_api_key']);
      assert.doesNotMatch(refused.message, /sk-/);
    }
    // A key protects: with one, any page may come.
    const right = `stoker.key.${Buffer.from('sk-alpha-12345').toString('base64url')}`;
    const page = await connect(['stoker.chat.v1', right], { headers: { origin: 'https://example.org' } });
    assert.equal(page.socket.protocol, 'stoker.chat.v1');
    await assertAlive(page);
    assert.equal((await router.ended('served')).tenant, 'team-a');
    assert.doesNotMatch(JSON.stringify(router.lines), /sk-|c2st/);
  });

  test('one too many', async () => {
    await start({ bounds: { webSocketsMax: 1 } });
    const first = await connect();
    const refused = await refusedChat(router.url);
    assert.deepEqual([refused.status, refused.code], [429, 'queue_full']);
    assert.match(await router.metrics.render(), /stoker_web_sockets 1/);
    await first.close();
    await until(() => router.lines.some(({ code }) => code === 1005), 'the first one is gone');
    await assertAlive(await connect());
  });

  test('while the router stops', async () => {
    await start();
    slot.onCall = (call) => call.content('one');
    const client = await connect();
    client.create('a');
    await until(() => slot.calls.length === 1, 'the instance has it');
    const stopped = router.close(5000);
    assert.equal((await refusedChat(router.url)).code, 'draining');
    slot.calls[0]?.finish();
    await stopped;
  });
});

/** The connection below the client's WebSocket, for bytes that no client would send. */
function rawSocketOf(client: ChatClient): NodeJS.WritableStream {
  return (client.socket as unknown as { _socket: NodeJS.WritableStream })._socket;
}

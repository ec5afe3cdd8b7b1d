import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:net';
import { afterEach, test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { createManualClock, type ManualClock, systemClock } from '../../src/lib/clock.ts';
import { type LogFields, silentLog } from '../../src/lib/log.ts';
import { createRng } from '../../src/lib/rng.ts';
import { createHub, type HubOptions } from '../../src/link/hub.ts';
import { createAgentSpoke, createRouterSpoke } from '../../src/link/spoke.ts';
import type { Hub, HubHandlers } from '../../src/ports/link.ts';
import {
  agentHello,
  bigTable,
  recordingHandlers,
  report,
  routerHello,
  table,
  target,
} from '../support/link-messages.ts';
import { until } from '../support/until.ts';

const ends: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function startHub(
  handlers: HubHandlers,
  options: Partial<HubOptions> = {},
): Promise<{ hub: Hub; port: number; url: string }> {
  const hub = createHub(
    { host: '127.0.0.1', port: 0, epoch: 1, clock: systemClock, log: silentLog, release: '0.1.0', ...options },
    handlers,
  );
  const { port } = await hub.start();
  ends.push(() => hub.stop());
  return { hub, port, url: `ws://127.0.0.1:${port}` };
}

function recordingSpoke(
  url: () => string,
  options: { clock?: ManualClock; token?: () => Promise<string>; podUid?: string } = {},
) {
  const messages: unknown[] = [];
  const closed: string[] = [];
  const opens: number[] = [];
  const spoke = createAgentSpoke(
    {
      url,
      token: options.token ?? (async () => 'good'),
      hello: () => agentHello(options.podUid),
      clock: options.clock ?? systemClock,
      rng: createRng(1),
      log: silentLog,
    },
    {
      onOpen: () => opens.push(messages.length),
      onMessage: (message) => messages.push(message),
      onClose: (reason) => closed.push(reason),
    },
  );
  ends.push(() => spoke.stop());
  spoke.start();
  return { spoke, messages, closed, opens };
}

/** A WebSocket that speaks for itself, to misbehave with. */
async function rawSession(
  url: string,
  token = 'good',
): Promise<{ socket: WebSocket; closed: Promise<[number, string]> }> {
  const socket = new WebSocket(`${url}/link`, {
    headers: { authorization: `Bearer ${token}` },
    perMessageDeflate: false,
  });
  ends.push(() => socket.terminate());
  const closed = new Promise<[number, string]>((resolve) =>
    socket.once('close', (code, reason) => resolve([code, reason.toString('utf8')])),
  );
  socket.on('error', () => {});
  await once(socket, 'open');
  return { socket, closed };
}

function upgradeStatus(port: number, path: string, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    const upgrade = {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'MDEyMzQ1Njc4OWFiY2RlZg==',
    };
    const call = request({ host: '127.0.0.1', port, path, headers: { ...upgrade, ...headers } });
    call.once('response', (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    call.once('upgrade', (_response, socket) => {
      socket.destroy();
      resolve(101);
    });
    call.once('error', reject);
    call.end();
  });
}

test('hello, welcome, then messages in order, both ways', async () => {
  const handlers = recordingHandlers();
  const { hub, url } = await startHub(handlers, { epoch: 4 });
  const agent = recordingSpoke(() => url);
  await until(() => agent.opens.length === 1 && handlers.opened.length === 1, 'the session');
  assert.equal(agent.spoke.isConnected(), true);
  assert.deepEqual(handlers.opened[0]?.identity, { username: 'user-good' });
  assert.deepEqual(hub.sessions(), handlers.opened);
  for (let seq = 1; seq <= 50; seq += 1) {
    assert.equal(agent.spoke.send(report(seq)), true);
    assert.equal(handlers.opened[0]?.role === 'agent' && handlers.opened[0].send(target(4, seq)), true);
  }
  await until(() => handlers.fromAgents.length === 50 && agent.messages.length === 50, 'the messages');
  assert.deepEqual(
    handlers.fromAgents,
    Array.from({ length: 50 }, (_, index) => report(index + 1)),
  );
  assert.deepEqual(
    agent.messages,
    Array.from({ length: 50 }, (_, index) => target(4, index + 1)),
  );
  await agent.spoke.stop();
  await until(() => handlers.closed.length === 1, 'the end');
  assert.match(handlers.closed[0]?.reason ?? '', /1000/);
  assert.equal(agent.spoke.send(report()), false);
});

test('a router speaks the same link with its own messages', async () => {
  const handlers = recordingHandlers();
  const { url } = await startHub(handlers);
  const tables: unknown[] = [];
  const spoke = createRouterSpoke(
    {
      url: () => url,
      token: async () => 'good',
      hello: () => routerHello(),
      clock: systemClock,
      rng: createRng(1),
      log: silentLog,
    },
    {
      onOpen: () => spoke.send({ type: 'demand', models: [] }),
      onMessage: (message) => tables.push(message),
      onClose: () => {},
    },
  );
  ends.push(() => spoke.stop());
  spoke.start();
  await until(() => handlers.fromRouters.length === 1, 'the demand');
  const session = handlers.opened[0];
  assert.ok(session?.role === 'router');
  session.send(table(1, 1));
  await until(() => tables.length === 1, 'the table');
  assert.deepEqual(tables, [table(1, 1)]);
});

test('the upgrade is refused without the path, with an Origin, without a token and with a wrong one', async () => {
  const handlers = recordingHandlers();
  const { port } = await startHub(handlers);
  assert.equal(await upgradeStatus(port, '/other', { authorization: 'Bearer good' }), 404);
  assert.equal(
    await upgradeStatus(port, '/link', { authorization: 'Bearer good', origin: 'http://evil.example' }),
    403,
  );
  assert.equal(await upgradeStatus(port, '/link', {}), 401);
  assert.equal(await upgradeStatus(port, '/link', { authorization: 'Basic Z29vZA==' }), 401);
  assert.deepEqual(handlers.tokens, []);
  assert.equal(await upgradeStatus(port, '/link', { authorization: 'Bearer refused' }), 401);
  assert.equal(await upgradeStatus(port, '/link', { authorization: 'Bearer good' }), 101);
  assert.deepEqual(handlers.tokens, ['refused', 'good']);
});

test('sessions above the bound, and tokens that cannot be reviewed, are answered with 503', async () => {
  const full = await startHub(recordingHandlers(), { sessionsMax: 1 });
  await rawSession(full.url);
  assert.equal(await upgradeStatus(full.port, '/link', { authorization: 'Bearer good' }), 503);
  const broken = await startHub(
    recordingHandlers({ authenticate: async () => Promise.reject(new Error('the API is down')) }),
  );
  assert.equal(await upgradeStatus(broken.port, '/link', { authorization: 'Bearer good' }), 503);
});

test('a plain request to the link port is 404', async () => {
  const { port } = await startHub(recordingHandlers());
  const status = await new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port, path: '/link' }, (response) => resolve(response.resume().statusCode))
      .once('error', reject)
      .end();
  });
  assert.equal(status, 404);
});

test('a spoke whose token is refused dials again with the token of that moment', async () => {
  const handlers = recordingHandlers();
  const { url } = await startHub(handlers);
  const tokens = ['refused', 'refused', 'good'];
  const agent = recordingSpoke(() => url, { token: async () => tokens.shift() ?? 'good' });
  await until(() => agent.opens.length === 1, 'the session');
  assert.deepEqual(handlers.tokens, ['refused', 'refused', 'good']);
});

test('the hub comes back on another port: the spoke follows, and tells the highest fence it has seen', async () => {
  const first = recordingHandlers();
  const before = await startHub(first, { epoch: 2 });
  let url = before.url;
  const agent = recordingSpoke(() => url);
  await until(() => first.opened.length === 1, 'the first session');
  first.opened[0]?.send(target(2, 9) as never);
  await until(() => agent.messages.length === 1, 'the target');
  const second = recordingHandlers();
  const after = await startHub(second, { epoch: 3 });
  url = after.url;
  await before.hub.stop();
  await until(() => second.opened.length === 1, 'the second session');
  assert.match(agent.closed[0] ?? '', /1001/);
  assert.deepEqual(second.opened[0]?.hello.fence, { epoch: 2, seq: 9 });
  for (const stale of [target(2, 8), target(2, 9), target(3, 1), target(3, 1), target(2, 100)])
    second.opened[0]?.send(stale as never);
  await until(() => agent.messages.length === 2, 'the new epoch');
  assert.deepEqual(agent.messages[1], target(3, 1));
});

test('a hub of an earlier epoch is not followed', async () => {
  const newer = await startHub(recordingHandlers(), { epoch: 5 });
  let url = newer.url;
  const agent = recordingSpoke(() => url);
  await until(() => agent.opens.length === 1, 'the session');
  const session = newer.hub.sessions()[0];
  session?.send(target(5, 1) as never);
  await until(() => agent.messages.length === 1, 'the target');
  const stale = recordingHandlers();
  url = (await startHub(stale, { epoch: 4 })).url;
  session?.close('go');
  await until(() => stale.closed.length === 1, 'the refusal');
  assert.match(stale.closed[0]?.reason ?? '', /epoch 4 is over: epoch 5 was seen/);
  assert.equal(agent.opens.length, 1);
});

test('the newer session of a slot takes the place of the older', async () => {
  const handlers = recordingHandlers();
  const { hub, url } = await startHub(handlers);
  const older = await rawSession(url);
  older.socket.send(JSON.stringify(agentHello('pod-7')));
  await until(() => handlers.opened.length === 1, 'the older');
  const newer = await rawSession(url);
  newer.socket.send(JSON.stringify(agentHello('pod-7')));
  assert.deepEqual(await older.closed, [1008, 'a newer session took its place']);
  await until(() => handlers.opened.length === 2, 'the newer');
  assert.deepEqual(hub.sessions(), [handlers.opened[1]]);
  assert.equal(handlers.closed[0]?.session, handlers.opened[0]);
  assert.equal(handlers.closed.length, 1);
});

test('what breaks the rules ends the session with 1008 and a sentence', async () => {
  const handlers = recordingHandlers({
    admit: (session) => (session.hello.name === 'slot-wrong' ? 'the Pod is not yours' : undefined),
  });
  const { url } = await startHub(handlers);
  const rows: [unknown[], RegExp][] = [
    [[report()], /the first message must be hello/],
    [[{ ...agentHello(), dataPort: 0 }], /bad hello at dataPort/],
    [[{ ...agentHello(), role: 'console' }], /bad hello at role/],
    [[{ ...routerHello(), versions: { min: 8, max: 9 } }], /^version 8 to 9 is offered/],
    [[agentHello('wrong')], /the Pod is not yours/],
    [[agentHello('twice'), agentHello('twice')], /hello came twice/],
    [[agentHello('bad'), { ...report(), instances: 7 }], /bad report at instances/],
  ];
  for (const [messages, reason] of rows) {
    const session = await rawSession(url);
    for (const message of messages) session.socket.send(JSON.stringify(message));
    const [code, said] = await session.closed;
    assert.equal(code, 1008);
    assert.match(said, reason);
  }
  assert.deepEqual(handlers.fromAgents, []);
  assert.deepEqual(
    handlers.opened.map((session) => session.hello.name),
    ['slot-twice', 'slot-bad'],
  );
});

test('an agent of another age is heard and told nothing', async () => {
  const handlers = recordingHandlers();
  const { url } = await startHub(handlers);
  for (const [podUid, versions, said] of [
    ['older', { min: 0, max: 0 }, 0],
    ['newer', { min: 7, max: 9 }, 7],
  ] as const) {
    const session = await rawSession(url);
    const welcome = once(session.socket, 'message');
    session.socket.send(JSON.stringify({ ...agentHello(podUid), versions }));
    assert.equal(JSON.parse(String((await welcome)[0])).version, said);
    session.socket.send(JSON.stringify(report()));
    await until(() => handlers.fromAgents.length > 0, 'its report');
    handlers.fromAgents.length = 0;
    assert.equal(handlers.opened.at(-1)?.send(target(1, 1) as never), false);
    session.socket.close();
  }
});

test('a session whose admission could not be decided is not opened', async () => {
  const handlers = recordingHandlers({
    admit: () => {
      throw new Error('broken promise');
    },
  });
  const { hub, url } = await startHub(handlers);
  const session = await rawSession(url);
  session.socket.send(JSON.stringify(agentHello()));
  assert.equal((await session.closed)[0], 1011);
  assert.deepEqual([hub.sessions().length, handlers.opened.length, handlers.closed.length], [0, 0, 0]);
});

test('an unknown type is ignored, and a frame above the bound ends the session with 1009', async () => {
  const handlers = recordingHandlers();
  const { url } = await startHub(handlers);
  const session = await rawSession(url);
  session.socket.send(JSON.stringify(agentHello()));
  session.socket.send(JSON.stringify({ type: 'weather' }));
  session.socket.send(JSON.stringify(report(3)));
  await until(() => handlers.fromAgents.length === 1, 'the report after it');
  session.socket.send(Buffer.alloc(4 * 1024 * 1024 + 1, 32), { binary: false });
  const [code] = await session.closed;
  assert.equal(code, 1009);
  await until(() => handlers.closed.length === 1, 'the end at the hub');
});

test('a handler that throws ends that session alone', async () => {
  const handlers = recordingHandlers({
    onAgentMessage: () => {
      throw new Error('broken promise');
    },
  });
  const { hub, url } = await startHub(handlers);
  const session = await rawSession(url);
  session.socket.send(JSON.stringify(agentHello('a')));
  const other = await rawSession(url);
  other.socket.send(JSON.stringify(agentHello('b')));
  session.socket.send(JSON.stringify(report()));
  assert.equal((await session.closed)[0], 1011);
  await until(() => hub.sessions().length === 1, 'the other one stays');
});

test('a session without hello ends after 10 s', async () => {
  const clock = createManualClock();
  const { url } = await startHub(recordingHandlers(), { clock });
  const { closed } = await rawSession(url);
  await until(() => clock.pendingTimers() === 2, 'the timers for hello and pings');
  clock.advance(9999);
  assert.equal(clock.pendingTimers(), 2);
  clock.advance(1);
  assert.deepEqual(await closed, [1008, 'no hello within 10000 ms']);
});

test('a peer that does not answer pings for 15 s is cut by the hub', async () => {
  const clock = createManualClock();
  const handlers = recordingHandlers();
  const { port } = await startHub(handlers, { clock });
  const socket = connect(port, '127.0.0.1');
  ends.push(() => void socket.destroy());
  await once(socket, 'connect');
  socket.write(
    'GET /link HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
      'Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nAuthorization: Bearer good\r\n\r\n',
  );
  await once(socket, 'data');
  const hello = Buffer.from(JSON.stringify(agentHello()));
  const mask = Buffer.from([0x81, 0x80 | 126, hello.length >> 8, hello.length & 255, 0, 0, 0, 0]);
  socket.write(Buffer.concat([mask, hello]));
  await until(() => handlers.opened.length === 1, 'the session');
  const gone = once(socket, 'close');
  clock.advance(14_999);
  assert.equal(handlers.closed.length, 0);
  clock.advance(1);
  assert.match(handlers.closed[0]?.reason ?? '', /silent for 15000 ms/);
  socket.resume();
  await gone;
});

test('a hub that falls silent is left after 15 s, one that answers pings is not', async () => {
  const clock = createManualClock();
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', autoPong: false });
  ends.push(() => new Promise((resolve) => server.close(() => resolve())));
  let pings = 0;
  let answers = true;
  server.on('connection', (socket) => {
    ends.push(() => socket.terminate());
    socket.on('ping', () => {
      pings += 1;
      if (answers) socket.pong();
    });
    socket.send(JSON.stringify({ type: 'welcome', version: 1, epoch: 1, session: 's' }));
  });
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const agent = recordingSpoke(() => `ws://127.0.0.1:${address.port}`, { clock });
  await until(() => agent.opens.length === 1, 'the session');
  for (let count = 1; count <= 6; count += 1) {
    clock.advance(5000);
    await until(() => pings === count, 'a ping');
    for (const socket of server.clients) await new Promise((resolve) => socket.send('{"type":"weather"}', resolve));
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual(agent.closed, []);
  answers = false;
  clock.advance(15_000);
  assert.match(agent.closed[0] ?? '', /silent for 15000 ms/);
});

test('a hub that never answers the dial, or never welcomes, is given up after 10 s and dialled again', async () => {
  const clock = createManualClock();
  let dials = 0;
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  ends.push(() => new Promise((resolve) => server.close(() => resolve())));
  server.on('connection', (socket) => {
    dials += 1;
    ends.push(() => socket.terminate());
  });
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const agent = recordingSpoke(() => `ws://127.0.0.1:${address.port}`, { clock });
  await until(() => dials === 1 && clock.pendingTimers() === 2, 'the first dial');
  clock.advance(10_000);
  for (let tries = 0; tries < 20 && dials < 2; tries += 1) {
    clock.advance(1000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await until(() => dials === 2, 'the second dial');
  assert.equal(agent.spoke.isConnected(), false);
  assert.deepEqual(agent.closed, []);
});

test('redials wait a random part of 200 ms, 1 s, then 5 s; a session that lived for 5 s makes them fast again', async () => {
  const clock = createManualClock();
  const delays: unknown[] = [];
  const log = { ...silentLog, warn: (fields: LogFields) => delays.push(fields.redialMs) };
  const { hub, url } = await startHub(recordingHandlers());
  let isThere = false;
  const options = {
    url: () => (isThere ? url : 'ws://127.0.0.1:1'),
    token: async () => 'good',
    hello: () => agentHello(),
  };
  const highest = { next: () => 0.999999, below: () => 0 };
  const spoke = createAgentSpoke(
    { ...options, clock, rng: highest, log },
    { onOpen: () => {}, onMessage: () => {}, onClose: () => {} },
  );
  ends.push(() => spoke.stop());
  spoke.start();
  for (let count = 1; count <= 5; count += 1) {
    await until(() => delays.length === count, 'a failed dial');
    if (count === 5) isThere = true;
    clock.advance(5000);
  }
  assert.deepEqual(delays, [200, 1000, 5000, 5000, 5000]);
  await until(() => spoke.isConnected(), 'the session');
  hub.sessions()[0]?.close('too young');
  await until(() => delays.length === 6, 'the end of the young session');
  clock.advance(5000);
  await until(() => spoke.isConnected(), 'the session');
  clock.advance(5000);
  hub.sessions()[0]?.close('old enough');
  await until(() => delays.length === 7, 'the end of the old session');
  assert.deepEqual(delays.slice(5), [5000, 200]);
});

test('a hub that stops says that it moves: spokes dial every 300 ms at most for 10 s, then as after any other end', async () => {
  const clock = createManualClock();
  const delays: unknown[] = [];
  const keep = (fields: LogFields) => {
    if (fields.redialMs !== undefined) delays.push(fields.redialMs);
  };
  const log = { ...silentLog, warn: keep, debug: keep };
  const { hub, url } = await startHub(recordingHandlers());
  const next = await startHub(recordingHandlers());
  let address = url;
  const options = { url: () => address, token: async () => 'good', hello: () => agentHello() };
  const highest = { next: () => 0.999999, below: () => 0 };
  const messages: unknown[] = [];
  const spoke = createAgentSpoke(
    { ...options, clock, rng: highest, log },
    { onOpen: () => {}, onMessage: (message) => messages.push(message), onClose: () => {} },
  );
  ends.push(() => spoke.stop());
  spoke.start();
  await until(() => spoke.isConnected(), 'the session');
  clock.advance(5000);
  address = 'ws://127.0.0.1:1';
  await hub.stop();
  for (let count = 1; count <= 4; count += 1) {
    await until(() => delays.length === count, 'a failed dial');
    clock.advance(300);
  }
  await until(() => delays.length === 5, 'a failed dial');
  clock.advance(10_000);
  for (let count = 6; count <= 8; count += 1) {
    await until(() => delays.length === count, 'a failed dial');
    if (count === 8) address = next.url;
    clock.advance(5000);
  }
  assert.deepEqual(delays, [300, 300, 300, 300, 300, 200, 1000, 5000]);
  await until(() => spoke.isConnected(), 'the session with the next one');
  assert.deepEqual(messages, []);
});

test('a token that cannot be read, a useless address and a stuck token source are tried again, and stop ends it', async () => {
  const clock = createManualClock();
  const reasons: unknown[] = [];
  const log = { ...silentLog, warn: (fields: LogFields) => reasons.push(fields.reason) };
  const tokens: (() => Promise<string>)[] = [
    () => Promise.reject(new Error('no such file')),
    () => Promise.resolve('two\nlines'),
    () => new Promise(() => {}),
  ];
  const spoke = createAgentSpoke(
    {
      url: () => 'ws://127.0.0.1:1',
      token: () => tokens.shift()?.() ?? Promise.resolve(''),
      hello: () => agentHello(),
      clock,
      rng: createRng(1),
      log,
    },
    { onOpen: () => {}, onMessage: () => {}, onClose: () => {} },
  );
  spoke.start();
  await until(() => reasons.length === 1, 'the unreadable token');
  clock.advance(5000);
  await until(() => reasons.length === 2, 'the useless token');
  clock.advance(5000);
  await until(() => clock.pendingTimers() === 1, 'the stuck token');
  clock.advance(10_000);
  await until(() => reasons.length === 3, 'the stuck token to be given up');
  assert.match(String(reasons[0]), /no such file/);
  assert.match(String(reasons[1]), /Invalid character/);
  assert.doesNotMatch(String(reasons[1]), /two/);
  assert.match(String(reasons[2]), /within 10000 ms/);
  await spoke.stop();
  assert.equal(clock.pendingTimers(), 0);
});

test('a receiver that does not read costs a bounded buffer: send says no and the session ends', async () => {
  const handlers = recordingHandlers();
  const { hub, url } = await startHub(handlers);
  const { socket } = await rawSession(url);
  socket.send(JSON.stringify(routerHello()));
  await until(() => handlers.opened.length === 1, 'the session');
  socket.pause();
  const session = handlers.opened[0];
  assert.ok(session?.role === 'router');
  const big = bigTable(1, 1, 1_000_000);
  let sent = 0;
  while (sent < 100 && session.send(big)) {
    sent += 1;
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(sent >= 4 && sent < 30, `${sent} MB went out before the hub said no`);
  assert.equal(handlers.closed.length, 1);
  assert.match(handlers.closed[0]?.reason ?? '', /does not read/);
  assert.deepEqual(hub.sessions(), []);
  assert.equal(session.send(big), false);
});

/** A token of a Pod, as a server makes it, that ends so soon. */
function podToken(serial: number, lifeMs: number, nowMs: number): string {
  const claims = { serial, iat: nowMs / 1000, exp: (nowMs + lifeMs) / 1000 };
  return `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.c2ln`;
}

test('a session ends with its token', async () => {
  const clock = createManualClock();
  const handlers = recordingHandlers();
  const authenticate = async () => ({ username: 'user', expiresAtMs: clock.wallMs() + 60_000 });
  const { url } = await startHub({ ...handlers, authenticate }, { clock });
  const { socket, closed } = await rawSession(url);
  socket.send(JSON.stringify(agentHello()));
  await until(() => handlers.opened.length === 1, 'the session');
  for (let second = 1; second < 60; second += 1) {
    clock.advance(1000);
    socket.ping();
    await once(socket, 'pong');
  }
  assert.equal(socket.readyState, socket.OPEN);
  clock.advance(1000);
  assert.deepEqual(await closed, [1008, 'the token has expired']);
});

test('a spoke with a new token takes its own place before the old one ends, and is never away', async () => {
  const clock = createManualClock();
  const handlers = recordingHandlers();
  const { url, hub } = await startHub(handlers);
  let serial = 1;
  const beganMs = clock.wallMs();
  const token = async () => podToken(serial, 600_000 * serial, beganMs);
  const { spoke, opens, messages } = recordingSpoke(() => url, { clock, token });
  await until(() => spoke.isConnected(), 'the first session');
  const first = handlers.opened[0];
  clock.advance(595_000);
  await until(() => clock.pendingTimers() > 0, 'its next look at the token');
  assert.equal(handlers.opened.length, 1, 'the token is still the same');
  serial = 2;
  clock.advance(5000);
  await until(() => opens.length === 2, 'the next session');
  assert.equal(spoke.isConnected(), true);
  await until(() => hub.sessions().length === 1 && hub.sessions()[0] !== first, 'the first one to be gone');
  const [session] = hub.sessions();
  if (session?.role === 'agent') session.send(target(1, 1));
  await until(() => messages.length === 1, 'a message over the new session');
});

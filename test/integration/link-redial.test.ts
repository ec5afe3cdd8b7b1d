// What ends a session of the link in time: silence, a lost peer, an old token, a full socket; and how it is dialled again.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { type WebSocket, WebSocketServer } from 'ws';
import { createManualClock, type ManualClock } from '../../src/lib/clock.ts';
import { type LogFields, silentLog } from '../../src/lib/log.ts';
import { createRng } from '../../src/lib/rng.ts';
import { createAgentSpoke } from '../../src/link/spoke.ts';
import { ends, rawSession, recordingSpoke, startHub } from '../support/link-ends.ts';
import { agentHello, bigTable, recordingHandlers, routerHello, target } from '../support/link-messages.ts';
import { until } from '../support/until.ts';

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

/** Time passes for a session that says something all the while. */
async function passTime(clock: ManualClock, socket: WebSocket, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 5000) {
    clock.advance(Math.min(5000, left));
    if (socket.readyState !== socket.OPEN) return;
    socket.ping();
    await Promise.race([once(socket, 'pong'), once(socket, 'close')]);
  }
}

test('a session ends with its token', async () => {
  const clock = createManualClock();
  const handlers = recordingHandlers();
  const expiresAtMs = clock.wallMs() + 600_000;
  const authenticate = async () => (clock.wallMs() < expiresAtMs ? { username: 'user', expiresAtMs } : undefined);
  const { url } = await startHub({ ...handlers, authenticate }, { clock });
  const { socket, closed } = await rawSession(url);
  socket.send(JSON.stringify(agentHello()));
  await until(() => handlers.opened.length === 1, 'the session');
  await passTime(clock, socket, 599_000);
  assert.equal(socket.readyState, socket.OPEN);
  clock.advance(1000);
  assert.deepEqual(await closed, [1008, 'the token has expired']);
});

test('a clock that is ahead ends no session whose token the server accepts, and asks for it every few minutes at most', async () => {
  const clock = createManualClock();
  const handlers = recordingHandlers();
  const expiresAtMs = clock.wallMs() - 3_600_000;
  let [reviews, isAway, isAccepted] = [0, false, true];
  const authenticate = async () => {
    reviews += 1;
    if (isAway) throw new Error('the server is away');
    return isAccepted ? { username: 'user', expiresAtMs } : undefined;
  };
  const { url } = await startHub({ ...handlers, authenticate }, { clock });
  const { socket, closed } = await rawSession(url);
  socket.send(JSON.stringify(agentHello()));
  await until(() => handlers.opened.length === 1, 'the session');
  await passTime(clock, socket, 610_000);
  assert.deepEqual([socket.readyState, reviews], [socket.OPEN, 3]);
  isAway = true;
  await passTime(clock, socket, 300_000);
  assert.deepEqual([socket.readyState, reviews], [socket.OPEN, 4]);
  [isAway, isAccepted] = [false, false];
  await passTime(clock, socket, 285_000);
  clock.advance(5000);
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

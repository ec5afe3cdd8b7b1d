// Who opens a session of the link, what is said on it, and what ends it at once.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { test } from 'node:test';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { createRng } from '../../src/lib/rng.ts';
import { createRouterSpoke } from '../../src/link/spoke.ts';
import { ends, rawSession, recordingSpoke, startHub, upgradeStatus } from '../support/link-ends.ts';
import { agentHello, recordingHandlers, report, routerHello, table, target } from '../support/link-messages.ts';
import { until } from '../support/until.ts';

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

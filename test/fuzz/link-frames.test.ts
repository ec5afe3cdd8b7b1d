// Whatever bytes come in, neither end throws, and both still work afterwards.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { WebSocket, WebSocketServer } from 'ws';
import { agentToHubSchema, hubToAgentSchema, hubToRouterSchema, routerToHubSchema } from '../../src/api/link.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { createFrameParser } from '../../src/link/frames.ts';
import { createHub } from '../../src/link/hub.ts';
import { createAgentSpoke } from '../../src/link/spoke.ts';
import type { Hub } from '../../src/ports/link.ts';
import { agentHello, recordingHandlers, report, target } from '../support/link-messages.ts';
import { until } from '../support/until.ts';

const parsers = [agentToHubSchema, routerToHubSchema, hubToAgentSchema, hubToRouterSchema].map((union) =>
  createFrameParser(union),
);
const types = [
  'hello',
  'report',
  'demand',
  'acknowledge',
  'welcome',
  'target',
  'withdrawn',
  'table',
  '__proto__',
  'constructor',
];
/** Objects that look like messages, with wrong values in the right places. */
const lookalike = fc
  .tuple(
    fc.constantFrom(...types),
    fc.dictionary(
      fc.constantFrom('epoch', 'seq', 'instances', 'keys', 'fence', 'models', 'role', 'versions', '__proto__'),
      fc.jsonValue(),
    ),
  )
  .map(([type, rest]) => JSON.stringify({ ...rest, type }));
const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 200 }).map((each) => Buffer.from(each)),
  fc.json().map((text) => Buffer.from(text)),
  lookalike.map((text) => Buffer.from(text)),
);

let hub: Hub;
let url: string;
const handlers = recordingHandlers();

before(async () => {
  hub = createHub(
    { host: '127.0.0.1', port: 0, epoch: 1, clock: systemClock, log: silentLog, release: '0.1.0' },
    handlers,
  );
  url = `ws://127.0.0.1:${(await hub.start()).port}`;
});
after(() => hub.stop());

test('parsers never throw, and what they let through is a message', () => {
  fc.assert(
    fc.property(bytes, fc.boolean(), (frame, isBinary) => {
      for (const parse of parsers) {
        const parsed = parse(frame, isBinary);
        if (parsed.kind === 'message') assert.ok(types.includes(parsed.message.type));
      }
    }),
    { numRuns: 3000 },
  );
});

test('the hub survives random frames, before and after hello', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(bytes, fc.boolean()), { minLength: 1, maxLength: 5 }),
      fc.boolean(),
      async (frames, saysHello) => {
        const socket = new WebSocket(`${url}/link`, { headers: { authorization: 'Bearer good' } });
        socket.on('error', () => {});
        await once(socket, 'open');
        if (saysHello) socket.send(JSON.stringify(agentHello('fuzzed')));
        for (const [frame, binary] of frames) socket.send(frame, { binary });
        socket.close(1000);
        await once(socket, 'close');
      },
    ),
    { numRuns: 150 },
  );
  await until(() => hub.sessions().length === 0, 'the fuzzed sessions to end');
  const socket = new WebSocket(`${url}/link`, { headers: { authorization: 'Bearer good' } });
  await once(socket, 'open');
  socket.send(JSON.stringify(agentHello('sane')));
  const before = handlers.fromAgents.length;
  socket.send(JSON.stringify(report(1)));
  await until(() => handlers.fromAgents.length === before + 1, 'the sane report');
  socket.terminate();
});

test('the hub survives bytes that are not even frames', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 400 }), async (garbage) => {
      const socket = new WebSocket(`${url}/link`, { headers: { authorization: 'Bearer good' } });
      const raw = new Promise<void>((resolve) =>
        socket.once('upgrade', (response) => {
          response.socket.write(garbage);
          response.socket.end();
          resolve();
        }),
      );
      socket.on('error', () => {});
      await raw;
      await once(socket, 'close');
    }),
    { numRuns: 60 },
  );
});

test('a spoke survives random frames from its hub and ends up with a good session', async () => {
  const frames = fc.sample(bytes, { numRuns: 300, seed: 7 });
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  server.on('connection', (socket) => {
    const isLast = frames.length === 0;
    const chosen = frames.splice(0, 10);
    socket.on('error', () => {});
    if (isLast || chosen.length % 2 === 0)
      socket.send(JSON.stringify({ type: 'welcome', version: 1, epoch: 1, session: 's' }));
    for (const frame of chosen) socket.send(frame, { binary: false });
    if (isLast) socket.send(JSON.stringify(target(9_000_000_000_000, 1)));
    else socket.close();
  });
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const messages: { epoch: number }[] = [];
  const eager = { next: () => 0, below: () => 0 };
  const spoke = createAgentSpoke(
    {
      url: () => `ws://127.0.0.1:${address.port}`,
      token: async () => 'good',
      hello: () => agentHello(),
      clock: systemClock,
      rng: eager,
      log: silentLog,
    },
    { onOpen: () => {}, onMessage: (message) => messages.push(message), onClose: () => {} },
  );
  spoke.start();
  await until(() => messages.some((message) => message.epoch === 9_000_000_000_000), 'the last target');
  await spoke.stop();
  await new Promise((resolve) => server.close(resolve));
});

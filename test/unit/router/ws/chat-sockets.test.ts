// Messages of WebSockets that wait for the parser, with a parser that waits for the test.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { MessageFault, SocketMessage } from '../../../../src/core/route/socket-message.ts';
import { createManualClock } from '../../../../src/lib/clock.ts';
import { silentLog } from '../../../../src/lib/log.ts';
import { fail, type Result } from '../../../../src/lib/result.ts';
import { routerBounds } from '../../../../src/router/bounds.ts';
import type { RouterContext } from '../../../../src/router/context.ts';
import { createBodyBudget } from '../../../../src/router/stage/limit.ts';
import { createChatSockets } from '../../../../src/router/ws/chat-sockets.ts';
import { createMetrics } from '../../../../src/telemetry/metrics.ts';
import { openChat } from '../../../support/chat-client.ts';
import { until } from '../../../support/until.ts';

const LARGE = 1_000_000;
const BODIES_BYTES_MAX = 2_500_000;
const fault: MessageFault = { code: 'invalid_message', message: 'It is wrong.', param: null, ref: null };

async function setUp() {
  const atParser: PromiseWithResolvers<Result<SocketMessage, MessageFault>>[] = [];
  const budget = createBodyBudget(BODIES_BYTES_MAX);
  let held = 0;
  const context: Partial<RouterContext> = {
    ...{ clock: createManualClock(), log: silentLog, metrics: createMetrics(), bounds: routerBounds },
    door: { apiKeys: undefined, hosts: new Set() },
    bodies: {
      take(bytes) {
        const isTaken = budget.take(bytes);
        if (isTaken) held += bytes;
        return isTaken;
      },
      giveBack(bytes) {
        held -= bytes;
        budget.giveBack(bytes);
      },
    },
    parser: {
      parse: () => Promise.reject(new Error('there is no body')),
      parseMessage() {
        const asked = Promise.withResolvers<Result<SocketMessage, MessageFault>>();
        atParser.push(asked);
        return asked.promise;
      },
      stop: async () => {},
    },
    isDraining: () => false,
  };
  const sockets = createChatSockets(context as RouterContext);
  const server = createServer().on('upgrade', (request, duplex, head) => sockets.onUpgrade(request, duplex, head));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    atParser,
    held: () => held,
    async sendLarge() {
      const client = await openChat(`http://127.0.0.1:${port}`);
      client.say('x'.repeat(LARGE));
      return client;
    },
    async stop() {
      await sockets.close();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

describe('messages that wait for the parser', () => {
  let world: Awaited<ReturnType<typeof setUp>>;
  beforeEach(async () => {
    world = await setUp();
  });
  afterEach(() => world.stop());

  test('are among the bodies of all requests, until they are read', async () => {
    const { atParser, held, sendLarge } = world;
    const first = await sendLarge();
    const second = await sendLarge();
    await until(() => atParser.length === 2, 'both at the parser');
    assert.equal(held(), 2 * LARGE);
    const third = await sendLarge();
    assert.equal((await third.closed).code, 1013);
    assert.equal(held(), 2 * LARGE);
    atParser[0]?.resolve(fail(fault));
    await first.seen(({ type }) => type === 'error', 'its fault');
    assert.equal(held(), LARGE);
    atParser[1]?.reject(new Error('the worker is gone'));
    assert.equal((await second.closed).code, 1011);
    assert.equal(held(), 0);
  });

  test('are among them also when their WebSocket ends before', async () => {
    const { atParser, held, sendLarge } = world;
    const client = await sendLarge();
    await until(() => atParser.length === 1, 'it is at the parser');
    client.socket.terminate();
    await client.closed;
    assert.equal(held(), LARGE);
    atParser[0]?.resolve(fail(fault));
    await until(() => held() === 0, 'its room is free');
  });
});

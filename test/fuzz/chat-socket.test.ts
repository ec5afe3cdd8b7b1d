// Whatever comes in on a WebSocket, as messages or as raw bytes: the router lives, other sockets do not notice, and what it
// says are events of known types.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { messageFaultCodes, parseSocketMessage } from '../../src/core/route/socket-message.ts';
import { openChat } from '../support/chat-client.ts';
import { type FakeSlot, startFakeSlot } from '../support/fake-slot.ts';
import { type RunningRouter, startRouter } from '../support/running-router.ts';

const kept = (
  JSON.parse(readFileSync(new URL('./fixtures/socket-messages.json', import.meta.url), 'utf8')) as { text: string }[]
).map(({ text }) => text);
const types = ['chat.create', 'cancel', 'resume', 'chat.done', '__proto__', 'toString', ''];
const ids = ['a', 'b', 'c', 'x'.repeat(64), 'x'.repeat(65), '', '"', '\u0000'];
const body = fc.oneof(
  fc.constant({ model: 'demo', messages: [{ role: 'user', content: 'x' }] }),
  fc.dictionary(fc.constantFrom('model', 'messages', 'stream', 'stream_options', 'n'), fc.jsonValue()),
  fc.jsonValue(),
);
const lookalike = fc
  .record(
    {
      type: fc.oneof(fc.constantFrom(...types), fc.jsonValue()),
      id: fc.oneof(fc.constantFrom(...ids), fc.jsonValue()),
      body,
      after: fc.jsonValue(),
    },
    { requiredKeys: [] },
  )
  .map((message) => JSON.stringify(message));
const messages = fc.oneof(fc.string(), fc.json(), lookalike, lookalike, fc.constantFrom(...kept));

test('parsing never throws, and what it lets through has an id that is safe in an event', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        messages.map((text) => Buffer.from(text)),
        fc.uint8Array({ maxLength: 200 }),
      ),
      (bytes) => {
        const parsed = parseSocketMessage(bytes);
        if (!parsed.ok) {
          assert.ok(messageFaultCodes.includes(parsed.error.code));
          assert.match(parsed.error.message, /\.$/);
          return;
        }
        assert.equal(JSON.stringify(parsed.value.id), `"${parsed.value.id}"`);
        if (parsed.value.type !== 'chat.create') return;
        const { bodyStart, bodyEnd } = parsed.value;
        const inside: unknown = JSON.parse(Buffer.from(bytes).subarray(bodyStart, bodyEnd).toString('utf8'));
        assert.equal(typeof inside, 'object');
      },
    ),
    { numRuns: 5000 },
  );
});

let slot: FakeSlot;
let router: RunningRouter;
before(async () => {
  slot = await startFakeSlot();
  router = await startRouter({ bounds: { webSocketNuisancesMax: 10 } });
  router.table({ endpoints: [{ address: slot.address, share: 64 }] });
  slot.onCall = (call) => call.stream('x');
});
after(async () => {
  await router.close();
  await slot.close();
});

async function assertServes(): Promise<void> {
  const client = await openChat(router.url);
  client.create('alive');
  assert.equal((await client.ended('alive')).type, 'chat.done');
  await client.close();
}

test('random messages are answered with events, or close their own socket', async () => {
  const frame = fc.record({ text: messages, isBinary: fc.boolean(), mayBeBinary: fc.nat(9) });
  await fc.assert(
    fc.asyncProperty(fc.array(frame, { minLength: 1, maxLength: 12 }), async (frames) => {
      const client = await openChat(router.url);
      for (const { text, isBinary, mayBeBinary } of frames) {
        client.socket.send(Buffer.from(text), { binary: isBinary && mayBeBinary === 0 });
      }
      await client.close();
      for (const event of client.events) {
        assert.ok(['chat.queued', 'chat.chunk', 'chat.done', 'error'].includes(event.type));
        assert.equal(event.seq === null, event.id === null);
        assert.notEqual(event.error?.code, 'internal_error');
      }
    }),
    { numRuns: 150 },
  );
  await assertServes();
});

/** Frames as they are on the wire, right and wrong: any first byte, any length, masked or not, cut anywhere. */
const rawFrame = fc
  .record({
    first: fc.oneof(fc.constantFrom(0x81, 0x01, 0x00, 0x80, 0x89, 0x8a, 0x88, 0xc1), fc.nat(255)),
    masked: fc.boolean(),
    payload: fc.oneof(
      fc.uint8Array({ maxLength: 130 }),
      messages.map((text) => new Uint8Array(Buffer.from(text))),
    ),
    claimed: fc.option(fc.nat(127), { nil: undefined }),
  })
  .map(({ first, masked, payload, claimed }) => {
    const length = claimed ?? Math.min(payload.length, 125);
    const mask = masked ? Buffer.alloc(4) : Buffer.alloc(0);
    return Buffer.concat([Buffer.from([first, length | (masked ? 0x80 : 0)]), mask, payload.subarray(0, 125)]);
  });

test('random bytes after the upgrade end their own socket at most', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(rawFrame, { minLength: 1, maxLength: 6 }), async (frames) => {
      const socket = connect(router.port, '127.0.0.1');
      socket.on('error', () => {});
      const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
      socket.write(
        'GET /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n' +
          'sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
      );
      await new Promise((resolve) => socket.once('data', resolve));
      socket.resume();
      socket.end(Buffer.concat(frames));
      await closed;
    }),
    { numRuns: 150 },
  );
  await assertServes();
  assert.equal(
    router.lines.some(({ outcome }) => outcome === 'internal_error'),
    false,
  );
  await router.demanded((demand) => demand.inFlight === 0 && demand.queued === 0, 'nothing left');
});

// Two hundred requests on four sockets, with random cancels, a reader that stops reading, and a socket that is cut: events in
// order, one end for each request, bounded memory, and nothing left behind. The seed is printed; STOKER_SEED replays it.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createRng } from '../../src/lib/rng.ts';
import { type ChatClient, type ChatEvent, openChat, question } from '../support/chat-client.ts';
import { type FakeSlot, type SlotCall, startFakeSlot } from '../support/fake-slot.ts';
import { type RunningRouter, startRouter } from '../support/running-router.ts';
import { until } from '../support/until.ts';

const seed = Number(process.env.STOKER_SEED ?? Math.floor(Math.random() * 1e9));
const EACH = 50;
const PIECES = 60;
const PIECE_CHARS = 8000;
/** To whoever does not read: 240 MB in all, far more than there may be in memory. */
const PIECES_UNREAD = 600;

let slot: FakeSlot;
let router: RunningRouter;

beforeEach(async () => {
  slot = await startFakeSlot();
  // How long a reader may stand still has a test of its own.
  router = await startRouter({ bounds: { webSocketStallMsMax: 60_000 } });
  router.table({ endpoints: [{ address: slot.address, share: 4 * EACH }], models: [{ concurrency: 4 * EACH }] });
});
afterEach(async () => {
  await router.close();
  await slot.close();
});

/** Numbered pieces, as fast as the router takes them. */
function streamPieces(call: SlotCall): void {
  const pieces = call.body.includes('"user":"unread"') ? PIECES_UNREAD : PIECES;
  let piece = 0;
  const more = () => {
    while (piece < pieces && !call.response.destroyed) {
      call.content(`${piece}:${'x'.repeat(PIECE_CHARS)};`);
      piece += 1;
      if (call.response.writableNeedDrain) {
        call.response.once('drain', () => setImmediate(more));
        return;
      }
    }
    if (!call.response.destroyed) call.finish();
  };
  more();
}

function assertInOrder(id: string, events: readonly ChatEvent[]): void {
  assert.deepEqual(
    events.map(({ seq }) => seq),
    events.map((_, index) => index + 1),
    id,
  );
  const pieces = events.flatMap(({ chunk }) => /^(\d+):/.exec(chunk?.choices[0]?.delta.content ?? '')?.[1] ?? []);
  assert.deepEqual(
    pieces.map(Number),
    pieces.map((_, index) => index),
    id,
  );
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** What is really held: without what only waits to be collected. */
function bufferBytes(): number {
  collectGarbage();
  return process.memoryUsage().arrayBuffers;
}

function isEnd({ type }: ChatEvent): boolean {
  return type === 'chat.done' || type === 'error';
}

/** Every request has exactly one end, as its last event; a whole one has all of its pieces. */
function assertEnded(client: ChatClient, ids: readonly string[], pieces: number): void {
  for (const id of ids) {
    const events = client.of(id);
    assertInOrder(id, events);
    assert.deepEqual([events.filter(isEnd).length, isEnd(events.at(-1)!)], [1, true], id);
    const last = events.at(-1);
    if (last?.type === 'chat.done' && last.canceled !== true) {
      assert.equal(events.filter(({ chunk }) => chunk?.choices[0]?.delta.content?.includes(':')).length, pieces);
    }
  }
}

test(`a crowd on four sockets (seed ${seed})`, { timeout: 60_000 }, async (t) => {
  const rng = createRng(seed);
  slot.onCall = streamPieces;
  const clients = await Promise.all(Array.from({ length: 4 }, () => openChat(router.url)));
  t.after(() => clients.forEach(({ socket }) => void socket.terminate()));
  const [first, second, slow, cut] = clients as [ChatClient, ChatClient, ChatClient, ChatClient];
  const idsOf = (client: ChatClient) => Array.from({ length: EACH }, (_, n) => `s${clients.indexOf(client)}.r${n}`);
  const beforeBytes = bufferBytes();
  let mostBytes = 0;

  slow.socket.pause();
  for (let n = 0; n < EACH; n += 1) {
    for (const client of clients) {
      client.create(idsOf(client)[n]!, { ...question, user: client === slow ? 'unread' : 'read' });
    }
  }
  const cancels = [first, second].flatMap((client) =>
    idsOf(client)
      .filter(() => rng.next() < 0.3)
      .map((id) => ({ client, id })),
  );
  for (const { client, id } of cancels) {
    await until(
      () => client.of(id).length > Math.floor(rng.next() * 10) || client.of(id).some(isEnd),
      `news of ${id}`,
      30_000,
    );
    client.say({ type: 'cancel', id });
    mostBytes = Math.max(mostBytes, bufferBytes() - beforeBytes);
    if (!cut.socket.isPaused && cut.events.length > 200) cut.socket.terminate();
  }
  cut.socket.terminate();
  for (const client of [first, second]) {
    await until(() => idsOf(client).every((id) => client.of(id).some(isEnd)), 'every end', 30_000);
    assertEnded(client, idsOf(client), PIECES);
  }
  // Whoever did not read is told what became of its requests, when it reads again.
  slow.socket.resume();
  await until(() => idsOf(slow).every((id) => slow.of(id).some(isEnd)), 'every end of the slow one', 30_000);
  assertEnded(slow, idsOf(slow), PIECES_UNREAD);
  assert.ok(slow.events.some(({ error }) => error?.code === 'slow_consumer'));
  for (const id of idsOf(cut)) assertInOrder(id, cut.of(id));

  await until(() => router.lines.filter(({ route }) => route === 'chat-socket').length === 4 * EACH, 'a line for each');
  await router.demanded((demand) => demand.inFlight === 0 && demand.queued === 0, 'nothing left');
  await until(
    () => slot.calls.every(({ response }) => response.destroyed || response.closed),
    'every instance is free',
  );
  t.diagnostic(`most bytes in buffers: ${(mostBytes / 2 ** 20).toFixed(1)} MiB`);
  // Buffers of the instances and of the clients are in this process as well.
  assert.ok(mostBytes < 128 * 2 ** 20, `${mostBytes} bytes`);
});

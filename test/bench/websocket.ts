// Do slow readers slow others? Four sockets with fifty streams each, every stream a piece each 20 ms. In every other round one
// of the sockets is never read. Prints the gaps between pieces that the three others see, and the ratio of the rounds, all from
// one run. `npm run bench:websocket`; nothing is asserted.
import { openChat, question } from '../support/chat-client.ts';
import { type SlotCall, startFakeSlot } from '../support/fake-slot.ts';
import { startRouter } from '../support/running-router.ts';

const ROUNDS = 6;
const EACH = 50;
const PIECES = 150;
const EVERY_MS = 20;
/** Large enough that a socket nobody reads is full after about a second. */
const PIECE = 'x'.repeat(1500);

const slot = await startFakeSlot();
const router = await startRouter();
router.table({ endpoints: [{ address: slot.address, share: 4 * EACH }], models: [{ concurrency: 4 * EACH }] });

slot.onCall = (call: SlotCall) => {
  let piece = 0;
  const timer = setInterval(() => {
    if (call.response.destroyed) return clearInterval(timer);
    call.content(PIECE);
    piece += 1;
    if (piece < PIECES) return;
    clearInterval(timer);
    call.finish();
  }, EVERY_MS);
};

/** The gaps that the three sockets see that are read. */
async function round(withSlow: boolean): Promise<number[]> {
  const clients = await Promise.all(Array.from({ length: 4 }, () => openChat(router.url)));
  const [slow, ...fast] = clients;
  const gaps: number[] = [];
  let open = fast.length * EACH;
  const finished = Promise.withResolvers<void>();
  for (const client of fast) {
    const last = new Map<string, number>();
    client.socket.removeAllListeners('message');
    client.socket.on('message', (bytes: Buffer) => {
      const { type, id } = JSON.parse(bytes.toString('utf8')) as { type: string; id: string };
      const nowMs = performance.now();
      const beforeMs = last.get(id);
      last.set(id, nowMs);
      if (type === 'chat.chunk' && beforeMs !== undefined) gaps.push(nowMs - beforeMs);
      if (type === 'chat.done') open -= 1;
      if (open === 0) finished.resolve();
    });
  }
  if (slow === undefined) throw new Error('There are four sockets.');
  if (withSlow) slow.socket.pause();
  else slow.socket.removeAllListeners('message');
  for (let n = 0; n < EACH; n += 1) for (const client of clients) client.create(`r${n}`, question);
  await finished.promise;
  for (const client of clients) client.socket.terminate();
  return gaps;
}

function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

function describe(name: string, gaps: number[]): { p50: number; p99: number } {
  const sorted = gaps.sort((one, other) => one - other);
  const [p50, p99] = [percentile(sorted, 0.5), percentile(sorted, 0.99)];
  console.log(`${name}: ${sorted.length} gaps, p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`);
  return { p50, p99 };
}

// The first round warms up and is not counted.
await round(false);
const seen: { slow: number[]; read: number[] } = { slow: [], read: [] };
for (let n = 0; n < ROUNDS; n += 1) {
  const gaps = await round(n % 2 === 1);
  for (const gap of gaps) (n % 2 === 1 ? seen.slow : seen.read).push(gap);
}
const read = describe('all four sockets read ', seen.read);
const slow = describe('one socket is not read', seen.slow);
console.log(
  `ratio with and without a slow reader: p50 ${(slow.p50 / read.p50).toFixed(2)}, p99 ${(slow.p99 / read.p99).toFixed(2)}`,
);
const cut = router.lines.filter(({ outcome }) => outcome === 'slow_consumer').length;
console.log(`requests of the unread socket that ended as slow_consumer: ${cut} of ${(ROUNDS / 2) * EACH}`);
await router.close();
await slot.close();

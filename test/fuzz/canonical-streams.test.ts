// Whatever an instance sends as a stream: the caller gets whole events, and a truthful end. Over HTTP [DONE] or one error and
// never both; on a WebSocket `chat.done` or `error`, and never both.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { request } from 'undici';
import { frameKinds } from '../../src/api/data-path.ts';
import { type ChatClient, openChat } from '../support/chat-client.ts';
import { type FakeSlot, startFakeSlot } from '../support/fake-slot.ts';
import { type RunningRouter, startRouter } from '../support/running-router.ts';

const question = { model: 'demo', messages: [{ role: 'user', content: 'x' }], stream: true };
const chunk = { id: 'a', choices: [{ index: 0, delta: { content: 'text' } }] };

/** Frames that may be out of order, of any kind, with data that may be none, cut into any pieces. */
const frame = fc.record({
  kind: fc.oneof(fc.constantFrom(...frameKinds), fc.constant('content' as const), fc.constant('unheard' as const)),
  data: fc.oneof(
    fc.constantFrom(
      JSON.stringify(chunk),
      '[DONE]',
      '{}',
      '{"error":{"code":"upstream_failed","message":"It broke."}}',
    ),
    fc.json(),
    fc.string({ unit: 'grapheme' }),
  ),
  skip: fc.oneof({ weight: 20, arbitrary: fc.constant(0) }, fc.nat(2)),
});
const stream = fc.record({
  frames: fc.array(frame, { maxLength: 8 }),
  endsWell: fc.boolean(),
  noise: fc.option(fc.uint8Array({ maxLength: 30 }), { nil: undefined }),
  cuts: fc.array(fc.nat(), { maxLength: 6 }),
  breaksOff: fc.boolean(),
});
type Stream = typeof stream extends fc.Arbitrary<infer T> ? T : never;

/** Found once: content, and a last frame that does not say [DONE]. */
const doneWithoutTheWord: Stream = {
  frames: [
    { kind: 'content', data: JSON.stringify(chunk), skip: 0 },
    { kind: 'done', data: '[]', skip: 0 },
  ],
  endsWell: false,
  noise: undefined,
  cuts: [],
  breaksOff: false,
};

function render({ frames, endsWell, noise }: Stream): Buffer {
  let number = 0;
  const lines = frames.map(({ kind, data, skip }) => {
    number += 1 + skip;
    return `: ${number} ${kind}\ndata: ${data}\n\n`;
  });
  const end = [`: ${number + 1} content\ndata: ${JSON.stringify(chunk)}\n\n`, `: ${number + 2} done\ndata: [DONE]\n\n`];
  return Buffer.concat([Buffer.from([...lines, ...(endsWell ? end : [])].join('')), Buffer.from(noise ?? [])]);
}

function cutAt(bytes: Buffer, places: readonly number[]): Buffer[] {
  const at = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((one, other) => one - other);
  return [0, ...at].map((start, index) => bytes.subarray(start, at[index] ?? bytes.length));
}

function isJson({ frames }: Stream): boolean {
  return frames.every(({ data }) => {
    try {
      return data === '[DONE]' || JSON.parse(data) !== undefined;
    } catch {
      return false;
    }
  });
}

let slot: FakeSlot;
let router: RunningRouter;
let client: ChatClient;
let next: Stream;
before(async () => {
  slot = await startFakeSlot();
  // One attempt each, and an instance that failed is asked again at once.
  router = await startRouter({ bounds: { attemptsMax: 1 } });
  slot.onCall = (call) => {
    call.response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const piece of cutAt(render(next), next.cuts)) call.response.write(piece);
    if (next.breaksOff) setImmediate(() => call.cut());
    else call.response.end();
  };
  client = await openChat(router.url);
});
after(async () => {
  await client.close();
  await router.close();
  await slot.close();
});

/** A fresh instance each time: one that failed would be left alone for a while. */
let serial = 0;
function freshInstance(given: Stream): void {
  next = given;
  serial += 1;
  router.table({ endpoints: [{ address: slot.address, instance: `pod-0/demo-1/${serial}` }] });
}

test('over HTTP', async () => {
  await fc.assert(
    fc.asyncProperty(stream, async (given) => {
      freshInstance(given);
      const answer = await request(`${router.url}/v1/chat/completions`, {
        method: 'POST',
        body: JSON.stringify(question),
      });
      const text = await answer.body.text();
      if (answer.statusCode !== 200) {
        assert.match(text, /"code":"upstream_(failed|garbled)"/);
        return;
      }
      assert.ok(text.endsWith('\n\n'));
      const events = text.split('\n\n').slice(0, -1);
      assert.ok(events.every((event) => event.startsWith('data: ') && !event.includes('\n')));
      const ends = events.filter((event) => event === 'data: [DONE]' || event.includes('"code":"upstream_'));
      assert.ok(ends.length >= 1, text);
      assert.ok(ends.includes(events.at(-1)!), text);
    }),
    { numRuns: 300, examples: [[doneWithoutTheWord]] },
  );
  assert.equal(
    router.lines.some(({ outcome }) => outcome === 'internal_error'),
    false,
  );
});

// Data that is no JSON is left out here: the agent parses every chunk, so that its frames always are.
test('on a WebSocket', async () => {
  await fc.assert(
    fc.asyncProperty(stream.filter(isJson), async (given) => {
      freshInstance(given);
      client.events.length = 0;
      const { stream: _, ...body } = question;
      client.create('a', body);
      await client.ended('a');
      const events = client.of('a');
      assert.deepEqual(
        events.map(({ seq }) => seq),
        events.map((_, index) => index + 1),
      );
      assert.equal(events.filter(({ type }) => type === 'chat.done' || type === 'error').length, 1);
      assert.notEqual(events.at(-1)?.error?.code, 'internal_error');
    }),
    { numRuns: 300 },
  );
});

// The event stream reader of `stoker chat` gives the same items however the bytes are cut.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { EVENT_CHARS_MAX, readSse, type SseItem } from '../../../src/cli/sse.ts';

async function* pieces(bytes: Uint8Array, cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  let from = 0;
  for (const cut of [...cuts].sort((a, b) => a - b)) {
    if (cut > from && cut < bytes.length) {
      yield bytes.subarray(from, cut);
      from = cut;
    }
  }
  yield bytes.subarray(from);
}

async function read(bytes: Uint8Array, cuts: readonly number[] = []): Promise<SseItem[]> {
  const items: SseItem[] = [];
  for await (const item of readSse(pieces(bytes, cuts))) items.push(item);
  return items;
}

const sample = Buffer.from(': waiting for démo\n\ndata: {"a":"ü€😀"}\r\n\r\nid: 4\ndata:[DONE]\n\n');

test('comments and data come in order, other fields are left out', async () => {
  assert.deepEqual(await read(sample), [
    { kind: 'comment', text: 'waiting for démo' },
    { kind: 'data', text: '{"a":"ü€😀"}' },
    { kind: 'data', text: '[DONE]' },
  ]);
});

test('every way of cutting the bytes gives the same items', async () => {
  const whole = await read(sample);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(sample.length), { maxLength: 20 }), async (cuts) => {
      assert.deepEqual(await read(sample, cuts), whole);
    }),
  );
});

test('an event without an end is refused at its bound', async () => {
  await assert.rejects(read(Buffer.alloc(EVENT_CHARS_MAX + 10, 'x')), /too long/);
});

// The browser's reader of event streams: whatever the cuts, the items are the same.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { loadPageModule } from '../../../../support/page-module.ts';

const { createSseReader, LINE_CHARS_MAX } = await loadPageModule('sse.js');
const bytesOf = (text: string) => new TextEncoder().encode(text);

const itemArbitrary = fc
  .tuple(fc.constantFrom('comment', 'data'), fc.string({ unit: 'grapheme', maxLength: 40 }))
  .map(([kind, text]) => ({ kind, text: text.replaceAll(/[\r\n]/g, '').trim() }));

describe('createSseReader', () => {
  test('gives the same items however the bytes are cut', () => {
    const cuts = fc.array(fc.nat(400), { maxLength: 30 });
    fc.assert(
      fc.property(fc.array(itemArbitrary, { maxLength: 12 }), cuts, fc.boolean(), (items, at, crLf) => {
        const end = crLf ? '\r\n' : '\n';
        const text = items.map(({ kind, text }) => `${kind === 'data' ? 'data: ' : ': '}${text}${end}${end}`).join('');
        const bytes = bytesOf(text);
        const reader = createSseReader();
        const marks = [0, ...at.map((mark) => mark % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length];
        const read = marks.slice(1).flatMap((mark, index) => reader.push(bytes.subarray(marks[index], mark)));
        assert.deepEqual(read, items);
      }),
    );
  });

  test('leaves out other fields, and a line that has not ended', () => {
    const reader = createSseReader();
    assert.deepEqual(reader.push(bytesOf('event: x\nid: 1\ndata: {"a":1}\ndata: half')), [
      { kind: 'data', text: '{"a":1}' },
    ]);
  });

  test('refuses a line without an end', () => {
    const reader = createSseReader();
    const half = new Uint8Array(LINE_CHARS_MAX / 2 + 1).fill(97);
    reader.push(half);
    assert.throws(() => reader.push(half), /too long/);
  });
});

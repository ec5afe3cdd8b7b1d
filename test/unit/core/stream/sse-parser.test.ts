import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { createSseParser, SseError } from '../../../../src/core/stream/sse-parser.ts';

/** Cuts the bytes at the given places (taken modulo the length). */
function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const sorted = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...sorted].map((start, index) => bytes.subarray(start, sorted[index] ?? bytes.length));
}

function parse(pieces: readonly Uint8Array[], eventBytesMax = 1000): string[] {
  const parser = createSseParser(eventBytesMax);
  return pieces.flatMap((piece) => parser.push(piece));
}

const lineEnd = fc.constantFrom('\n', '\r\n', '\r');
const text = fc.string({ unit: 'grapheme', maxLength: 30 }).map((value) => value.replaceAll(/[\r\n]/g, '·'));
const event = fc.record({
  lines: fc.array(text, { minLength: 1, maxLength: 3 }),
  comment: text,
  hasSpace: fc.boolean(),
});

describe('server-sent events of an engine', () => {
  test('give the same data however the bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.array(event, { maxLength: 6 }),
        lineEnd,
        fc.array(fc.nat(), { maxLength: 20 }),
        (events, end, places) => {
          const stream = events.map(({ lines, comment, hasSpace }) => {
            // Without the space a leading space of the text would be taken for it.
            const space = hasSpace || lines.some((line) => line.startsWith(' ')) ? ' ' : '';
            return `:${comment}${end}${lines.map((line) => `data:${space}${line}${end}`).join('')}id: 7${end}${end}`;
          });
          const bytes = new TextEncoder().encode(stream.join(''));
          const expected = events.map(({ lines }) => lines.join('\n'));
          assert.deepEqual(parse(cut(bytes, places)), expected);
          assert.deepEqual(parse([...bytes].map((byte) => Uint8Array.of(byte))), expected);
        },
      ),
    );
  });

  test('keep an event that is not complete until it is', () => {
    const parser = createSseParser(100);
    assert.deepEqual(parser.push(Buffer.from('data: a\n\ndata: b\n')), ['a']);
    assert.deepEqual(parser.push(Buffer.from('\n')), ['b']);
  });

  test('refuse an event that is too long, in one line or in many', () => {
    assert.throws(() => parse([Buffer.from(`data: ${'x'.repeat(200)}`)], 100), SseError);
    assert.throws(
      () =>
        parse(
          Array.from({ length: 30 }, () => Buffer.from('data: abcdef\n')),
          100,
        ),
      SseError,
    );
    assert.deepEqual(
      parse(
        Array.from({ length: 3 }, () => Buffer.from(`data: ${'y'.repeat(80)}\n\n`)),
        100,
      ).length,
      3,
    );
  });

  test('refuse bytes that are not UTF-8', () => {
    assert.throws(() => parse([Uint8Array.of(100, 97, 116, 97, 58, 0xff, 10, 10)]), /not valid UTF-8/);
  });

  test('never do anything but give data or refuse, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 8 }), (pieces) => {
        try {
          for (const data of parse(pieces, 200)) assert.equal(typeof data, 'string');
        } catch (error) {
          assert.ok(error instanceof SseError);
        }
      }),
    );
  });
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createLineReader, createTail } from '../../../src/engine/bounded-lines.ts';

test('lines: the same however the bytes are cut', () => {
  const text = fc.array(
    fc.string({ unit: 'grapheme' }).map((line) => line.replaceAll('\n', ' ')),
    { maxLength: 8 },
  );
  fc.assert(
    fc.property(text, fc.array(fc.nat(), { maxLength: 10 }), (lines, places) => {
      const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
      const found: string[] = [];
      const read = createLineReader((line) => found.push(line));
      const cuts = [0, ...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
      for (const [index, end] of cuts.slice(1).entries()) read(bytes.subarray(cuts[index], end));
      assert.deepEqual(found, lines);
    }),
  );
});

test('lines: one that is too long is dropped whole, the next one is read', () => {
  const found: string[] = [];
  const read = createLineReader((line) => found.push(line));
  for (let piece = 0; piece < 3; piece += 1) read(Buffer.alloc(40_000, 120));
  read(Buffer.from('\nnext\n'));
  assert.deepEqual(found, ['next']);
});

test('tail: the last bytes', () => {
  const tail = createTail(10);
  assert.equal(tail.text(), '');
  for (const piece of ['abc', 'defghijkl', 'm']) tail.push(Buffer.from(piece));
  assert.equal(tail.text(), 'defghijklm');
  tail.push(Buffer.from('0123456789ABC\n'));
  assert.equal(tail.text(), '456789ABC');
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createTokenText } from '../../../../src/engine/llama/token-text.ts';

/** Every token is one byte. */
const bytes = (tokens: readonly number[]) => Buffer.from(tokens).toString('utf8');

test('a character goes out with its last byte', () => {
  const characters = createTokenText(bytes);
  const out = [...Buffer.from('a€b')].map((byte) => characters.push(byte));
  assert.deepEqual(out, ['a', '', '', '€', 'b']);
});

test('property: whole text comes out whole, whatever its characters', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      const characters = createTokenText(bytes);
      const pieces = [...Buffer.from(text)].map((byte) => characters.push(byte));
      assert.equal(pieces.join('') + characters.flush(), text);
      for (const piece of pieces) assert.ok(text.includes('\uFFFD') || !piece.includes('\uFFFD'));
    }),
  );
});

test('characters that share their tokens come out whole, however many in a row', () => {
  // Each token ends one character and begins the next.
  const whole = '日本語の文章を書く練習をする';
  const encoded = [...Buffer.from(whole)];
  const tokens = Array.from({ length: Math.ceil((encoded.length + 1) / 3) }, (_, index) =>
    encoded.slice(Math.max(0, index * 3 - 1), index * 3 + 2),
  );
  const characters = createTokenText((ids) => Buffer.from(ids.flatMap((id) => tokens[id] ?? [])).toString('utf8'));
  const pieces = tokens.map((_, id) => characters.push(id));
  assert.equal(pieces.join('') + characters.flush(), whole);
  assert.deepEqual(pieces.slice(1, 4), ['日', '本', '語']);
});

test('broken bytes come out as replacement characters after a bounded number of tokens', () => {
  const characters = createTokenText(bytes);
  const out = new Array(20).fill(0xff).map((byte: number) => characters.push(byte));
  assert.ok(out.findIndex((piece) => piece !== '') < 8);
});

test('half a character at the end comes out when the answer ends', () => {
  const characters = createTokenText(bytes);
  assert.equal(characters.push(0xe2), '');
  assert.equal(characters.flush(), '\uFFFD');
  assert.equal(characters.flush(), '');
});

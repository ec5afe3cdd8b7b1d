import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tokenBytesOf } from '../../../../src/engine/llama/token-bytes.ts';

const text = (kind: string, token: string) => {
  const bytes = tokenBytesOf(kind, token);
  return bytes === undefined ? undefined : Buffer.from(bytes).toString('utf8');
};

test('a byte-level vocabulary spells every byte with a visible character', () => {
  assert.equal(text('bpe', '\u0120load'), ' load');
  assert.equal(text('bpe', '\u010a'), '\n');
  assert.equal(text('bpe', '\u00c3\u00a9'), 'é');
  assert.deepEqual([...(tokenBytesOf('bpe', '\u00c3') ?? [])], [0xc3]);
  assert.deepEqual([...(tokenBytesOf('bpe', '\u0143') ?? [])], [0xad]);
});

test('a token of control that the alphabet cannot spell stands for itself', () => {
  assert.equal(text('bpe', '<｜end▁of▁sentence｜>'), '<｜end▁of▁sentence｜>');
});

test('a sentence-piece vocabulary has a mark for the space and names for bytes', () => {
  assert.equal(text('spm', '\u2581load'), ' load');
  assert.deepEqual([...(tokenBytesOf('spm', '<0xE2>') ?? [])], [0xe2]);
});

test('of other vocabularies nothing is said', () => {
  assert.equal(tokenBytesOf('wpm', 'a'), undefined);
});

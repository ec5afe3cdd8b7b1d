import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createLineSplitter } from '../../../src/kube/lines.ts';

const line = fc.string({ unit: 'grapheme', maxLength: 20 }).map((text) => text.replaceAll('\n', ' '));

test('the lines are the same however the bytes are cut', () => {
  fc.assert(
    fc.property(
      fc.array(line, { maxLength: 20 }),
      fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 50 }),
      (lines, sizes) => {
        const bytes = Buffer.from(lines.map((each) => `${each}\n`).join(''));
        const splitter = createLineSplitter(1000);
        const found: string[] = [];
        for (let start = 0, turn = 0; start < bytes.length; turn += 1) {
          const size = sizes[turn % sizes.length] ?? 1;
          found.push(...(splitter.push(bytes.subarray(start, start + size)) ?? ['too long']));
          start += size;
        }
        assert.deepEqual(found, lines);
      },
    ),
  );
});

test('a line without an end is kept back, and a line above the bound is refused in one chunk or in many', () => {
  const splitter = createLineSplitter(10);
  assert.deepEqual(splitter.push(Buffer.from('0123456789\n01234')), ['0123456789']);
  assert.deepEqual(splitter.push(Buffer.from('56789')), []);
  assert.equal(splitter.push(Buffer.from('x')), undefined);
  assert.equal(createLineSplitter(10).push(Buffer.from('0123456789x\n')), undefined);
});

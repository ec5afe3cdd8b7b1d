import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createStopCut } from '../../../../src/engine/llama/stop-texts.ts';

function run(pieces: readonly string[], stops: readonly string[]) {
  const cut = createStopCut(stops);
  const out = pieces.map((piece) => cut.push(piece));
  return { out, text: out.join('') + cut.flush(), stopped: cut.stopped };
}

test('text without a stop text passes whole, and at once when nothing could become one', () => {
  assert.deepEqual(run(['one ', 'two'], ['###']), { out: ['one ', 'two'], text: 'one two', stopped: false });
});

test('a stop text over several pieces is cut and no part of it goes out', () => {
  const { out, text, stopped } = run(['abc#', '#', '#def'], ['###']);
  assert.deepEqual(out, ['abc', '', '']);
  assert.equal(text, 'abc');
  assert.equal(stopped, true);
});

test('a beginning that comes to nothing is released', () => {
  assert.deepEqual(run(['a#', 'b'], ['###']).out, ['a', '#b']);
  assert.equal(run(['a#'], ['###']).text, 'a#');
});

test('the earliest of several stop texts counts', () => {
  assert.equal(run(['x END y STOP'], ['STOP', 'END']).text, 'x ');
});

const alphabet = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 40 });
const stopTexts = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 4 }), {
  maxLength: 4,
});

test('property: however the text is split, the answer is the text before the first stop text', () => {
  fc.assert(
    fc.property(alphabet, stopTexts, fc.array(fc.nat(5), { maxLength: 40 }), (whole, stops, sizes) => {
      const pieces: string[] = [];
      let rest = whole;
      for (const size of sizes) {
        pieces.push(rest.slice(0, size));
        rest = rest.slice(size);
      }
      pieces.push(rest);
      const positions = stops.map((stop) => whole.indexOf(stop)).filter((at) => at >= 0);
      const expected = positions.length === 0 ? whole : whole.slice(0, Math.min(...positions));
      const { text, stopped } = run(pieces, stops);
      assert.equal(stopped, positions.length > 0);
      // Which of two overlapping stop texts is seen first depends on the pieces; none may ever be inside the answer.
      for (const stop of stops) assert.ok(!text.includes(stop));
      assert.ok(whole.startsWith(text));
      if (positions.length === 0) assert.equal(text, expected);
      else assert.ok(text.length >= expected.length);
    }),
  );
});

test('property: what is out never has to be taken back', () => {
  fc.assert(
    fc.property(alphabet, stopTexts, (whole, stops) => {
      const cut = createStopCut(stops);
      let out = '';
      for (const char of whole) {
        out += cut.push(char);
        for (const stop of stops) assert.ok(!out.includes(stop));
      }
    }),
  );
});

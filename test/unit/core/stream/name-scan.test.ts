// Names of members found in passing: the same as a parser finds, in whatever pieces the text comes.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { createNameScan } from '../../../../src/core/stream/name-scan.ts';

function scan(text: string, pieceBytes = 1): string[] {
  const bytes = Buffer.from(text);
  const found: string[] = [];
  const scanner = createNameScan();
  for (let at = 0; at < bytes.length; at += pieceBytes)
    found.push(...scanner.push(bytes.subarray(at, at + pieceBytes)));
  return found;
}

describe('createNameScan', () => {
  test('names of the object itself, not of what lies in it, and no values', () => {
    assert.deepEqual(scan('{"a":"x","b":{"c":1,"d":["e"]},"f":["g",{"h":2}] , "i" : "j"}'), ['a', 'b', 'f', 'i']);
  });

  test('escapes are resolved, and quotes in texts end nothing', () => {
    assert.deepEqual(scan('{"r\\u0069d":"\\"}{","a\\"b":"\\\\","c":1}'), ['rid', 'a"b', 'c']);
  });

  test('a name that is longer than any we ask for is passed over', () => {
    assert.deepEqual(scan(`{"${'x'.repeat(300)}":1,"a":2}`), ['a']);
  });

  test('a list and plain values have no names', () => {
    for (const text of ['["a","b"]', '"a"', '5', '', '[{"a":1}]']) assert.deepEqual(scan(text), [], text);
  });

  test('finds what a parser finds', () => {
    const anything = fc.dictionary(fc.string({ maxLength: 20 }), fc.jsonValue({ maxDepth: 4 }), {
      maxKeys: 8,
      noNullPrototype: true,
    });
    const indent = fc.constantFrom(undefined, 1, '\t');
    fc.assert(
      fc.property(anything, indent, fc.integer({ min: 1, max: 7 }), (value, space, pieceBytes) => {
        assert.deepEqual(scan(JSON.stringify(value, null, space), pieceBytes), Object.keys(value));
      }),
    );
  });

  test('nothing breaks it', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void createNameScan().push(bytes)));
    fc.assert(fc.property(fc.stringMatching(/^[{}[\]",:\\a]{0,60}$/), (text) => void scan(text)));
  });
});

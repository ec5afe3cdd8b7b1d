import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { decodeText, scanObject } from '../../../../src/core/route/json-scan.ts';

const bytesOf = (text: string) => new TextEncoder().encode(text);

/** What JSON.parse says; undefined when it is no object. */
function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

describe('scanning a JSON object', () => {
  test('finds each value where it is', () => {
    const value = fc.jsonValue({ maxDepth: 5 });
    fc.assert(
      fc.property(fc.dictionary(fc.string(), value), fc.constantFrom(undefined, 1, '\t'), (object, indent) => {
        const bytes = bytesOf(` ${JSON.stringify(object, null, indent)}\n`);
        const scan = scanObject(bytes);
        assert.ok(scan.ok);
        const found = [...scan.value.members.values()].map(({ key, valueStart, valueEnd }) => [
          key,
          JSON.parse(decodeText(bytes, valueStart, valueEnd)),
        ]);
        assert.deepEqual(found, Object.entries(JSON.parse(JSON.stringify(object))));
      }),
    );
  });

  test('accepts nothing that JSON.parse refuses, and refuses nothing else but what it says', () => {
    const piece = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      '"',
      ':',
      ',',
      '\\',
      'u00e9',
      '0',
      '-1.5e3',
      'true',
      'null',
      ' ',
      'a',
      '\n',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        const text = pieces.join('');
        const scan = scanObject(bytesOf(text));
        if (scan.ok) assert.notEqual(parsed(text), undefined, text);
        else if (!/twice|deeper|more than/.test(scan.error.sentence)) assert.equal(parsed(text), undefined, text);
      }),
      { numRuns: 2000 },
    );
  });

  test('a change of one byte is judged as JSON.parse judges it', () => {
    const text = '{"a":[1,-2.5e+10,"x\\u00e9\\n"],"b":{"c":null,"d":true},"e":""}';
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.integer({ min: 0x20, max: 0x7e }), (at, code) => {
        const changed = text.slice(0, at) + String.fromCharCode(code) + text.slice(at + 1);
        const scan = scanObject(bytesOf(changed));
        if (scan.ok) assert.notEqual(parsed(changed), undefined, changed);
        else if (!/twice/.test(scan.error.sentence)) assert.equal(parsed(changed), undefined, changed);
      }),
      { numRuns: 2000 },
    );
  });

  test('bounds the depth and the number of fields', () => {
    const nested = (levels: number) => bytesOf(`{"a":${'['.repeat(levels)}${']'.repeat(levels)}}`);
    assert.equal(scanObject(nested(63)).ok, true);
    assert.equal(scanObject(nested(64)).ok, false);
    const wide = (fields: number) =>
      bytesOf(`{${Array.from({ length: fields }, (_, index) => `"${index}":1`).join(',')}}`);
    assert.equal(scanObject(wide(512)).ok, true);
    assert.equal(scanObject(wide(513)).ok, false);
  });

  test('names the place of a repeated field', () => {
    const scan = scanObject(bytesOf('{"a":1,"b":2,"a":3}'));
    assert.deepEqual(scan, { ok: false, error: { offset: 13, sentence: 'the field "a" is there twice' } });
  });
});

// RFC 8785 where we use it, and a refusal where we do not.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { canonicalJson } from '../../../src/lib/canonical-json.ts';

const value = fc.letrec((tie) => ({
  any: fc.oneof(
    { maxDepth: 4 },
    fc.string({ unit: 'grapheme' }),
    fc.integer(),
    fc.boolean(),
    fc.array(tie('any'), { maxLength: 4 }),
    fc.dictionary(fc.string(), tie('any'), { maxKeys: 4 }),
  ),
})).any;

/** The same object with its members in another order. */
function reversed(input: unknown): unknown {
  if (Array.isArray(input)) return input.map(reversed);
  if (typeof input !== 'object' || input === null) return input;
  return Object.fromEntries(
    Object.entries(input)
      .map(([key, inner]) => [key, reversed(inner)] as const)
      .reverse(),
  );
}

describe('canonicalJson', () => {
  test('the order of members never matters, and nothing is lost', () => {
    fc.assert(
      fc.property(value, (input) => {
        const text = canonicalJson(input);
        assert.equal(canonicalJson(reversed(input)), text);
        assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(input)));
        assert.equal(canonicalJson(JSON.parse(text)), text);
      }),
    );
  });

  test('members are ordered by UTF-16 code units (the example of RFC 8785 §3.2.3)', () => {
    const keys = ['\u20ac', '\r', '\ufb33', '1', '\ud83d\ude00', '\u0080', '\u00f6'];
    const text = canonicalJson(Object.fromEntries(keys.map((key) => [key, true])));
    assert.deepEqual(Object.keys(JSON.parse(text)), [
      '1',
      '\r',
      '\u0080',
      '\u00f6',
      '\u20ac',
      '\ud83d\ude00',
      '\ufb33',
    ]);
  });

  test('text is escaped as RFC 8785 says', () => {
    assert.equal(canonicalJson('\u20ac$\u000f\nA\'B"\\\\"/'), '"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"');
    assert.equal(canonicalJson([-0, -1, 2147483647]), '[0,-1,2147483647]');
  });

  test('absent and undefined are the same', () => {
    assert.equal(canonicalJson({ b: undefined, a: {} }), '{"a":{}}');
  });

  test('what has no canonical form is refused with its place', () => {
    const deep = JSON.parse(`${'['.repeat(40)}${']'.repeat(40)}`);
    for (const bad of [
      1.5,
      2 ** 31,
      -(2 ** 31) - 1,
      Number.NaN,
      null,
      undefined,
      '\ud800',
      1n,
      () => 1,
      new Date(0),
      deep,
    ])
      assert.throws(() => canonicalJson({ a: [bad] }), { name: 'NotCanonical', message: /\$\.a\[0\]/ });
    assert.throws(() => canonicalJson({ '\udc00': 1 }), /surrogate/);
  });
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseJson, parseJsonObject } from '../../../src/lib/json-text.ts';

test('what is not JSON is missing, and null is JSON', () => {
  assert.deepEqual(['{"a":[1]}', 'null', '', '{', 'undefined'].map(parseJson), [
    { a: [1] },
    null,
    undefined,
    undefined,
    undefined,
  ]);
});

test('of objects, lists and bare values only objects are taken', () => {
  assert.deepEqual(['{"a":1}', '[1]', 'null', '"a"', '1', '{'].map(parseJsonObject), [
    { a: 1 },
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Schema } from '../../../../src/local/api/definition.ts';
import { judgeSchema } from '../../../../src/local/api/schema-judge.ts';
import { fillDefaults, prune } from '../../../../src/local/api/schema-shape.ts';
import { localDefinitions } from '../../../../src/main/local-definitions.ts';

const object = (properties: Record<string, Schema>, more: Partial<Schema> = {}): Schema => ({
  type: 'object',
  properties,
  ...more,
});

test('unknown fields are dropped and named, at every depth, but not where they are kept', () => {
  const schema = object({
    a: { type: 'string' },
    list: { type: 'array', items: object({ b: { type: 'string' } }) },
    map: { type: 'object', additionalProperties: object({ c: { type: 'string' } }) },
    free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
  });
  const value = { a: '1', x: 2, list: [{ b: '1', y: 1 }], map: { k: { c: '1', z: 1 } }, free: { any: { thing: 1 } } };
  const { value: kept, unknown } = prune(schema, value);
  assert.deepEqual(kept, { a: '1', list: [{ b: '1' }], map: { k: { c: '1' } }, free: { any: { thing: 1 } } });
  assert.deepEqual(unknown, ['x', 'list[0].y', 'map.k.z']);
});

test('defaults are filled in from outside in, and null takes one unless it is allowed', () => {
  const schema = object({
    outer: object({ inner: { type: 'integer', default: 1 } }, { default: {} }),
    absent: object({ inner: { type: 'integer', default: 1 } }),
    list: { type: 'array', items: object({ inner: { type: 'integer', default: 1 } }) },
    kept: { type: 'string', nullable: true, default: 'x' },
    replaced: { type: 'string', default: 'x' },
  });
  assert.deepEqual(fillDefaults(schema, { list: [{}], kept: null, replaced: null }), {
    outer: { inner: 1 },
    list: [{ inner: 1 }],
    kept: null,
    replaced: 'x',
  });
});

test('a default is a copy: changing one object leaves the next alone', () => {
  const schema = object({ list: { type: 'array', items: { type: 'string' }, default: ['a'] } });
  const first = fillDefaults(schema, {}) as { list: string[] };
  first.list.push('b');
  assert.deepEqual(fillDefaults(schema, {}), { list: ['a'] });
});

test('types, bounds and patterns are judged with the words of an API server', () => {
  const schema = object(
    {
      text: { type: 'string', maxLength: 3, pattern: '^[a-z]*$' },
      count: { type: 'integer', minimum: 1, maximum: 5 },
      choice: { type: 'string', enum: ['A', 'B'] },
      time: { type: 'string', format: 'date-time' },
      either: { 'x-kubernetes-int-or-string': true },
    },
    { required: ['text'] },
  );
  const said = (value: unknown) => judgeSchema(schema, value).map(({ field, message }) => `${field}: ${message}`);
  assert.deepEqual(said({ text: 'abc', count: 1, choice: 'A', time: '2026-01-01T00:00:00Z', either: 'x' }), []);
  assert.deepEqual(said({}), ['text: Required value']);
  assert.deepEqual(said({ text: 1 }), [
    'text: Invalid value: "integer": text in body must be of type string: "integer"',
  ]);
  assert.deepEqual(said({ text: 'abcd' }), ['text: Too long: may not be more than 3 bytes']);
  assert.deepEqual(said({ text: 'A' }), [`text: Invalid value: "A": text in body should match '^[a-z]*$'`]);
  assert.deepEqual(said({ text: '', count: 9 }), [
    'count: Invalid value: 9: count in body should be less than or equal to 5',
  ]);
  assert.deepEqual(said({ text: '', count: 1.5 }), [
    'count: Invalid value: "number": count in body must be of type integer: "number"',
  ]);
  assert.deepEqual(said({ text: '', choice: 'C' }), ['choice: Unsupported value: "C": supported values: "A", "B"']);
  assert.equal(said({ text: '', time: 'today' }).length, 1);
  assert.equal(said({ text: '', either: true }).length, 1);
});

test('an entry of a set or of a map by keys is there once', () => {
  const schema = object({
    set: { type: 'array', items: { type: 'string' }, 'x-kubernetes-list-type': 'set' },
    map: {
      type: 'array',
      items: object({ type: { type: 'string' } }),
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['type'],
    },
  });
  const fields = judgeSchema(schema, { set: ['a', 'b', 'a'], map: [{ type: 'x' }, { type: 'x' }] }).map(
    ({ field }) => field,
  );
  assert.deepEqual(fields, ['set[2]', 'map[1]']);
});

test('findings are bounded', () => {
  const schema: Schema = { type: 'array', items: { type: 'string' } };
  assert.equal(
    judgeSchema(
      schema,
      Array.from({ length: 1000 }, () => 1),
    ).length,
    50,
  );
});

test('no JSON makes the schemas of our kinds throw, and what is pruned has nothing left to prune', () => {
  for (const { schema } of localDefinitions()) {
    fc.assert(
      fc.property(
        fc.object({ key: fc.constantFrom('spec', 'status', 'version', 'pools', 'scaling', '__proto__', 'x') }),
        (value) => {
          const { value: kept } = prune(schema, value);
          assert.deepEqual(prune(schema, kept).unknown, []);
          judgeSchema(schema, fillDefaults(schema, kept));
        },
      ),
    );
  }
});

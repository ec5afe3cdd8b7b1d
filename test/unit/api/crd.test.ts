// The definitions that API servers get: structural by Kubernetes' rules, and with the same rules as the function.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { parse } from 'yaml';
import { z } from 'zod';
import { renderCrd, renderCrdYaml, resourceDefinitions } from '../../../src/api/crd.ts';
import { type StructuralSchema, structuralSchema } from '../../../src/api/structural-schema.ts';

function everySchema(schema: StructuralSchema, place = '$'): [string, StructuralSchema][] {
  const inner = Object.entries(schema.properties ?? {}).flatMap(([key, value]) =>
    everySchema(value, `${place}.${key}`),
  );
  const items = schema.items === undefined ? [] : everySchema(schema.items, `${place}[]`);
  return [[place, schema], ...inner, ...items];
}

function assertStructural(place: string, schema: StructuralSchema): void {
  assert.ok(['object', 'array', 'string', 'integer', 'boolean'].includes(schema.type), `${place}: ${schema.type}`);
  for (const banned of ['$ref', 'anyOf', 'oneOf', 'allOf', 'not', 'exclusiveMinimum'])
    assert.ok(!(banned in schema), `${place} has ${banned}`);
  assert.equal('additionalProperties' in schema && 'properties' in schema, false, place);
  assert.equal(schema.type === 'array' && schema.maxItems === undefined, false, `${place} has no maximum`);
  assert.equal(schema.type === 'integer', /^int(32|64)$/.test(schema.format ?? ''), `${place} has no width`);
  assert.notEqual(schema.maximum, Number.MAX_SAFE_INTEGER, place);
  const isField = /^\$\.(spec|status)\..*[^\]]$/.test(place);
  assert.equal(isField && schema.description === undefined, false, `${place} says nothing`);
}

describe('our kinds as CRDs', () => {
  for (const definition of resourceDefinitions()) {
    test(`${definition.kind} is structural and bounded`, () => {
      for (const [place, schema] of everySchema(definition.schema)) assertStructural(place, schema);
      assert.deepEqual(definition.schema.properties?.metadata, { type: 'object' });
    });

    test(`${definition.kind}: every column and scale path names a field`, () => {
      const fields = new Set(everySchema(definition.schema).map(([place]) => place.slice(1)));
      const paths = [
        ...definition.printerColumns.map((column) => column.jsonPath.replace(/\[\?\(@\.type=="[A-Za-z]+"\)\]/, '[]')),
        ...Object.values(definition.subresources.scale ?? {}),
      ].filter((path) => path !== '.metadata.creationTimestamp');
      for (const path of paths) assert.ok(fields.has(path), path);
    });

    test(`${definition.kind} is committed as generated`, () => {
      const file = new URL(`../../../charts/stoker-crds/definitions/${definition.plural}.yaml`, import.meta.url);
      const text = readFileSync(file, 'utf8');
      assert.ok(text.endsWith(renderCrdYaml(definition)), 'run: npm run generate');
      assert.deepEqual(parse(text), JSON.parse(JSON.stringify(renderCrd(definition))));
    });
  }

  test('names', () => {
    const names = resourceDefinitions().map(({ kind, plural, shortNames }) => [kind, plural, ...shortNames]);
    assert.deepEqual(names, [
      ['Pool', 'pools'],
      ['Model', 'models', 'mdl'],
      ['ModelRevision', 'modelrevisions', 'mrev'],
    ]);
  });
});

describe('what has no structural form is refused while generating', () => {
  const refused: [string, z.ZodType][] = [
    ['a union', z.object({ a: z.union([z.string().max(1), z.boolean()]) })],
    ['a float', z.object({ a: z.number() })],
    ['text without a maximum', z.object({ a: z.string() })],
    ['a list without a maximum', z.object({ a: z.array(z.boolean()) })],
    [
      'a look-ahead',
      z.object({
        a: z
          .string()
          .max(9)
          .regex(/^(?=a)a$/),
      }),
    ],
  ];
  for (const [name, schema] of refused) {
    test(name, () => assert.throws(() => structuralSchema(schema, 'Kind.spec'), /Kind\.spec/));
  }

  test('the default of an object holds the defaults inside it, which CEL rules need', () => {
    const inner = z.object({ a: z.int().max(9).default(1), b: z.boolean().optional() }).prefault({});
    const { properties } = structuralSchema(z.object({ outer: z.object({ inner }).prefault({}) }), 'Kind.spec');
    assert.deepEqual(properties?.outer?.default, { inner: { a: 1 } });
  });

  test('what has one is taken', () => {
    const schema = z.object({
      a: z.int(),
      b: z.record(z.string(), z.boolean()).meta({ maxProperties: 3 }),
      c: z.unknown(),
      d: z.int().max(7),
    });
    const { properties } = structuralSchema(schema, 'a');
    assert.deepEqual(properties?.a, { type: 'integer', format: 'int64' });
    assert.deepEqual(properties?.b, { type: 'object', maxProperties: 3, additionalProperties: { type: 'boolean' } });
    assert.deepEqual(properties?.c, { type: 'object', 'x-kubernetes-preserve-unknown-fields': true });
    assert.deepEqual(properties?.d, { type: 'integer', format: 'int32', maximum: 7 });
  });
});

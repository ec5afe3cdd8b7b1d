// Every rule with an object that breaks it and one that does not, and the sentences that people read.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { resourceDefinitions } from '../../../src/api/crd.ts';
import type { StructuralSchema } from '../../../src/api/structural-schema.ts';
import { findUnknownFields } from '../../../src/api/unknown-fields.ts';
import { validateObject } from '../../../src/api/validate-object.ts';

const sha256 = 'a'.repeat(64);

function pool(spec: object = {}, name = 'default') {
  return { apiVersion: 'stoker.dev/v1alpha1', kind: 'Pool', metadata: { name }, spec };
}

function model(spec: object = {}, name = 'demo') {
  const version = { weights: { file: { path: 'a.gguf' } } };
  return {
    apiVersion: 'stoker.dev/v1alpha1',
    kind: 'Model',
    metadata: { name },
    spec: { servedName: 'demo', version, ...spec },
  };
}

function revision(spec: object = {}, name = 'demo-0123456789') {
  const whole = {
    modelName: 'demo',
    digest: `v1:sha256:${sha256}`,
    weights: { path: '/a.gguf', sizeBytes: 3, sha256 },
    engine: { name: 'Llama', build: 'builtin:1' },
    contextLength: 1024,
    ...spec,
  };
  return { apiVersion: 'stoker.dev/v1alpha1', kind: 'ModelRevision', metadata: { name }, spec: whole };
}

interface Case {
  readonly name: string;
  readonly object: { readonly kind: string };
  readonly old?: object;
  /** `path: sentence` of each problem. */
  readonly problems: readonly string[];
}

const nameSentence = (charsMax: number) =>
  `: metadata.name must have at most ${charsMax} characters: lower-case letters, digits and -, with a letter or digit at both ends`;

const cases: readonly Case[] = [
  { name: 'an empty pool', object: pool(), problems: [] },
  { name: 'slots', object: pool({ slots: { min: 2, max: 1 } }), problems: ['spec.slots: min must not be above max'] },
  {
    name: 'slots against the default',
    object: pool({ slots: { min: 2 } }),
    problems: ['spec.slots: min must not be above max'],
  },
  { name: 'slots that are equal', object: pool({ slots: { min: 2, max: 2 } }), problems: [] },
  { name: 'a name of 52', object: pool({}, 'a'.repeat(52)), problems: [] },
  { name: 'a name of 53', object: pool({}, 'a'.repeat(53)), problems: [nameSentence(52)] },
  { name: 'a name with a dot', object: model({}, 'a.b'), problems: [nameSentence(52)] },
  { name: 'a revision name of 63', object: revision({}, 'a'.repeat(63)), problems: [] },
  { name: 'a revision name of 64', object: revision({}, 'a'.repeat(64)), problems: [nameSentence(63)] },
  { name: 'a model', object: model(), problems: [] },
  { name: 'the same servedName', object: model({ pools: ['b'] }), old: model(), problems: [] },
  {
    name: 'another servedName',
    object: model({ servedName: 'other' }),
    old: model(),
    problems: ['spec.servedName: cannot be changed, because callers use it; make another Model'],
  },
  {
    name: 'a reserved servedName',
    object: model({ servedName: 'task/a' }),
    problems: ['spec.servedName: must not begin with task/, which is kept for task classes'],
  },
  { name: 'a servedName beside the reserved ones', object: model({ servedName: 'tasks' }), problems: [] },
  {
    name: 'awake',
    object: model({ scaling: { minAwake: 2 } }),
    problems: ['spec.scaling: minAwake must not be above maxAwake'],
  },
  { name: 'awake that is equal', object: model({ scaling: { minAwake: 2, maxAwake: 2 } }), problems: [] },
  {
    name: 'a digest that is missing',
    object: model({ pinPolicy: 'RequireDigest' }),
    problems: ['spec: version.weights.file.sha256 must be set, because pinPolicy is RequireDigest'],
  },
  {
    name: 'a digest that is there',
    object: model({ pinPolicy: 'RequireDigest', version: { weights: { file: { path: 'a', sha256 } } } }),
    problems: [],
  },
  { name: 'a pool twice', object: model({ pools: ['a', 'b', 'a'] }), problems: ['spec.pools[2]: is there twice: "a"'] },
  { name: 'a revision', object: revision(), old: revision(), problems: [] },
  {
    name: 'a changed revision',
    object: revision({ contextLength: 2048 }),
    old: revision(),
    problems: ['spec: cannot be changed: a revision is one pinned version; change spec.version of the Model instead'],
  },
  { name: 'no spec', object: { ...pool(), spec: undefined } as { kind: string }, problems: ['spec: is required'] },
  {
    name: 'a foreign version',
    object: { ...pool(), apiVersion: 'v1' } as { kind: string },
    problems: ['apiVersion: must be stoker.dev/v1alpha1, but is "v1"'],
  },
  {
    name: 'no metadata',
    object: { ...pool(), metadata: undefined } as { kind: string },
    problems: ['metadata.name: is required'],
  },
  {
    name: 'a foreign kind',
    object: { kind: 'Deployment' },
    problems: ['kind: must be one of Pool, Model, ModelRevision, but is "Deployment"'],
  },
  {
    name: 'wrong types',
    object: model({ pools: [3], scaling: { minAwake: 1.5, maxAwake: '3' }, serving: null, pinPolicy: 'Never' }),
    problems: [
      'spec.pinPolicy: must be one of ResolveOnce, RequireDigest, but is "Never"',
      'spec.pools[0]: must be text, but is a number',
      'spec.scaling.minAwake: must be a whole number, but is 1.5',
      'spec.scaling.maxAwake: must be a whole number, but is the text "3"',
      'spec.serving: must be an object, but is null',
    ],
  },
  {
    name: 'out of bounds',
    object: model({
      servedName: '',
      pools: [],
      scaling: { minAwake: -1 },
      version: { weights: { file: { path: 'a', sha256: 'A' } } },
    }),
    problems: [
      'spec.servedName: must not be empty',
      'spec.servedName: must begin with a letter or digit and hold only letters, digits and . _ / -, but is ""',
      'spec.version.weights.file.sha256: must be 64 hexadecimal digits in lower case, but is "A"',
      'spec.pools: must have at least 1 entry, but has 0',
      'spec.scaling.minAwake: must be at least 0, but is -1',
    ],
  },
  {
    name: 'a wrong status',
    object: { ...model(), status: { awake: 'x', conditions: [{ type: 'Ready' }] } } as { kind: string },
    problems: [
      'status.awake: must be a whole number, but is the text "x"',
      'status.conditions[0].status: is required',
      'status.conditions[0].reason: is required',
      'status.conditions[0].message: is required',
      'status.conditions[0].lastTransitionTime: is required',
    ],
  },
];

describe('validateObject', () => {
  for (const { name, object, old, problems } of cases) {
    test(name, () => {
      const found = validateObject(object.kind, object, old).map(({ path, message }) => `${path}: ${message}`);
      assert.deepEqual(found, problems);
    });
  }

  test('every CEL rule of the CRDs has a case above that breaks it, with the same sentence', () => {
    const sentences = cases.flatMap(({ problems }) => problems).join('\n');
    const rules = resourceDefinitions().flatMap(({ schema }) => rulesIn(schema));
    assert.equal(rules.length, 9);
    for (const { message } of rules) assert.ok(sentences.includes(message), message);
  });

  test('defaults change no verdict', () => {
    const written = model();
    const defaulted = model({
      pools: ['default'],
      pinPolicy: 'ResolveOnce',
      scaling: { minAwake: 0, maxAwake: 1, sleepAfterSeconds: 300 },
    });
    assert.deepEqual(validateObject('Model', defaulted, written), []);
    assert.deepEqual(validateObject('Model', written, defaulted), []);
  });
});

describe('hostile objects', () => {
  test('no value throws, and whatever is found is a path and a sentence', () => {
    const keys = fc.constantFrom(
      'servedName',
      'version',
      'weights',
      'file',
      'path',
      'pools',
      'scaling',
      'slots',
      'min',
      '__proto__',
      'conditions',
    );
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { maxDepth: 5 },
        fc.jsonValue({ maxDepth: 1 }),
        fc.array(tie('any'), { maxLength: 3 }),
        fc.dictionary(keys, tie('any'), { maxKeys: 4 }),
      ),
    })).any;
    fc.assert(
      fc.property(fc.constantFrom('Pool', 'Model', 'ModelRevision'), value, value, value, (kind, spec, status, old) => {
        const object = { apiVersion: 'stoker.dev/v1alpha1', kind, metadata: { name: 'a' }, spec, status };
        for (const one of [object, spec])
          for (const { path, message } of [
            ...validateObject(kind, one, { spec: old }),
            ...findUnknownFields(kind, one),
          ]) {
            assert.equal(typeof path, 'string');
            assert.ok(message.length > 0 && message.length < 1000, message);
          }
      }),
    );
  });
});

function rulesIn(schema: StructuralSchema): readonly { message: string }[] {
  const inner = Object.values(schema.properties ?? {}).flatMap(rulesIn);
  return [...(schema['x-kubernetes-validations'] ?? []), ...inner];
}

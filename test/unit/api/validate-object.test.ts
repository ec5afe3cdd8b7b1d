// Every rule with an object that breaks it and one that does not, and the sentences that people read.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { resourceDefinitions } from '../../../src/api/crd.ts';
import type { StructuralSchema } from '../../../src/api/structural-schema.ts';
import { findUnknownFields } from '../../../src/api/unknown-fields.ts';
import { validateObject } from '../../../src/api/validate-object.ts';
import { judgedObjects } from '../../support/judged-objects.ts';
import { model, pool } from '../../support/plain-objects.ts';

describe('validateObject', () => {
  for (const { name, object, old, problems } of judgedObjects) {
    test(name, () => {
      const found = validateObject(object.kind, object, old).map(({ path, message }) => `${path}: ${message}`);
      assert.deepEqual(found, problems);
    });
  }

  test('every CEL rule of the CRDs has an object that breaks it, with the same sentence', () => {
    const sentences = judgedObjects.flatMap(({ problems }) => problems).join('\n');
    const rules = resourceDefinitions().flatMap(({ schema }) => rulesIn(schema));
    assert.equal(rules.length, 40);
    for (const { message } of rules) assert.ok(sentences.includes(message), message);
  });

  test('what a schema alone refuses is said in words, too', () => {
    const sentenceOf = (pod: object) =>
      validateObject('Pool', pool({ pod })).map(({ path, message }) => `${path}: ${message}`);
    assert.deepEqual(sentenceOf({ tolerations: [{ key: 'no taint' }] }), [
      'spec.pod.tolerations[0].key: must be the key of a taint, but is "no taint"',
    ]);
    const labels = Object.fromEntries(Array.from({ length: 17 }, (_, index) => [`l${index}`, '']));
    assert.deepEqual(sentenceOf({ nodeSelector: labels }), ['spec.pod.nodeSelector: must have at most 16 labels']);
  });

  test('an image without a tag is refused, and an example says how it is named', () => {
    const version = {
      weights: { folder: { path: '/models/a' } },
      engine: { name: 'Vllm', image: 'vllm/vllm-openai' },
    };
    const found = validateObject('Model', model({ version })).find(({ path }) => path === 'spec.version.engine.image');
    assert.match(
      found?.message ?? '',
      /must be an image by tag or by digest, for example .*, but is "vllm\/vllm-openai"/,
    );
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
      'simulated',
      'simulation',
      'faults',
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

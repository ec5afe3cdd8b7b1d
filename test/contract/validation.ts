// Schemas, defaults and rules of our kinds, and the rules of names and labels that all kinds share.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ConfigMap,
  configMap,
  type Json,
  Model,
  ModelRevision,
  model,
  Pod,
  Pool,
  Secret,
  type Session,
} from './session.ts';

interface BadCase {
  readonly what: string;
  readonly object: (name: string) => Json;
  readonly field: string;
  readonly reason: string;
}

const badModels: readonly BadCase[] = [
  {
    what: 'a required field is missing',
    object: (name) => ({ ...model(name), spec: { version: { weights: { file: { path: 'a' } } } } }),
    field: 'spec.servedName',
    reason: 'FieldValueRequired',
  },
  {
    what: 'a wrong type',
    object: (name) => model(name, { spec: { scaling: { maxAwake: 'two' } } }),
    field: 'spec.scaling.maxAwake',
    reason: 'FieldValueTypeInvalid',
  },
  {
    what: 'a number below the least',
    object: (name) => model(name, { spec: { serving: { concurrency: 0 } } }),
    field: 'spec.serving.concurrency',
    reason: 'FieldValueInvalid',
  },
  {
    what: 'a number above the most',
    object: (name) => model(name, { spec: { serving: { concurrency: 1000 } } }),
    field: 'spec.serving.concurrency',
    reason: 'FieldValueInvalid',
  },
  {
    what: 'a word that is none of the choices',
    object: (name) => model(name, { spec: { pinPolicy: 'Sometimes' } }),
    field: 'spec.pinPolicy',
    reason: 'FieldValueNotSupported',
  },
  {
    what: 'a text that does not match',
    object: (name) => model(name, { spec: { servedName: '-x' } }),
    field: 'spec.servedName',
    reason: 'FieldValueInvalid',
  },
  {
    what: 'a text that is too long',
    object: (name) => model(name, { spec: { servedName: 'x'.repeat(129) } }),
    field: 'spec.servedName',
    reason: 'FieldValueTooLong',
  },
  {
    what: 'a list that is too long',
    object: (name) => model(name, { spec: { pools: Array.from({ length: 17 }, (_, at) => `pool-${at}`) } }),
    field: 'spec.pools',
    reason: 'FieldValueTooMany',
  },
  {
    what: 'a list with nothing in it',
    object: (name) => model(name, { spec: { pools: [] } }),
    field: 'spec.pools',
    reason: 'FieldValueInvalid',
  },
  {
    what: 'an entry that is there twice',
    object: (name) => model(name, { spec: { pools: ['a', 'a'] } }),
    field: 'spec.pools[1]',
    reason: 'FieldValueDuplicate',
  },
  {
    what: 'a rule over two fields',
    object: (name) => model(name, { spec: { scaling: { minAwake: 3, maxAwake: 2 } } }),
    field: 'spec.scaling',
    reason: 'FieldValueInvalid',
  },
  {
    what: 'a label that is none',
    object: (name) => model(name, { metadata: { labels: { a: 'not a label' } } }),
    field: 'metadata.labels',
    reason: 'FieldValueInvalid',
  },
  {
    what: 'an annotation whose key is none',
    object: (name) => model(name, { metadata: { annotations: { 'a b': 'x' } } }),
    field: 'metadata.annotations',
    reason: 'FieldValueInvalid',
  },
];

export function validationContract(session: Session): void {
  for (const { what, object, field, reason } of badModels) {
    test(`422 with the field as cause: ${what}`, async () => {
      const name = session.name('bad');
      const body = await session.expect(422, 'POST', session.path(Model), { body: object(name) });
      assert.equal(body.reason, 'Invalid');
      assert.match(body.message, new RegExp(`^Model.stoker.dev "${name}" is invalid: `));
      const cause = body.details.causes.find((one: Json) => one.field === field);
      assert.ok(cause, JSON.stringify(body.details.causes));
      assert.equal(cause.reason, reason);
      await session.expect(404, 'GET', session.path(Model, name));
    });
  }

  test('all findings come at once', async () => {
    const bad = model(session.name('bad'), { spec: { serving: { concurrency: 0 }, pinPolicy: 'No' } });
    const body = await session.expect(422, 'POST', session.path(Model), { body: bad });
    // A real server adds, about the whole, that rules were not looked at.
    const fields = body.details.causes
      .map((cause: Json) => cause.field)
      .filter((field: string) => field !== '<nil>')
      .sort();
    assert.deepEqual(fields, ['spec.pinPolicy', 'spec.serving.concurrency']);
  });

  test('names are checked: upper case, slashes, too long for us', async () => {
    for (const name of ['Upper', 'a/b', '../x', '-a', 'a_b', 'x'.repeat(254)]) {
      await session.expect(422, 'POST', session.path(ConfigMap), { body: configMap(name, {}) });
    }
    const long = await session.expect(422, 'POST', session.path(Model), { body: model('x'.repeat(53)) });
    assert.match(long.message, /metadata\.name must have at most 52 characters/);
    await session.expect(422, 'POST', session.path(Model), { body: model('with.dot', { spec: { servedName: 'x' } }) });
  });

  test('neither name nor generateName is 422', async () => {
    const body = await session.expect(422, 'POST', session.path(ConfigMap), {
      body: { ...configMap('x', {}), metadata: {} },
    });
    assert.match(body.message, /metadata\.name: Required value/);
  });

  test('defaults are filled in, also inside what was sent in part', async () => {
    const made = await session.create(Model, model(session.name('default'), { spec: { scaling: { maxAwake: 2 } } }));
    assert.deepEqual(made.spec.scaling, { maxAwake: 2, minAwake: 0, sleepAfterSeconds: 300, headroom: 'Standard' });
    assert.deepEqual(made.spec.serving, { concurrency: 8, drainSeconds: 30, sleep: 'Auto' });
    assert.deepEqual(made.spec.version.engine, { name: 'Llama' });
    assert.deepEqual(made.spec.pools, ['default']);
    assert.equal(made.spec.pinPolicy, 'ResolveOnce');
  });

  test('a null takes the default', async () => {
    const made = await session.create(Model, model(session.name('null'), { spec: { pinPolicy: null } }));
    assert.equal(made.spec.pinPolicy, 'ResolveOnce');
  });

  test('an unknown field is dropped with a warning, or refused when the client says Strict', async () => {
    const name = session.name('unknown');
    const sent = model(name, { spec: { naem: 1 } });
    const strict = await session.expect(400, 'POST', `${session.path(Model)}?fieldValidation=Strict`, { body: sent });
    assert.match(strict.message, /strict decoding error: unknown field "spec\.naem"/);
    const warned = await session.send('POST', `${session.path(Model)}?fieldValidation=Warn`, { body: sent });
    assert.equal(warned.status, 201);
    assert.deepEqual(warned.warnings, ['unknown field "spec.naem"']);
    assert.equal(warned.body.spec.naem, undefined);
    const ignored = await session.send('PATCH', `${session.path(Model, name)}?fieldValidation=Ignore`, {
      body: { spec: { naem: 1 } },
      type: 'merge',
    });
    assert.deepEqual(ignored.warnings, []);
  });

  test('servedName cannot be changed, and says why', async () => {
    const name = session.name('served');
    await session.create(Model, model(name));
    const body = await session.expect(422, 'PATCH', session.path(Model, name), {
      type: 'merge',
      body: { spec: { servedName: 'other' } },
    });
    assert.match(body.message, /spec\.servedName: .*cannot be changed/);
    assert.equal(body.details.causes[0].field, 'spec.servedName');
    const reserved = await session.expect(422, 'POST', session.path(Model), {
      body: model(session.name('served'), { spec: { servedName: 'task/x' } }),
    });
    assert.match(reserved.message, /must not begin with task\//);
  });

  test('the spec of a revision cannot be changed, its labels can', async () => {
    const name = session.name('revision');
    await session.create(ModelRevision, revision(name));
    const body = await session.expect(422, 'PATCH', session.path(ModelRevision, name), {
      type: 'merge',
      body: { spec: { contextLength: 512 } },
    });
    assert.match(body.message, /spec: .*cannot be changed/);
    const labelled = await session.merge(ModelRevision, name, { metadata: { labels: { a: 'b' } } });
    assert.equal(labelled.metadata.generation, 1);
  });

  test('a pool holds its rule on update too', async () => {
    const name = session.name('pool');
    await session.create(Pool, { apiVersion: 'stoker.dev/v1alpha1', kind: 'Pool', metadata: { name }, spec: {} });
    const body = await session.expect(422, 'PATCH', session.path(Pool, name), {
      type: 'merge',
      body: { spec: { slots: { min: 5 } } },
    });
    assert.match(body.message, /min must not be above max/);
  });

  test('an immutable ConfigMap and Secret stay as they are', async () => {
    for (const [kind, object] of [
      [ConfigMap, configMap(session.name('fixed'), { a: '1' })],
      [Secret, { apiVersion: 'v1', kind: 'Secret', metadata: { name: session.name('fixed') }, data: { a: 'MQ==' } }],
    ] as const) {
      const { metadata } = await session.create(kind, { ...object, immutable: true });
      const path = session.path(kind, metadata.name);
      const body = await session.expect(422, 'PATCH', path, { type: 'merge', body: { data: { a: 'Mg==' } } });
      assert.match(body.message, /field is immutable when `immutable` is set/);
      await session.expect(200, 'PATCH', path, { type: 'merge', body: { metadata: { labels: { a: 'b' } } } });
    }
  });

  test('a Pod may change its image and no other part of its spec', async () => {
    const name = session.name('pod');
    await session.create(Pod, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name },
      spec: {
        nodeName: 'nowhere',
        terminationGracePeriodSeconds: 0,
        containers: [{ name: 'a', image: 'none.invalid/a:1' }],
      },
    });
    const path = session.path(Pod, name);
    const other = await session.expect(422, 'PATCH', path, {
      type: 'merge',
      body: { spec: { nodeName: 'elsewhere' } },
    });
    assert.match(other.message, /pod updates may not change fields other than/);
    const image = [{ op: 'replace', path: '/spec/containers/0/image', value: 'none.invalid/a:2' }];
    const changed = await session.expect(200, 'PATCH', path, { type: 'json', body: image });
    assert.equal(changed.spec.containers[0].image, 'none.invalid/a:2');
    assert.equal(changed.status.phase, 'Pending');
  });
}

function revision(name: string): Json {
  const hex = 'ab'.repeat(32);
  return {
    apiVersion: 'stoker.dev/v1alpha1',
    kind: 'ModelRevision',
    metadata: { name },
    spec: {
      modelName: 'some',
      digest: `v1:sha256:${hex}`,
      weights: { path: '/models/some.gguf', sizeBytes: 1, sha256: hex },
      engine: { name: 'Llama', build: 'builtin:1' },
      contextLength: 1024,
    },
  };
}

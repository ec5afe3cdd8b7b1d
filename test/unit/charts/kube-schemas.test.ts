// How the documents of Kubernetes become schemas, on documents of our own: nothing is fetched and no cache is read.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { convertDocuments } from '../../../scripts/kube-schemas/convert.ts';
import { minorVersions, schemaReleases } from '../../../scripts/kube-schemas/schema-set.ts';
import type { RenderedObject } from '../../support/helm.ts';
import { makeKubeJudge } from '../../support/kube-schemas.ts';

type Properties = Readonly<Record<string, unknown>>;

const refer = (name: string) => ({ allOf: [{ $ref: `#/components/schemas/${name}` }], default: {} });
const metaName = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta';
const quantity = 'io.k8s.apimachinery.pkg.api.resource.Quantity';
const extensions = 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1';

function makeDocument(properties: Properties, more: Properties = {}, version = 'v1') {
  const thing = {
    type: 'object',
    description: 'A thing.',
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: refer(metaName),
      ...properties,
    },
    'x-kubernetes-group-version-kind': [{ group: 'example', version, kind: 'Thing' }],
  };
  const meta = { type: 'object', properties: { name: { type: 'string' } } };
  return { components: { schemas: { Thing: thing, [metaName]: meta, ...more } } };
}

function faultsOf(document: ReturnType<typeof makeDocument>, fields: Properties): readonly string[] {
  const object: RenderedObject = { apiVersion: 'example/v1', kind: 'Thing', metadata: { name: 'one' }, ...fields };
  return makeKubeJudge('1.x', convertDocuments([document]))(object).faults;
}

describe('the schemas of Kubernetes', () => {
  it('hold the stable kinds and what they need, and nothing else', () => {
    const document = makeDocument({ size: refer(quantity) }, { Other: { type: 'object' }, [quantity]: { oneOf: [] } });
    const { kinds, definitions } = convertDocuments([document]);
    assert.deepEqual(kinds, { 'example/v1 Thing': 'Thing' });
    assert.deepEqual(Object.keys(definitions).sort(), ['Thing', metaName, quantity].sort());
    assert.deepEqual(convertDocuments([makeDocument({}, {}, 'v1beta1')]).kinds, {});
  });

  it('refuse what they do not understand', () => {
    const table: readonly (readonly [Properties, Properties, RegExp])[] = [
      [{ spec: { oneOf: [{ type: 'string' }] } }, {}, /^Error: Thing\.spec has oneOf: .*, which convert\.ts lacks\.$/],
      [{ spec: { type: 'string', format: 'moon' } }, {}, /Thing\.spec has format: "moon"/],
      [{ spec: { type: 'array', items: { not: {} } } }, {}, /Thing\.spec\.items has not/],
      [{ spec: refer('Absent') }, {}, /no definition Absent/],
      [{ spec: refer('Anything') }, { Anything: { description: 'Any.' } }, /Anything has no type/],
    ];
    for (const [properties, more, sentence] of table) {
      assert.throws(() => convertDocuments([makeDocument(properties, more)]), sentence);
    }
  });

  it('are closed, through references that lead back to where they began', () => {
    const tree = {
      type: 'object',
      properties: { inner: refer('Tree'), list: { type: 'array', items: refer('Tree') } },
    };
    const document = makeDocument({ spec: refer('Tree') }, { Tree: tree });
    assert.deepEqual(faultsOf(document, { spec: { inner: { list: [{ inner: {} }] } } }), []);
    assert.deepEqual(faultsOf(document, { spec: { inner: { list: [{ iner: {} }] } }, sepc: 1 }), [
      'Kubernetes 1.x, example/v1 Thing one: unknown field spec.inner.list[0].iner',
      'Kubernetes 1.x, example/v1 Thing one: unknown field sepc',
    ]);
  });

  it('know quantities, bytes and whole numbers of 32 bits', () => {
    const document = makeDocument(
      { size: refer(quantity), data: { type: 'string', format: 'byte' }, count: { type: 'integer', format: 'int32' } },
      { [quantity]: { oneOf: [{ type: 'string' }, { type: 'number' }] } },
    );
    for (const size of [2, '2', '-1.5Gi', '.5', '100m', '1e3', '12E', '3Ei'])
      assert.deepEqual(faultsOf(document, { size }), []);
    for (const size of ['', 'x', '1GB', '1 Gi', '1.2.3', 'm', true])
      assert.equal(faultsOf(document, { size }).length, 1);
    assert.deepEqual(faultsOf(document, { data: 'aGk=', count: 2_147_483_647 }), []);
    assert.equal(faultsOf(document, { data: 'hi!', count: 2_147_483_648 }).length, 2);
  });

  it('judge definitions of kinds to their depths, and leave open what has no form', () => {
    const props = {
      type: 'object',
      properties: {
        type: { type: 'string' },
        default: refer(`${extensions}.JSON`),
        items: refer(`${extensions}.JSONSchemaPropsOrArray`),
      },
    };
    const document = makeDocument(
      { schema: refer(`${extensions}.JSONSchemaProps`) },
      {
        [`${extensions}.JSONSchemaProps`]: props,
        [`${extensions}.JSONSchemaPropsOrArray`]: {},
        [`${extensions}.JSON`]: {},
      },
    );
    assert.deepEqual(faultsOf(document, { schema: { items: { items: { default: { any: [1] } } } } }), []);
    assert.match(
      faultsOf(document, { schema: { items: { items: { typ: 'x' } } } }).join(),
      /schema\.items\.items\.typ$/,
    );
  });

  it('skip what is not of Kubernetes by name, and never a kind that nobody listed', () => {
    const judge = makeKubeJudge('1.x', convertDocuments([makeDocument({})]));
    const metadata = { name: 'one' };
    assert.deepEqual(judge({ apiVersion: 'stoker.dev/v1alpha1', kind: 'Pool', metadata }), {
      faults: [],
      unjudged: 'stoker.dev/v1alpha1 Pool',
    });
    for (const [apiVersion, kind] of [
      ['stoker.dev/v1', 'Pool'],
      ['example/v1', 'constructor'],
    ] as const) {
      assert.match(
        judge({ apiVersion, kind, metadata }).faults.join(),
        /there is no such kind, or it is off by default$/,
      );
    }
  });

  it('are of one release of each minor version', () => {
    for (const minor of minorVersions) assert.ok(schemaReleases[minor].startsWith(`${minor}.`));
  });
});

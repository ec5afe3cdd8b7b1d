// The OpenAPI v3 documents of the served kinds, one for each group and version: what kubectl needs for explain, for
// validation and to know that dry runs are possible. Built once and kept as text.
import { createHash } from 'node:crypto';
import { apiVersionOf, type ResourceDefinition, type Schema } from './definition.ts';
import type { KindRegistry } from './kind-registry.ts';
import { metadataSchema } from './metadata-schema.ts';

export interface OpenApiDocument {
  readonly text: string;
  readonly etag: string;
}

const METADATA_NAME = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta';
const bodyTypes = ['application/json'];
const patchTypes = ['application/json-patch+json', 'application/merge-patch+json'];
const queries = ['dryRun', 'fieldManager', 'fieldValidation', 'pretty'];

/** By path: the index at /openapi/v3, and each document. */
export function renderOpenApi(registry: KindRegistry): ReadonlyMap<string, OpenApiDocument> {
  const byVersion = new Map<string, ResourceDefinition[]>();
  for (const definition of registry.definitions) {
    const root = rootOf(definition);
    byVersion.set(root, [...(byVersion.get(root) ?? []), definition]);
  }
  const documents = [...byVersion].map(([root, definitions]) => ({
    root,
    document: keep(renderDocument(definitions)),
  }));
  const paths = documents.map(({ root, document }) => [
    root,
    { serverRelativeURL: `/openapi/v3/${root}?hash=${document.etag}` },
  ]);
  const pages = new Map(documents.map(({ root, document }) => [`/openapi/v3/${root}`, document]));
  return pages.set('/openapi/v3', keep({ paths: Object.fromEntries(paths) as object }));
}

function keep(value: object): OpenApiDocument {
  const text = JSON.stringify(value);
  return { text, etag: createHash('sha256').update(text).digest('hex').slice(0, 32).toUpperCase() };
}

/** `api/v1`, `apis/stoker.dev/v1alpha1`. */
function rootOf(definition: ResourceDefinition): string {
  return definition.group === '' ? `api/${definition.version}` : `apis/${apiVersionOf(definition)}`;
}

function renderDocument(definitions: readonly ResourceDefinition[]): object {
  const schemas = definitions.flatMap((definition) => Object.entries(renderSchemas(definition)));
  const paths = definitions.flatMap((definition) => Object.entries(renderPaths(definition)));
  return {
    openapi: '3.0.0',
    info: { title: 'Stoker', version: 'unversioned' },
    paths: Object.fromEntries(paths),
    components: { schemas: { ...Object.fromEntries(schemas), [METADATA_NAME]: metadataSchema } },
  };
}

/** `dev.stoker.v1alpha1.Model`; kinds of the core are under io.k8s.api. */
function schemaName({ group, version, kind }: ResourceDefinition): string {
  const prefix = group === '' ? 'io.k8s.api.core' : group.split('.').reverse().join('.');
  return `${prefix}.${version}.${kind}`;
}

function identityOf({ group, version, kind }: ResourceDefinition): object {
  return { group, version, kind };
}

function renderSchemas(definition: ResourceDefinition): Readonly<Record<string, object>> {
  const name = schemaName(definition);
  const { schema } = definition;
  const metadata = {
    allOf: [{ $ref: `#/components/schemas/${METADATA_NAME}` }],
    default: {},
    description: metadataSchema.description,
  };
  const identity = [identityOf(definition)];
  const properties: Readonly<Record<string, Schema | object>> = { ...schema.properties, metadata };
  return {
    [name]: { ...schema, properties, 'x-kubernetes-group-version-kind': identity },
    [`${name}List`]: {
      type: 'object',
      description: `A list of ${definition.kind}.`,
      properties: {
        apiVersion: { type: 'string' },
        kind: { type: 'string' },
        metadata: { type: 'object' },
        items: { type: 'array', items: { $ref: `#/components/schemas/${name}` } },
      },
      required: ['items'],
      'x-kubernetes-group-version-kind': [{ ...identityOf(definition), kind: `${definition.kind}List` }],
    },
  };
}

function renderPaths(definition: ResourceDefinition): Readonly<Record<string, object>> {
  const root = `/${rootOf(definition)}`;
  const collection = definition.namespaced
    ? `${root}/namespaces/{namespace}/${definition.plural}`
    : `${root}/${definition.plural}`;
  const body = content(bodyTypes, definition);
  const operation = (action: string, more: object) => ({
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': identityOf(definition),
    responses: { 200: { description: 'OK', content: body } },
    ...more,
  });
  const parameters = queries.map((name) => ({ name, in: 'query', schema: { type: 'string', uniqueItems: true } }));
  const item = {
    get: operation('get', {}),
    put: operation('put', { parameters, requestBody: { content: body, required: true } }),
    patch: operation('patch', { parameters, requestBody: { content: content(patchTypes, undefined), required: true } }),
    delete: operation('delete', { parameters }),
  };
  const many = {
    get: operation('list', {}),
    post: operation('post', { parameters, requestBody: { content: body, required: true } }),
  };
  const { status, scale } = definition.subresources;
  const { delete: _delete, ...partial } = item;
  return {
    ...(definition.namespaced ? { [`${root}/${definition.plural}`]: { get: operation('list', {}) } } : {}),
    [collection]: many,
    [`${collection}/{name}`]: item,
    ...(status === true ? { [`${collection}/{name}/status`]: partial } : {}),
    ...(scale === undefined ? {} : { [`${collection}/{name}/scale`]: scalePart() }),
  };
}

function content(types: readonly string[], definition: ResourceDefinition | undefined): object {
  const schema =
    definition === undefined ? { type: 'object' } : { $ref: `#/components/schemas/${schemaName(definition)}` };
  return Object.fromEntries(types.map((type) => [type, { schema }]));
}

function scalePart(): object {
  const identity = { group: 'autoscaling', version: 'v1', kind: 'Scale' };
  const responses = { 200: { description: 'OK', content: content(['application/json'], undefined) } };
  const operation = (action: string) => ({
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': identity,
    responses,
  });
  return { get: operation('get'), put: operation('put'), patch: operation('patch') };
}

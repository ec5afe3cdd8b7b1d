// Judges objects by the published schemas of one version of Kubernetes, with the judge of our own API server: unknown
// fields, wrong types, missing fields, duplicates in lists that have keys. Reads .cache/kube-schemas; fetches nothing.
import {
  type MinorVersion,
  readSchemas,
  type SchemaSet,
  type StoredSchema,
} from '../../scripts/kube-schemas/schema-set.ts';
import type { Schema } from '../../src/local/api/definition.ts';
import { judgeSchema } from '../../src/local/api/schema-judge.ts';
import { prune } from '../../src/local/api/schema-shape.ts';
import type { RenderedObject } from './helm.ts';

/** Kinds that come with something else than Kubernetes: ours, the operator's of Prometheus, the Gateway API's. */
const foreignKinds: ReadonlySet<string> = new Set([
  'stoker.dev/v1alpha1 Pool',
  'stoker.dev/v1alpha1 Model',
  'monitoring.coreos.com/v1 ServiceMonitor',
  'monitoring.coreos.com/v1 PodMonitor',
  'monitoring.coreos.com/v1 PrometheusRule',
  'gateway.networking.k8s.io/v1 HTTPRoute',
]);

interface Judgement {
  /** Sentences; none when the version takes the object. */
  readonly faults: readonly string[];
  /** The kind, where Kubernetes has no schema for it. */
  readonly unjudged?: string;
}

export type KubeJudge = (object: RenderedObject) => Judgement;

export function loadKubeJudge(minor: MinorVersion): KubeJudge {
  return makeKubeJudge(minor, readSchemas(minor));
}

export function makeKubeJudge(version: string, set: SchemaSet): KubeJudge {
  const definitions = link(set.definitions);
  return (object) => {
    const kind = `${object.apiVersion} ${object.kind}`;
    if (foreignKinds.has(kind)) return { faults: [], unjudged: kind };
    const schema = Object.hasOwn(set.kinds, kind) ? definitions.get(set.kinds[kind] ?? '') : undefined;
    const where = `Kubernetes ${version}, ${kind} ${object.metadata?.name}`;
    if (schema === undefined) return { faults: [`${where}: there is no such kind, or it is off by default`] };
    return { faults: findFaults(schema, object).map((fault) => `${where}: ${fault}`) };
  };
}

function findFaults(schema: Schema, object: RenderedObject): string[] {
  const unknown = prune(schema, object).unknown.map((path) => `unknown field ${path}`);
  const wrong = judgeSchema(schema, object).map(({ field, message }) => `${field}: ${message}`);
  return [...unknown, ...wrong];
}

/** Definitions name one another, and themselves. Each becomes one object, and a reference the object itself. */
function link(stored: SchemaSet['definitions']): ReadonlyMap<string, Schema> {
  const made = new Map<string, Schema>(Object.keys(stored).map((name) => [name, {}]));
  const linkOne = (schema: StoredSchema): Schema => {
    const { $ref, properties, items, additionalProperties, ...plain } = schema;
    if ($ref !== undefined) return find($ref);
    return {
      ...plain,
      ...(properties && {
        properties: Object.fromEntries(Object.entries(properties).map(([name, inner]) => [name, linkOne(inner)])),
      }),
      ...(items && { items: linkOne(items) }),
      ...(additionalProperties && { additionalProperties: linkOne(additionalProperties) }),
    };
  };
  const find = (name: string): Schema => {
    const schema = made.get(name);
    if (schema === undefined)
      throw new Error(`The schemas lack ${name}: remove .cache/kube-schemas and make them anew.`);
    // A definition may be no more than another name.
    const { $ref } = stored[name] ?? {};
    return $ref === undefined ? schema : find($ref);
  };
  for (const [name, schema] of made) Object.assign(schema, linkOne(stored[name] ?? {}));
  return made;
}

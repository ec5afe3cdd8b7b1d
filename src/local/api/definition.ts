// What the server has to know of a kind to serve it: names, schema, columns, rules. The kinds of Kubernetes that are
// built in and the kinds that are passed in have the same form. Holds no objects.
import type { JsonObject } from './json-value.ts';

export interface ObjectMetadata {
  readonly name: string;
  readonly namespace?: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly creationTimestamp: string;
  readonly generateName?: string;
  readonly generation?: number;
  readonly deletionTimestamp?: string;
  readonly deletionGracePeriodSeconds?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly finalizers?: readonly string[];
  readonly ownerReferences?: readonly OwnerReference[];
}

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

/** An object that passed its schema. Never changed in place. */
export interface ApiObject extends JsonObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMetadata;
}

/** The part of OpenAPI v3 that structural schemas use. */
export interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly format?: string;
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly nullable?: boolean;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema;
  readonly items?: Schema;
  readonly 'x-kubernetes-list-type'?: string;
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean;
  readonly 'x-kubernetes-int-or-string'?: boolean;
}

export type Cell = string | number | boolean | null;

export interface PrinterColumn {
  readonly name: string;
  readonly type: string;
  /** Where the cell's value lies, unless `cell` says. */
  readonly jsonPath?: string;
  /** Above 0: shown by `-o wide` alone. */
  readonly priority?: number;
  readonly description?: string;
  /** The cell as code, for what a path cannot say. */
  readonly cell?: (object: ApiObject, nowMs: number) => Cell;
}

export interface ScalePaths {
  readonly specReplicasPath: string;
  readonly statusReplicasPath: string;
  readonly labelSelectorPath?: string;
}

/** What is wrong with an object: where (`spec.pools[0]`, empty for the whole) and a sentence whose subject is the path. */
export interface Problem {
  readonly path: string;
  readonly message: string;
}

export interface ResourceDefinition {
  /** Empty for the kinds of Kubernetes' core. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories?: readonly string[];
  readonly namespaced: boolean;
  readonly schema: Schema;
  /** After the name, which is always the first column. */
  readonly printerColumns: readonly PrinterColumn[];
  readonly subresources: { readonly status?: boolean; readonly scale?: ScalePaths };
  /** Rules over several fields; asked only when the schema found nothing. `old` is what the object replaces. */
  readonly validate?: (object: unknown, old?: unknown) => readonly Problem[];
  /** Fills in what a schema's defaults cannot say. */
  readonly defaulting?: (object: JsonObject) => JsonObject;
  /** Field selectors beyond metadata.name and metadata.namespace. */
  readonly selectableFields?: readonly string[];
  /** What Kubernetes does for this kind differently from custom resources. Unset: a custom resource. */
  readonly builtIn?: BuiltInTraits;
}

export interface BuiltInTraits {
  /** metadata.generation counts the changes of the spec. */
  readonly countsGenerations: boolean;
  /** PUT may come without a resourceVersion. */
  readonly unconditionalUpdate: boolean;
  /** The seconds that a DELETE leaves before somebody else finishes it; without it, objects go at once. */
  readonly graceSeconds?: (object: ApiObject) => number;
  /** What a new object says of itself before anybody looked at it. */
  readonly initialStatus?: JsonObject;
  /** A namespace: it goes only when nothing is left in it. */
  readonly holdsObjects?: boolean;
  /** The longest name is 63 instead of 253 characters, without dots. */
  readonly namedByLabel?: boolean;
}

export function apiVersionOf({ group, version }: Pick<ResourceDefinition, 'group' | 'version'>): string {
  return group === '' ? version : `${group}/${version}`;
}

/** `models.stoker.dev`, or `pods` in the core group: how sentences and the store name a kind. */
export function resourceName({ group, plural }: Pick<ResourceDefinition, 'group' | 'plural'>): string {
  return group === '' ? plural : `${plural}.${group}`;
}

export function countsGenerations(definition: ResourceDefinition): boolean {
  return definition.builtIn?.countsGenerations ?? true;
}

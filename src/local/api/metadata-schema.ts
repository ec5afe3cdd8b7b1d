// The schema and rules of metadata, which all kinds share: names, labels, annotations, finalizers, owners.
// Judges only; object-form.ts says which fields a client may set.
import type { ResourceDefinition, Schema } from './definition.ts';
import { asObject, isObject, type JsonObject, member } from './json-value.ts';
import { judgeSchema, shorten } from './schema-judge.ts';
import type { StatusCause } from './status-error.ts';

const ANNOTATION_BYTES_MAX = 256 * 1024;
const LABEL_VALUE = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;
const QUALIFIED_NAME = /^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const SUBDOMAIN_CHARS_MAX = 253;

const text = (description: string): Schema => ({ type: 'string', description });
const time = (description: string): Schema => ({ type: 'string', format: 'date-time', nullable: true, description });
const textMap = (description: string): Schema => ({
  type: 'object',
  nullable: true,
  additionalProperties: { type: 'string' },
  description,
});

export const ownerReferenceSchema: Schema = {
  type: 'object',
  description: 'An object that this one belongs to and is removed with.',
  required: ['apiVersion', 'kind', 'name', 'uid'],
  properties: {
    apiVersion: text('The owner’s group and version.'),
    kind: text('The owner’s kind.'),
    name: text('The owner’s name.'),
    uid: text('The owner’s uid: another object of the same name is not the owner.'),
    controller: {
      type: 'boolean',
      nullable: true,
      description: 'Whether this owner manages the object. At most one does.',
    },
    blockOwnerDeletion: {
      type: 'boolean',
      nullable: true,
      description: 'Whether a foreground deletion of the owner waits for this object.',
    },
  },
};

export const metadataSchema: Schema = {
  type: 'object',
  description: 'What all objects have: names, labels, owners, times.',
  properties: {
    name: text('The name, unique within a namespace. Cannot be changed.'),
    generateName: text('The beginning of a name that the server completes, when there is no name.'),
    namespace: text('The namespace that the object is in.'),
    selfLink: text('No longer used.'),
    uid: text('Tells this object from every other, also of the same name. Set by the server.'),
    resourceVersion: text('Changes with every write. A write that names an older one is refused.'),
    generation: { type: 'integer', format: 'int64', description: 'Counts the changes of the spec. Set by the server.' },
    creationTimestamp: time('When the object was made. Set by the server.'),
    deletionTimestamp: time('When the object has to be gone. Set by the server when it is deleted.'),
    deletionGracePeriodSeconds: {
      type: 'integer',
      format: 'int64',
      nullable: true,
      description: 'The seconds that it was given for that. Set by the server.',
    },
    labels: textMap('Words to select objects by.'),
    annotations: textMap('Anything else that programs note about the object.'),
    finalizers: {
      type: 'array',
      nullable: true,
      items: { type: 'string' },
      description: 'Who has to finish something before the object is gone.',
    },
    ownerReferences: {
      type: 'array',
      nullable: true,
      items: ownerReferenceSchema,
      description: 'What the object belongs to.',
    },
    managedFields: {
      type: 'array',
      nullable: true,
      items: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
      description: 'Not kept by this server.',
    },
  },
};

/** Everything that is wrong with the metadata of an object that is about to be written. */
export function judgeMetadata(definition: ResourceDefinition, metadata: JsonObject): StatusCause[] {
  const misshapen = judgeSchema(metadataSchema, metadata);
  if (misshapen.length > 0) return misshapen.map((cause) => ({ ...cause, field: `metadata.${cause.field}` }));
  return [
    ...judgeName(definition, String(metadata.name ?? '')),
    ...judgeLabels(asObject(metadata.labels)),
    ...judgeAnnotations(asObject(metadata.annotations)),
    ...judgeFinalizers(metadata.finalizers),
    ...judgeOwners(metadata.ownerReferences),
  ];
}

function judgeName(definition: ResourceDefinition, name: string): StatusCause[] {
  const isLabel = definition.builtIn?.namedByLabel === true;
  const holds = isLabel ? DNS_LABEL.test(name) : name.length <= SUBDOMAIN_CHARS_MAX && SUBDOMAIN.test(name);
  if (holds) return [];
  const rule = isLabel
    ? "a lowercase RFC 1123 label must consist of at most 63 lower case alphanumeric characters or '-', and must start and end with an alphanumeric character"
    : "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
  return [wrong('metadata.name', name, rule)];
}

function judgeLabels(labels: JsonObject): StatusCause[] {
  return Object.entries(labels).flatMap(([key, value]) => {
    if (!QUALIFIED_NAME.test(key))
      return [
        wrong('metadata.labels', key, 'a label key must be a qualified name of at most 63 characters after its prefix'),
      ];
    if (LABEL_VALUE.test(String(value))) return [];
    return [
      wrong(
        'metadata.labels',
        value,
        "a valid label must be an empty string or consist of at most 63 alphanumeric characters, '-', '_' or '.'",
      ),
    ];
  });
}

function judgeAnnotations(annotations: JsonObject): StatusCause[] {
  const entries = Object.entries(annotations);
  const bytes = entries.reduce((sum, [key, value]) => sum + key.length + Buffer.byteLength(String(value)), 0);
  const keys = entries
    .filter(([key]) => !QUALIFIED_NAME.test(key.toLowerCase()))
    .map(([key]) => wrong('metadata.annotations', key, 'an annotation key must be a qualified name'));
  if (bytes <= ANNOTATION_BYTES_MAX) return keys;
  const message = `Too long: may not be more than ${ANNOTATION_BYTES_MAX} bytes`;
  return [...keys, { reason: 'FieldValueTooLong', message, field: 'metadata.annotations' }];
}

/** Finalizers that Kubernetes itself knows need no prefix. */
const standardFinalizers = new Set(['orphan', 'foregroundDeletion', 'kubernetes']);

function judgeFinalizers(finalizers: unknown): StatusCause[] {
  const names = Array.isArray(finalizers) ? finalizers.map(String) : [];
  return names
    .filter((name) => !standardFinalizers.has(name) && !(QUALIFIED_NAME.test(name) && name.includes('/')))
    .map((name) =>
      wrong('metadata.finalizers', name, 'name is neither a standard finalizer name nor is it fully qualified'),
    );
}

function judgeOwners(owners: unknown): StatusCause[] {
  const list = Array.isArray(owners) ? owners.filter(isObject) : [];
  const empty = list.flatMap((owner, at) =>
    ['apiVersion', 'kind', 'name', 'uid']
      .filter((field) => member(owner, field) === '')
      .map((field) => wrong(`metadata.ownerReferences[${at}].${field}`, '', 'must not be empty')),
  );
  if (list.filter((owner) => owner.controller === true).length <= 1) return empty;
  return [...empty, wrong('metadata.ownerReferences', list, 'Only one reference can have Controller set to true')];
}

function wrong(field: string, value: unknown, rule: string): StatusCause {
  return { reason: 'FieldValueInvalid', message: `Invalid value: ${shorten(value)}: ${rule}`, field };
}

// Secrets and ConfigMaps.
import { isDeepStrictEqual } from 'node:util';
import type { ApiObject, PrinterColumn, Problem, ResourceDefinition } from '../definition.ts';
import { asObject, type JsonObject, member, withMember } from '../json-value.ts';
import { flag, text, textMap, wholeObject } from './schema-parts.ts';

const KEY = /^[-._a-zA-Z0-9]{1,253}$/;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const CHARS_MAX = 1024 * 1024;
const TYPE = 'Opaque';

const immutable = flag('Whether the content can no longer be changed.');
const age: PrinterColumn = {
  name: 'Age',
  type: 'date',
  jsonPath: '.metadata.creationTimestamp',
  description: 'When it was made.',
};
const traits = { countsGenerations: false, unconditionalUpdate: true };

export const secretDefinition: ResourceDefinition = {
  group: '',
  version: 'v1',
  kind: 'Secret',
  plural: 'secrets',
  singular: 'secret',
  shortNames: [],
  namespaced: true,
  schema: wholeObject('Keys, tokens and passwords.', {
    type: text('What it is for.', { default: TYPE }),
    data: textMap('The content, each value in base64.'),
    stringData: textMap('Content as plain text; written into data, never read.'),
    immutable,
  }),
  printerColumns: [
    { name: 'Type', type: 'string', jsonPath: '.type', description: 'What it is for.' },
    { name: 'Data', type: 'string', description: 'How many keys it has.', cell: countCell },
    age,
  ],
  subresources: {},
  selectableFields: ['type'],
  defaulting: encodeText,
  validate: (secret, old) => [
    ...judgeKeys(secret, 'data'),
    ...Object.entries(asObject(member(secret, 'data')))
      .filter(([, value]) => !BASE64.test(String(value)))
      // The value stays out of the sentence.
      .map(([key]) => ({ path: '', message: `data[${key}] must be base64` })),
    ...judgeSize(secret),
    ...judgeFrozen(secret, old),
  ],
  builtIn: traits,
};

export const configMapDefinition: ResourceDefinition = {
  group: '',
  version: 'v1',
  kind: 'ConfigMap',
  plural: 'configmaps',
  singular: 'configmap',
  shortNames: ['cm'],
  namespaced: true,
  schema: wholeObject('Configuration as texts.', {
    data: textMap('The content.'),
    binaryData: textMap('Content that is no text, each value in base64.'),
    immutable,
  }),
  printerColumns: [{ name: 'Data', type: 'string', description: 'How many keys it has.', cell: countCell }, age],
  subresources: {},
  validate: (map, old) => [
    ...judgeKeys(map, 'data'),
    ...judgeKeys(map, 'binaryData'),
    ...judgeSize(map),
    ...judgeFrozen(map, old),
  ],
  builtIn: traits,
};

function countCell(object: ApiObject): string {
  return String(Object.keys({ ...asObject(object.data), ...asObject(object.binaryData) }).length);
}

/** stringData wins over data, and is not kept. */
function encodeText(secret: JsonObject): JsonObject {
  const texts = Object.entries(asObject(secret.stringData));
  if (texts.length === 0) return withMember(secret, 'stringData', undefined);
  const encoded = texts.map(([key, value]): [string, unknown] => [key, Buffer.from(String(value)).toString('base64')]);
  const data = { ...asObject(secret.data), ...Object.fromEntries(encoded) };
  return { ...withMember(secret, 'stringData', undefined), data };
}

function judgeKeys(object: unknown, field: string): readonly Problem[] {
  return Object.keys(asObject(member(object, field)))
    .filter((key) => !KEY.test(key))
    .map((key) => ({
      path: '',
      message: `${field}[${key.slice(0, 64)}]: a valid config key must consist of alphanumeric characters, '-', '_' or '.'`,
    }));
}

function judgeSize(object: unknown): readonly Problem[] {
  const values = [
    ...Object.values(asObject(member(object, 'data'))),
    ...Object.values(asObject(member(object, 'binaryData'))),
  ];
  const chars = values.reduce<number>((sum, value) => sum + String(value).length, 0);
  return chars <= CHARS_MAX ? [] : [{ path: '', message: `Too long: data may not be more than ${CHARS_MAX} bytes` }];
}

function judgeFrozen(object: unknown, old: unknown): readonly Problem[] {
  if (member(old, 'immutable') !== true) return [];
  return ['immutable', 'data', 'binaryData']
    .filter((field) => !isDeepStrictEqual(member(object, field), member(old, field)))
    .map((field) => ({ path: '', message: `${field}: field is immutable when \`immutable\` is set` }));
}

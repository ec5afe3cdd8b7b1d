// Reads the protobuf bodies that kubectl sends whatever the server says it speaks: `create` of four small kinds, and
// `auth can-i`. Everything else in protobuf is refused with a sentence. Untrusted bytes; nothing is written in protobuf.
import type { JsonObject } from './json-value.ts';
import { badRequest, unsupportedMediaType } from './status-error.ts';

type Field =
  | { readonly name: string; readonly type: 'text' | 'bytes' | 'flag' }
  | { readonly name: string; readonly type: 'texts' }
  | { readonly name: string; readonly type: 'map'; readonly values: 'text' | 'bytes' }
  | { readonly name: string; readonly type: 'message'; readonly fields: Fields };
/** By field number; numbers that are missing are skipped. */
type Fields = Readonly<Record<number, Field>>;

const text = (name: string): Field => ({ name, type: 'text' });
const flag = (name: string): Field => ({ name, type: 'flag' });
const map = (name: string, values: 'text' | 'bytes' = 'text'): Field => ({ name, type: 'map', values });
const message = (name: string, fields: Fields): Field => ({ name, type: 'message', fields });

// Numbers of k8s.io/apimachinery/pkg/runtime and of k8s.io/api, generated.proto.
const envelope: Fields = {
  1: message('typeMeta', { 1: text('apiVersion'), 2: text('kind') }),
  2: { name: 'raw', type: 'bytes' },
};
const metadata = message('metadata', {
  1: text('name'),
  2: text('generateName'),
  3: text('namespace'),
  11: map('labels'),
  12: map('annotations'),
  14: { name: 'finalizers', type: 'texts' },
});
const kinds: Readonly<Record<string, Fields>> = {
  'v1/ConfigMap': { 1: metadata, 2: map('data'), 3: map('binaryData', 'bytes'), 4: flag('immutable') },
  'v1/Secret': { 1: metadata, 2: map('data', 'bytes'), 3: text('type'), 4: map('stringData'), 5: flag('immutable') },
  'v1/Namespace': { 1: metadata },
  'v1/ServiceAccount': { 1: metadata, 4: flag('automountServiceAccountToken') },
  'authentication.k8s.io/v1/SelfSubjectReview': {},
  'authorization.k8s.io/v1/SelfSubjectAccessReview': {
    2: message('spec', {
      1: message('resourceAttributes', {
        1: text('namespace'),
        2: text('verb'),
        3: text('group'),
        4: text('version'),
        5: text('resource'),
        6: text('subresource'),
        7: text('name'),
      }),
      2: message('nonResourceAttributes', { 1: text('path'), 2: text('verb') }),
    }),
  },
};

/** The first four bytes of every body in Kubernetes' protobuf. */
const MAGIC = Buffer.from('k8s\0', 'latin1');

/** The object in JSON's form. Throws ApiError 400 for broken bytes, 415 for kinds that are not read. */
export function decodeProtobufBody(bytes: Buffer): JsonObject {
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) throw broken();
  const outer = decodeMessage(bytes.subarray(MAGIC.length), envelope);
  const { apiVersion, kind } = Object.assign({ apiVersion: '', kind: '' }, outer.typeMeta);
  const fields = Object.hasOwn(kinds, `${apiVersion}/${kind}`) ? kinds[`${apiVersion}/${kind}`] : undefined;
  if (fields === undefined) {
    throw unsupportedMediaType(
      'This server does not speak protobuf: send JSON. With kubectl, add --dry-run=client -o json and pipe that into kubectl create -f -',
    );
  }
  const raw = typeof outer.raw === 'string' ? Buffer.from(outer.raw, 'base64') : Buffer.alloc(0);
  return { apiVersion, kind, ...decodeMessage(raw, fields) };
}

/** Lists and maps grow in place: a body may hold very many small entries. */
type Decoded = Map<string, unknown>;

function decodeMessage(bytes: Buffer, fields: Fields): JsonObject {
  const reader = createReader(bytes);
  const decoded: Decoded = new Map();
  while (!reader.isAtEnd()) {
    const { number, value } = reader.field();
    const field = Object.hasOwn(fields, number) ? fields[number] : undefined;
    if (field !== undefined) addField(decoded, field, value);
  }
  const members = [...decoded].map(([name, value]): [string, unknown] => [
    name,
    value instanceof Map ? Object.fromEntries(value) : value,
  ]);
  return Object.fromEntries(members);
}

/** Empty texts are how protobuf says that there is nothing. */
function addField(decoded: Decoded, field: Field, value: Buffer | number): void {
  if (field.type === 'flag') {
    decoded.set(field.name, value !== 0);
    return;
  }
  if (typeof value === 'number') throw broken();
  switch (field.type) {
    case 'text':
      if (value.length > 0) decoded.set(field.name, value.toString('utf8'));
      return;
    case 'bytes':
      decoded.set(field.name, value.toString('base64'));
      return;
    case 'texts':
      addText(decoded, field.name, value.toString('utf8'));
      return;
    case 'map':
      addEntry(decoded, field.name, decodeEntry(value, field.values));
      return;
    case 'message':
      decoded.set(field.name, decodeMessage(value, field.fields));
  }
}

function addText(decoded: Decoded, name: string, text: string): void {
  const list = decoded.get(name);
  if (Array.isArray(list)) list.push(text);
  else decoded.set(name, [text]);
}

function addEntry(decoded: Decoded, name: string, [key, value]: [string, string]): void {
  const entries = decoded.get(name);
  if (entries instanceof Map) entries.set(key, value);
  else decoded.set(name, new Map([[key, value]]));
}

/** One entry of a map is a message of key and value. */
function decodeEntry(bytes: Buffer, values: 'text' | 'bytes'): [string, string] {
  const reader = createReader(bytes);
  const entry = { key: '', value: '' };
  while (!reader.isAtEnd()) {
    const { number, value } = reader.field();
    if (typeof value === 'number') throw broken();
    if (number === 1) entry.key = value.toString('utf8');
    if (number === 2) entry.value = value.toString(values === 'text' ? 'utf8' : 'base64');
  }
  return [entry.key, entry.value];
}

interface Reader {
  isAtEnd(): boolean;
  /** A whole number, or the bytes of everything longer. */
  field(): { readonly number: number; readonly value: Buffer | number };
}

/** https://protobuf.dev/programming-guides/encoding */
function createReader(bytes: Buffer): Reader {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = bytes[at];
      at += 1;
      if (byte === undefined) throw broken();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw broken();
  };
  const take = (length: number): Buffer => {
    if (at + length > bytes.length) throw broken();
    at += length;
    return bytes.subarray(at - length, at);
  };
  const valueFor = (wireType: number): Buffer | number => {
    switch (wireType) {
      case 0:
        return varint();
      case 1:
        return take(8);
      case 2:
        return take(varint());
      case 5:
        return take(4);
      default:
        throw broken();
    }
  };
  return {
    isAtEnd: () => at >= bytes.length,
    field() {
      const key = varint();
      return { number: Math.floor(key / 8), value: valueFor(key % 8) };
    },
  };
}

function broken() {
  return badRequest('the body is not the protobuf of a Kubernetes object');
}

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeProtobufBody } from '../../../../src/local/api/protobuf-body.ts';
import { ApiError } from '../../../../src/local/api/status-error.ts';

const varint = (value: number): number[] =>
  value < 128 ? [value] : [(value % 128) | 0x80, ...varint(Math.floor(value / 128))];
const part = (number: number, content: Uint8Array | string): Buffer => {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  return Buffer.concat([Buffer.from([...varint(number * 8 + 2), ...varint(bytes.length)]), bytes]);
};
const flag = (number: number, value: number) => Buffer.from([number * 8, value]);
const whole = (apiVersion: string, kind: string, raw: Uint8Array) =>
  Buffer.concat([Buffer.from('k8s\0'), part(1, Buffer.concat([part(1, apiVersion), part(2, kind)])), part(2, raw)]);
const entry = (key: string, value: string) => Buffer.concat([part(1, key), part(2, value)]);

test('a ConfigMap and a Secret, as kubectl sends them', () => {
  const metadata = part(
    1,
    Buffer.concat([part(1, 'words'), part(3, ''), part(11, entry('team', 'a')), part(14, 'x/y'), part(14, 'x/z')]),
  );
  const map = Buffer.concat([
    metadata,
    part(2, entry('a', 'b')),
    part(2, entry('c', '')),
    flag(4, 1),
    part(99, 'later'),
  ]);
  assert.deepEqual(decodeProtobufBody(whole('v1', 'ConfigMap', map)), {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'words', labels: { team: 'a' }, finalizers: ['x/y', 'x/z'] },
    data: { a: 'b', c: '' },
    immutable: true,
  });
  const secret = Buffer.concat([part(1, part(1, 'keys')), part(2, entry('key', 'value')), part(3, 'Opaque')]);
  assert.deepEqual(decodeProtobufBody(whole('v1', 'Secret', secret)).data, { key: 'dmFsdWU=' });
});

test('kinds that are not read are 415 with a sentence, broken bytes 400', () => {
  const codeOf = (bytes: Buffer) => {
    try {
      decodeProtobufBody(bytes);
    } catch (error) {
      assert.ok(error instanceof ApiError);
      return error.code;
    }
    return undefined;
  };
  assert.equal(codeOf(whole('v1', 'Pod', Buffer.alloc(0))), 415);
  assert.equal(codeOf(whole('v1', '__proto__', Buffer.alloc(0))), 415);
  const map = whole('v1', 'ConfigMap', part(1, part(1, 'words')));
  assert.equal(codeOf(map), undefined);
  assert.equal(codeOf(map.subarray(0, map.length - 1)), 400);
  assert.equal(codeOf(Buffer.from('k8s\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff', 'latin1')), 400);
  assert.equal(codeOf(Buffer.from('nothing')), 400);
});

test('very many entries take time in proportion', () => {
  const entries = Array.from({ length: 60_000 }, (_, at) => part(2, entry(`k${at}`, 'v')));
  const startMs = performance.now();
  const decoded = decodeProtobufBody(whole('v1', 'ConfigMap', Buffer.concat(entries)));
  assert.ok(performance.now() - startMs < 3000);
  assert.equal(Object.keys(decoded.data as object).length, 60_000);
});

test('no bytes make it throw anything but a refusal', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      for (const body of [Buffer.concat([Buffer.from('k8s\0'), bytes]), whole('v1', 'ConfigMap', bytes)]) {
        try {
          decodeProtobufBody(body);
        } catch (error) {
          assert.ok(error instanceof ApiError, String(error));
        }
      }
    }),
    { numRuns: 2000 },
  );
});

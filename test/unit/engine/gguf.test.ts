import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import fc from 'fast-check';
import { GgufError, readGgufHeader, trainedContextLength } from '../../../src/engine/gguf.ts';

const demo = join(import.meta.dirname, '../../../models/stoker-demo-1m.gguf');
const folder = mkdtempSync(join(tmpdir(), 'stoker-gguf-'));
after(() => rmSync(folder, { recursive: true }));
const { signal } = new AbortController();
const read = (bytes: Uint8Array) => {
  const path = join(folder, 'file.gguf');
  writeFileSync(path, bytes);
  return readGgufHeader(path, signal);
};

const u32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const u64 = (value: number | bigint) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
};
const text = (value: string) => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)]);
const pair = (key: string, type: number, value: Uint8Array) => Buffer.concat([text(key), u32(type), value]);
const file = (
  pairs: readonly Uint8Array[],
  head: { version?: number; count?: number; tensors?: readonly Uint8Array[] } = {},
) => {
  const { version = 3, count = pairs.length, tensors = [] } = head;
  return Buffer.concat([Buffer.from('GGUF'), u32(version), u64(tensors.length), u64(count), ...pairs, ...tensors]);
};
const tensor = (name: string, offset: number | bigint) =>
  Buffer.concat([text(name), u32(2), u64(4), u64(8), u32(0), u64(offset)]);

describe('a GGUF header', () => {
  test('of the demo model', async () => {
    const header = await readGgufHeader(demo, signal);
    assert.equal(header.version, 3);
    assert.equal(header.metadata.get('general.architecture'), 'llama');
    assert.equal(trainedContextLength(header), 512);
  });

  test('keeps scalars, passes over arrays and long strings', async () => {
    const strings = Buffer.concat([u32(8), u64(3), text('a'), text(''), text('ccc')]);
    const nested = Buffer.concat([u32(9), u64(1), u32(4), u64(2), u32(1), u32(2)]);
    const header = await read(
      file([
        pair('tokens', 9, strings),
        pair('nested', 9, nested),
        pair('numbers', 9, Buffer.concat([u32(4), u64(100_000), Buffer.alloc(400_000)])),
        pair('template', 8, text('t'.repeat(300_000))),
        pair('general.architecture', 8, text('qwen')),
        pair('qwen.context_length', 10, u64(32_768)),
        pair('flag', 7, Uint8Array.of(1)),
      ]),
    );
    assert.deepEqual(Object.fromEntries(header.metadata), {
      'general.architecture': 'qwen',
      'qwen.context_length': 32_768n,
      flag: true,
    });
    assert.equal(trainedContextLength(header), 32_768);
    assert.equal(header.tensorCount, 0);
    assert.equal(header.fileBytesMin, 0);
  });

  test('says how long the file must be at least', async () => {
    const bytes = file([], { tensors: [tensor('a', 0), tensor('b', 128), tensor('c', 64)] });
    assert.equal((await read(bytes)).fileBytesMin, Math.ceil(bytes.length / 32) * 32 + 129);
    const aligned = file([pair('general.alignment', 4, u32(512))], { tensors: [tensor('a', 0)] });
    assert.equal((await read(aligned)).fileBytesMin, 513);
    const whole = await readGgufHeader(demo, signal);
    assert.ok(whole.fileBytesMin > 100_000 && whole.fileBytesMin <= readFileSync(demo).length);
  });

  const broken: [string, Uint8Array, RegExp][] = [
    ['no magic', Buffer.from('GGML1234567890123456789'), /is not a GGUF file/],
    ['an empty file', Buffer.alloc(0), /ends in the middle/],
    ['an old version', file([], { version: 1 }), /version 1/],
    ['the other byte order', file([], { version: 0x03000000 }), /version 50331648/],
    ['too many entries', file([], { count: 5000 }), /5000 metadata entries/],
    ['missing entries', file([], { count: 1 }), /ends in the middle/],
    ['a long key', file([Buffer.concat([u64(5000)])]), /bytes in a metadata key/],
    ['an unknown type', file([pair('a', 77, u32(1))]), /unknown type 77/],
    ['an endless string', file([pair('a', 8, u64(2n ** 63n))]), /bytes in a metadata string/],
    ['an endless array', file([pair('a', 9, Buffer.concat([u32(4), u64(2n ** 60n)]))]), /items in a metadata array/],
    ['a tensor table cut short', file([], { tensors: [tensor('a', 0).subarray(0, 30)] }), /ends in the middle/],
    [
      'a tensor of many dimensions',
      file([], { tensors: [Buffer.concat([text('a'), u32(99)])] }),
      /tensor of 99 dimensions/,
    ],
    ['a string cut short', file([pair('a', 8, Buffer.concat([u64(100), Buffer.from('abc')]))]), /ends in the middle/],
    [
      'arrays in arrays in arrays',
      file([pair('a', 9, Buffer.concat(Array.from({ length: 8 }, () => Buffer.concat([u32(9), u64(1)]))))]),
      /nested too deep/,
    ],
  ];
  for (const [what, bytes, expected] of broken) {
    test(`is refused for ${what}`, async () => {
      await assert.rejects(read(bytes), (error) => error instanceof GgufError && expected.test(error.message));
    });
  }

  test('is read or refused, whatever the bytes', async () => {
    const start = readFileSync(demo).subarray(0, 3000);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(2999), fc.nat(255)), { maxLength: 6 }),
        fc.nat(3000),
        async (changes, length) => {
          const bytes = Buffer.from(start.subarray(0, length));
          for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
          await read(bytes).catch((error: unknown) => assert.ok(error instanceof GgufError, String(error)));
        },
      ),
      { numRuns: 60 },
    );
  });
});

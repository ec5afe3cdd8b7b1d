// Weights that are a folder: one digest whatever the order, a seal that is believed only while the files are as sealed, and
// every way a folder can be wrong.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { fileSetDigest } from '../../../src/api/file-set.ts';
import { EngineError } from '../../../src/engine/engine-error.ts';
import { createFileDigests } from '../../../src/engine/file-digest.ts';
import { listFolder, SEAL_FILE, verifyFolder } from '../../../src/engine/weights-folder.ts';

const { signal } = new AbortController();
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const contents = { 'config.json': '{}', 'model.safetensors': 'weights', 'sub/tokenizer.json': '[]' };
const digest = fileSetDigest(Object.entries(contents).map(([path, text]) => ({ path, sha256: sha256(text) })));

describe('a folder of weights', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'stoker-folder-'));
    mkdirSync(join(folder, 'sub'));
    for (const [path, text] of Object.entries(contents)) writeFileSync(join(folder, path), text);
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const pinned = (changes: Partial<{ weightsSizeBytes: number; weightsSha256: string; weightsPath: string }> = {}) => ({
    weightsPath: folder,
    weightsSizeBytes: 11,
    weightsSha256: digest,
    ...changes,
  });
  const verify = (changes = {}) => verifyFolder(pinned(changes), createFileDigests(), signal);
  const reasonOf = async (promise: Promise<unknown>) => {
    const error = await promise.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    assert.ok(error instanceof EngineError, String(error));
    return error.reason;
  };
  /** As a stager does it, after it has verified everything. */
  const seal = async (sealed = digest) => {
    writeFileSync(join(folder, SEAL_FILE), JSON.stringify({ digest: sealed, files: await listFolder(folder) }));
  };

  test('is verified by its content, wherever it lies and in whatever order it is listed', async () => {
    await verify();
    const files = Object.entries(contents).map(([path, text]) => ({ path, sha256: sha256(text) }));
    assert.equal(fileSetDigest(files.reverse()), digest);
    assert.notEqual(fileSetDigest(files.slice(1)), digest);
    const [first, ...rest] = files;
    assert.notEqual(fileSetDigest([{ path: 'other', sha256: first!.sha256 }, ...rest]), digest);
  });

  test('another content, a file more, another size: WeightsChanged', async () => {
    writeFileSync(join(folder, 'config.json'), '[]');
    assert.equal(await reasonOf(verify()), 'WeightsChanged');
    writeFileSync(join(folder, 'config.json'), '{}');
    await verify();
    writeFileSync(join(folder, 'more.json'), '');
    assert.equal(await reasonOf(verify()), 'WeightsChanged');
    assert.equal(await reasonOf(verify({ weightsSizeBytes: 12 })), 'WeightsChanged');
  });

  test('what begins with a dot is not part of it, and links are followed', async () => {
    writeFileSync(join(folder, '.hidden'), 'x');
    rmSync(join(folder, 'model.safetensors'));
    const blob = join(folder, '.blob');
    writeFileSync(blob, contents['model.safetensors']);
    symlinkSync(blob, join(folder, 'model.safetensors'));
    await verify();
  });

  test('a seal saves reading, and is believed only while sizes and times are as sealed', async () => {
    await seal();
    const unread = { digest: () => Promise.reject(new Error('it was read')) };
    await verifyFolder(pinned(), unread, signal);
    assert.equal(
      await reasonOf(verifyFolder(pinned({ weightsSha256: 'f'.repeat(64) }), unread, signal)),
      'WeightsChanged',
    );
    const path = join(folder, 'model.safetensors');
    const { atime, mtimeMs } = statSync(path);
    utimesSync(path, atime, new Date(mtimeMs + 5000));
    await verify();
    writeFileSync(path, 'garbage');
    assert.equal(await reasonOf(verify()), 'WeightsChanged');
  });

  test('a seal that is no seal costs only time', async () => {
    for (const text of [
      '',
      '{',
      '{"digest":"x","files":[]}',
      JSON.stringify({ digest, files: [] }),
      'x'.repeat(2_000_000),
    ]) {
      writeFileSync(join(folder, SEAL_FILE), text);
      await verify();
    }
  });

  test('a missing or empty folder, a file in its place, a link to nowhere: WeightsMissing', async () => {
    assert.equal(await reasonOf(verify({ weightsPath: join(folder, 'nowhere') })), 'WeightsMissing');
    assert.equal(await reasonOf(verify({ weightsPath: join(folder, 'config.json') })), 'WeightsMissing');
    const empty = join(folder, 'empty');
    mkdirSync(empty);
    assert.equal(await reasonOf(verify({ weightsPath: empty })), 'WeightsMissing');
    symlinkSync(join(folder, 'nowhere'), join(folder, 'link'));
    assert.equal(await reasonOf(verify()), 'WeightsMissing');
  });

  test('a folder without end is not walked', async () => {
    symlinkSync(folder, join(folder, 'sub', 'loop'));
    assert.equal(await reasonOf(verify()), 'WeightsUnreadable');
  });
});

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { after, describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { EngineError } from '../../../src/engine/engine-error.ts';
import { createFileDigests } from '../../../src/engine/file-digest.ts';
import { createLlamaWeights } from '../../../src/engine/llama-weights.ts';
import { checkUnchanged, verifyWeights } from '../../../src/engine/verify-weights.ts';

const demo = join(import.meta.dirname, '../../../models/stoker-demo-1m.gguf');
const sha256 = createHash('sha256').update(readFileSync(demo)).digest('hex');
const folder = mkdtempSync(join(tmpdir(), 'stoker-weights-'));
after(() => rmSync(folder, { recursive: true }));
const { signal } = new AbortController();

describe('weights in a file', () => {
  const weights = createLlamaWeights();
  const refusal = async (path: string, expectedSha256?: string) => {
    const result = await weights.resolve({ path, ...(expectedSha256 === undefined ? {} : { expectedSha256 }) }, signal);
    assert.equal(result.ok, false);
    return result.ok ? undefined : result.error;
  };

  test('are resolved to path, size, digest and context length', async () => {
    const result = await weights.resolve({ path: relative(process.cwd(), demo), expectedSha256: sha256 }, signal);
    assert.deepEqual(result, {
      ok: true,
      value: { path: demo, sizeBytes: statSync(demo).size, sha256, trainedContextLength: 512 },
    });
  });

  test('are refused with a reason and a sentence', async () => {
    const garbage = join(folder, 'garbage.gguf');
    writeFileSync(garbage, 'no model at all, but long enough to have a header');
    assert.equal((await refusal(join(folder, 'none.gguf')))?.reason, 'WeightsMissing');
    assert.equal((await refusal(folder))?.reason, 'WeightsUnreadable');
    assert.deepEqual(await refusal(garbage), { reason: 'WeightsInvalid', message: `${garbage} is not a GGUF file.` });
    const cut = join(folder, 'cut.gguf');
    writeFileSync(cut, readFileSync(demo).subarray(0, 200_000));
    const { reason, message } = (await refusal(cut)) ?? {};
    assert.equal(reason, 'WeightsInvalid');
    assert.match(message ?? '', /was cut: it has 200000 bytes/);
    assert.equal((await refusal(demo, 'f'.repeat(64)))?.reason, 'HashMismatch');
  });

  test('reject when they are no longer wanted', async () => {
    const reason = new Error('stop');
    await assert.rejects(weights.resolve({ path: demo }, AbortSignal.abort(reason)), /stop/);
  });
});

describe('the digest of a file', () => {
  test('is kept until the file changes, across processes', async () => {
    const path = join(folder, 'a.bin');
    const cacheFile = join(folder, 'cache', 'digests.json');
    writeFileSync(path, 'one');
    const first = await createFileDigests(cacheFile).digest(path, signal);
    const kept = JSON.parse(readFileSync(cacheFile, 'utf8'));
    // A kept digest is believed without reading the file.
    writeFileSync(cacheFile, JSON.stringify(kept.map(([key]: [string]) => [key, 'e'.repeat(64)])));
    assert.equal((await createFileDigests(cacheFile).digest(path, signal)).sha256, 'e'.repeat(64));
    writeFileSync(path, 'two');
    utimesSync(path, 5, 5);
    const second = await createFileDigests(cacheFile).digest(path, signal);
    assert.notEqual(second.sha256, first.sha256);
    assert.equal(second.sha256, createHash('sha256').update('two').digest('hex'));
  });

  test('a broken cache file only costs time', async () => {
    const path = join(folder, 'b.bin');
    const cacheFile = join(folder, 'broken.json');
    writeFileSync(path, 'one');
    writeFileSync(cacheFile, '{"not":"ours"');
    assert.equal((await createFileDigests(cacheFile).digest(path, signal)).sizeBytes, 3);
  });

  test('is computed once for callers at the same time, and stops when the last one leaves', async () => {
    const path = join(folder, 'big.bin');
    writeFileSync(path, Buffer.alloc(8 * 1024 * 1024, 7));
    const digests = createFileDigests();
    const leaving = new AbortController();
    const left = assert.rejects(digests.digest(path, leaving.signal), /gone/);
    const stayed = digests.digest(path, signal);
    leaving.abort(new Error('gone'));
    await left;
    assert.equal((await stayed).sizeBytes, 8 * 1024 * 1024);
  });
});

test('a caller that comes while an abandoned computation ends starts its own', async () => {
  const path = join(folder, 'abandoned.bin');
  writeFileSync(path, Buffer.alloc(4 * 1024 * 1024, 7));
  for (let round = 0; round < 20; round += 1) {
    const digests = createFileDigests();
    const leaving = new AbortController();
    // In a late round it may be done before it is given up.
    const left = digests.digest(path, leaving.signal).catch((error: unknown) => assert.match(String(error), /gone/));
    for (let turn = 0; turn < round; turn += 1) await setImmediate();
    leaving.abort(new Error('gone'));
    assert.equal((await digests.digest(path, signal)).sizeBytes, 4 * 1024 * 1024);
    await left;
  }
});

describe('verification before a start', () => {
  const digests = createFileDigests();
  const launchOf = (path: string) => ({
    weightsPath: path,
    weightsSizeBytes: statSync(demo).size,
    weightsSha256: sha256,
  });
  const reasonOf = async (promise: Promise<unknown>) => {
    const error = await promise.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    return error instanceof EngineError ? error.reason : error;
  };

  test('accepts the pinned file, and notices that it changed afterwards', async () => {
    const path = join(folder, 'copy.gguf');
    copyFileSync(demo, path);
    const file = await verifyWeights(launchOf(path), digests, signal);
    await checkUnchanged(file);
    utimesSync(path, 9, 9);
    assert.equal(await reasonOf(checkUnchanged(file)), 'WeightsChanged');
    rmSync(path);
    assert.equal(await reasonOf(checkUnchanged(file)), 'WeightsMissing');
  });

  test('refuses another size and another content', async () => {
    const path = join(folder, 'other.gguf');
    writeFileSync(path, 'short');
    assert.equal(await reasonOf(verifyWeights(launchOf(path), digests, signal)), 'WeightsChanged');
    const changed = readFileSync(demo);
    changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
    writeFileSync(path, changed);
    assert.equal(await reasonOf(verifyWeights(launchOf(path), digests, signal)), 'WeightsChanged');
  });
});

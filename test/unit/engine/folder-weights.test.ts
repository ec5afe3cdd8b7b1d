// What a folder of weights is resolved to, and what is refused.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { createFileDigests } from '../../../src/engine/file-digest.ts';
import { createFolderWeights } from '../../../src/engine/folder-weights.ts';
import { verifyFolder } from '../../../src/engine/weights-folder.ts';

const { signal } = new AbortController();

describe('a folder of weights', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'stoker-folder-'));
    writeFileSync(join(folder, 'model.safetensors'), 'weights');
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const describeModel = (config: unknown) =>
    writeFileSync(join(folder, 'config.json'), typeof config === 'string' ? config : JSON.stringify(config));
  const resolve = (expectedSha256?: string) =>
    createFolderWeights().resolve(
      { path: folder, ...(expectedSha256 === undefined ? {} : { expectedSha256 }) },
      signal,
    );

  test('is pinned as an adapter verifies it later', async () => {
    describeModel({ architectures: ['Qwen3ForCausalLM'], max_position_embeddings: 4096 });
    const found = await resolve();
    assert.ok(found.ok);
    assert.equal(found.value.trainedContextLength, 4096);
    assert.equal(found.value.architecture, 'Qwen3ForCausalLM');
    const { sizeBytes: weightsSizeBytes, sha256: weightsSha256 } = found.value;
    await verifyFolder({ weightsPath: folder, weightsSizeBytes, weightsSha256 }, createFileDigests(), signal);
    assert.ok((await resolve(weightsSha256)).ok);
  });

  test('of a model that takes images says its context length further in', async () => {
    describeModel({ text_config: { max_position_embeddings: 8192 } });
    const found = await resolve();
    assert.equal(found.ok && found.value.trainedContextLength, 8192);
  });

  test('whose context length is scaled says nothing about it', async () => {
    describeModel({ max_position_embeddings: 4096, rope_scaling: { type: 'yarn', factor: 4 } });
    const found = await resolve();
    assert.equal(found.ok && found.value.trainedContextLength, undefined);
  });

  const refused = async (expected?: string) => {
    const found = await resolve(expected);
    return found.ok ? undefined : found.error;
  };

  test('with another digest is refused', async () => {
    describeModel({});
    assert.equal((await refused('0'.repeat(64)))?.reason, 'HashMismatch');
  });

  test('without config.json is refused', async () => {
    assert.deepEqual(await refused(), {
      reason: 'WeightsMissing',
      message: `There is no folder ${folder} with a config.json in it.`,
    });
  });

  for (const config of ['{', '[]', '{"architectures": "one"}']) {
    test(`with the config.json ${config} is refused`, async () => {
      describeModel(config);
      assert.equal((await refused())?.reason, 'WeightsInvalid');
    });
  }
});

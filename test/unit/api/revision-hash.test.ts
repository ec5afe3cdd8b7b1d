// The digest of a revision: golden vectors that no release may move, and what may and may not change it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { z } from 'zod';
import { versionSchema } from '../../../src/api/model.ts';
import { revisionDigest, revisionName } from '../../../src/api/revision-hash.ts';
import { validateObject } from '../../../src/api/validate-object.ts';

const vectorSchema = z.object({
  name: z.string(),
  version: z.custom<z.input<typeof versionSchema>>((value) => versionSchema.safeParse(value).success),
  weightsSha256: z.string().optional(),
  digest: z.string(),
});
const golden = z
  .array(vectorSchema)
  .parse(JSON.parse(readFileSync(new URL('./revision-hash.golden.json', import.meta.url), 'utf8')));

const weightsSha256 = 'ab'.repeat(32);
const base = { weights: { file: { path: 'a.gguf' } } };

describe('revisionDigest', () => {
  for (const vector of golden) {
    const { weightsSha256: sha256, digest } = vector;
    test(`golden: ${vector.name}`, () =>
      assert.equal(revisionDigest({ version: vector.version, weightsSha256: sha256 }), digest));

    test(`filling in defaults does not move it: ${vector.name}`, () => {
      const version = versionSchema.parse(vector.version);
      assert.equal(revisionDigest({ version, weightsSha256: sha256 }), digest);
    });
  }

  test('where the weights lie does not matter, what they are does', () => {
    const moved = { weights: { file: { path: '/elsewhere/b.gguf', sha256: weightsSha256 } } };
    const digest = revisionDigest({ version: base, weightsSha256 });
    assert.equal(revisionDigest({ version: moved, weightsSha256 }), digest);
    assert.notEqual(revisionDigest({ version: base, weightsSha256: 'cd'.repeat(32) }), digest);
  });

  test('where an image is pulled from does not matter, what it is does', () => {
    const from = (registry: string) => ({
      version: { ...base, engine: { name: 'LlamaServer' as const, image: `${registry}/a@sha256:${weightsSha256}` } },
      weightsSha256,
    });
    assert.equal(revisionDigest(from('one.example.com')), revisionDigest(from('two.example.com')));
  });

  test('every behavioural field matters', () => {
    const versions = [
      base,
      { ...base, contextLength: 1024 },
      { ...base, contextLength: 1025 },
      { ...base, sampling: { temperature: '0' } },
      { ...base, sampling: { temperature: '0.0' } },
      { ...base, sampling: { topP: '0' } },
      { ...base, sampling: { topK: 1 } },
      { remote: { baseUrl: 'https://a.example/v1', model: 'a' }, engine: { name: 'Remote' as const } },
      { remote: { baseUrl: 'https://b.example/v1', model: 'a' }, engine: { name: 'Remote' as const } },
      { remote: { baseUrl: 'https://a.example/v1', model: 'b' }, engine: { name: 'Remote' as const } },
      { weights: { folder: { path: 'b' } }, engine: { name: 'Vllm' as const } },
      { weights: { folder: { path: 'b' } }, engine: { name: 'Sglang' as const } },
      { weights: { folder: { path: 'b' } }, engine: { name: 'Vllm' as const, image: `a@sha256:${'1'.repeat(64)}` } },
      { weights: { folder: { path: 'b' } }, engine: { name: 'Vllm' as const, image: `a@sha256:${'2'.repeat(64)}` } },
      { weights: { folder: { path: 'b' } }, engine: { name: 'Vllm' as const, args: ['--seed=1'] } },
      { weights: { folder: { path: 'b' } }, engine: { name: 'Vllm' as const, args: ['--seed=2'] } },
    ];
    const digests = new Set(versions.map((version) => revisionDigest({ version, weightsSha256 })));
    assert.equal(digests.size, versions.length);
  });

  test('an empty block and a field that nobody lists say nothing', () => {
    const digest = revisionDigest({ version: base, weightsSha256 });
    const written = { ...base, sampling: {}, engine: {}, addedLater: true };
    assert.equal(revisionDigest({ version: written, weightsSha256 }), digest);
  });
});

test('the name of a revision of the longest model name is a valid one', () => {
  const name = revisionName('m'.repeat(52), revisionDigest({ version: base, weightsSha256 }));
  assert.equal(name.length, 63);
  const problems = validateObject('ModelRevision', { apiVersion: 'stoker.dev/v1alpha1', metadata: { name } });
  assert.deepEqual(
    problems.map(({ path }) => path),
    ['spec'],
  );
  assert.match(name, /^m{52}-[0-9a-f]{10}$/);
});

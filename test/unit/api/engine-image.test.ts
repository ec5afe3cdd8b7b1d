// How an image is taken apart, by the rules of container runtimes.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { imageDigestOf, parseTaggedImage, writtenImageSchema } from '../../../src/api/engine-image.ts';

const digest = `sha256:${'a'.repeat(64)}`;

describe('an image by tag', () => {
  for (const [image, registry, repository, tag] of [
    ['vllm/vllm-openai:v0.11.0', 'docker.io', 'vllm/vllm-openai', 'v0.11.0'],
    ['debian:13', 'docker.io', 'library/debian', '13'],
    ['docker.io/debian:13', 'docker.io', 'library/debian', '13'],
    ['ghcr.io/ggml-org/llama.cpp:server', 'ghcr.io', 'ggml-org/llama.cpp', 'server'],
    ['localhost/vllm:1', 'localhost', 'vllm', '1'],
    ['registry:5000', 'docker.io', 'library/registry', '5000'],
    ['registry:5000/vllm:1', 'registry:5000', 'vllm', '1'],
    ['registry.example.com:5000/team/vllm', 'registry.example.com:5000', 'team/vllm', 'latest'],
  ] as const) {
    test(image, () => {
      const name = image.endsWith('vllm') ? image : image.slice(0, image.lastIndexOf(':'));
      assert.deepEqual(parseTaggedImage(image), { name, registry, repository, tag });
    });
  }

  test('one with a digest has nothing left to resolve, with a tag or without', () => {
    for (const image of [`vllm/vllm-openai@${digest}`, `registry:5000/vllm:1@${digest}`]) {
      assert.equal(parseTaggedImage(image), undefined);
      assert.equal(imageDigestOf(image), digest);
      assert.ok(writtenImageSchema.safeParse(image).success);
    }
  });

  test('what is let in and has no digest is taken apart into parts that make it up again', () => {
    const part = fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,8}$/);
    const tag = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,12}$/);
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 4 }), tag, (parts, given) => {
        const image = `${parts.join('/')}:${given}`;
        assert.ok(writtenImageSchema.safeParse(image).success);
        const parsed = parseTaggedImage(image);
        assert.equal(`${parsed?.name}:${parsed?.tag}`, image);
        assert.ok(`${parsed?.registry}/${parsed?.repository}`.endsWith(parsed?.name ?? '-'));
      }),
    );
  });

  test('neither a tag nor a digest, or half of one, is refused', () => {
    for (const image of [
      'vllm',
      'team/vllm',
      'registry:5000/vllm',
      'vllm:',
      'vllm@sha256:ab',
      ':1',
      'a b:1',
      'Vllm:1',
    ]) {
      assert.equal(writtenImageSchema.safeParse(image).success, false, image);
    }
  });
});

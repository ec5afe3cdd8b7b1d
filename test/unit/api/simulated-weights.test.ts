// Simulated weights: what a revision pins of them, the memory they would need, and how they enter the digest.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { z } from 'zod';
import { launchSchema } from '../../../src/api/link.ts';
import {
  resolveSimulatedWeights,
  SIMULATED_BUILD,
  simulatedMemory,
  simulatedProfileNames,
  simulatedSizes,
  simulatedWeightsSchema,
} from '../../../src/api/simulated-weights.ts';

const GB = 1e9;

describe('resolveSimulatedWeights', () => {
  test('needs no file and gives what a revision pins', () => {
    const { simulated, sizeBytes, sha256, trainedContextLength } = resolveSimulatedWeights({ profile: 'Size13B' });
    assert.deepEqual(simulated, { profile: 'Size13B', seed: 1 });
    assert.equal(sizeBytes, 26 * GB);
    assert.match(sha256, /^[0-9a-f]{64}$/);
    assert.equal(trainedContextLength, 4096);
  });

  test('profile and seed are all that its digest rests on', () => {
    const digests = simulatedProfileNames.flatMap((profile) =>
      [0, 1, 2].map((seed) => resolveSimulatedWeights({ profile, seed }).sha256),
    );
    assert.equal(new Set(digests).size, 9);
    const defaulted = simulatedWeightsSchema.parse({ profile: 'Size7B' });
    assert.equal(resolveSimulatedWeights(defaulted).sha256, resolveSimulatedWeights({ profile: 'Size7B' }).sha256);
  });

  test('the golden vectors of revisions hold the digests that it gives', () => {
    const file = readFileSync(new URL('./revision-hash.golden.json', import.meta.url), 'utf8');
    const vectors = z
      .array(z.object({ weightsSha256: z.string().optional(), version: z.object({ weights: z.unknown().optional() }) }))
      .parse(JSON.parse(file));
    const simulated = vectors.flatMap(({ weightsSha256, version }) => {
      const parsed = z.object({ simulated: simulatedWeightsSchema }).safeParse(version.weights);
      return parsed.success ? [{ weightsSha256, weights: parsed.data.simulated }] : [];
    });
    assert.equal(simulated.length, 3);
    for (const vector of simulated) assert.equal(resolveSimulatedWeights(vector.weights).sha256, vector.weightsSha256);
  });
});

describe('simulatedMemory', () => {
  test('counts weights, and keys and values of every place', () => {
    const memory = simulatedMemory({ profile: 'Size7B', contextLength: 8192, concurrency: 8 });
    assert.deepEqual(memory, { kvTokens: 65_536, awakeBytes: 16 * GB + 65_536 * 131_072, asleepBytes: 1.1 * GB });
  });

  test('is bounded, and always has room for one full context and for a sleeper', () => {
    const profile = fc.constantFrom(...simulatedProfileNames);
    fc.assert(
      fc.property(profile, fc.integer({ min: 128, max: 1_048_576 }), fc.integer({ min: 1, max: 256 }), (...given) => {
        const [name, contextLength, concurrency] = given;
        const { kvTokens, awakeBytes, asleepBytes } = simulatedMemory({ profile: name, contextLength, concurrency });
        assert.ok(kvTokens >= contextLength && kvTokens <= Math.max(contextLength, 250_000));
        assert.ok(asleepBytes < awakeBytes && awakeBytes > simulatedSizes[name].weightsBytes);
      }),
    );
  });
});

test('the build has the form of a pin', () => assert.match(SIMULATED_BUILD, /^simulated:[0-9a-f]{12}$/));

describe('a launch on the link', () => {
  const fields = {
    servedName: 's',
    revision: 'r',
    contextLength: 512,
    concurrency: 1,
    sleep: 'Level1',
    drainMs: 0,
  };

  test('of Llama needs its file and carries nothing of Sim', () => {
    const file = { weightsPath: '/a.gguf', weightsSizeBytes: 1, weightsSha256: 'a'.repeat(64) };
    const given = { ...fields, engine: 'Llama', ...file };
    assert.deepEqual(launchSchema.parse({ ...given, simulated: { profile: 'Size7B', seed: 1 } }), given);
    assert.equal(launchSchema.safeParse({ ...fields, engine: 'Llama' }).success, false);
  });

  test('of Sim needs its profile and no file', () => {
    const simulation = { faults: [{ kind: 'Cut', at: [1] }], speedPercent: 500 };
    const given = { ...fields, engine: 'Sim', simulated: { profile: 'Size70B', seed: 3 }, simulation };
    assert.deepEqual(launchSchema.parse(given), given);
    assert.equal(launchSchema.safeParse({ ...fields, engine: 'Sim' }).success, false);
  });
});

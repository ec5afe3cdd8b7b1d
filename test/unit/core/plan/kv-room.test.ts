import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { planKvBytes, planStaticPermille } from '../../../../src/core/plan/kv-room.ts';

const GIB = 1024 ** 3;
const h100 = { acceleratorBytes: 80 * GIB, weightsBytes: 16 * GIB, args: [] as string[], sleepersMax: 4 };

describe('room for keys and values', () => {
  test('is what weights, work and sleepers leave of an accelerator', () => {
    assert.equal(planKvBytes(h100), Math.floor((80 - 9.6 - 16 - 5) * GIB));
    assert.equal(planKvBytes({ ...h100, sleepersMax: 0 }), Math.floor((80 - 9.6 - 16) * GIB));
  });

  test('grows with the accelerators that share the weights', () => {
    const args = ['--dtype=half', '--tensor-parallel-size=4', '--pipeline-parallel-size=2'];
    assert.equal(planKvBytes({ ...h100, args }), Math.floor((80 - 9.6 - 2 - 5) * GIB));
  });

  test('is not told where there is none', () => {
    assert.equal(planKvBytes({ ...h100, weightsBytes: 70 * GIB }), undefined);
    assert.equal(planStaticPermille({ ...h100, weightsBytes: 70 * GIB }), undefined);
  });

  test('never adds up to more than the accelerator has', () => {
    const gib = fc.integer({ min: 1, max: 300 });
    const tensor = fc.constantFrom([], ['--tensor-parallel-size=8'], ['--tensor-parallel-size=-1']);
    fc.assert(
      fc.property(gib, gib, tensor, fc.nat({ max: 64 }), (accelerator, weights, args, sleepersMax) => {
        const facts = { acceleratorBytes: accelerator * GIB, weightsBytes: weights * GIB, args, sleepersMax };
        const kvBytes = planKvBytes(facts);
        const permille = planStaticPermille(facts);
        if (kvBytes === undefined || permille === undefined) return kvBytes === permille;
        const divided = args[0] === '--tensor-parallel-size=8' ? 8 : 1;
        const together = kvBytes + facts.weightsBytes / divided + sleepersMax * 1.25 * GIB;
        return together <= facts.acceleratorBytes * 0.88 + 1 && permille <= 880;
      }),
    );
  });
});

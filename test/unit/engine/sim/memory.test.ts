// Accelerator memory: what one process holds over its life, and the slot's account of all of them.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { simulatedMemory, simulatedSizes } from '../../../../src/api/simulated-weights.ts';
import { createAccelerator } from '../../../../src/engine/sim/accelerator.ts';
import { createSimLedger, type SimLedger } from '../../../../src/engine/sim-ledger.ts';

const wanted = { profile: 'Size7B', contextLength: 1024, concurrency: 4 } as const;
const { awakeBytes, asleepBytes } = simulatedMemory(wanted);
const { leakBytesPerCycle } = simulatedSizes.Size7B;

describe('the memory of one process', () => {
  test('holds nothing, all, the residue and what leaked', () => {
    const accelerator = createAccelerator(wanted);
    assert.equal(accelerator.bytes, 0);
    accelerator.fill();
    assert.equal(accelerator.bytes, awakeBytes);
    accelerator.release(false);
    assert.equal(accelerator.bytes, asleepBytes + leakBytesPerCycle);
    accelerator.fill();
    assert.equal(accelerator.bytes, awakeBytes + leakBytesPerCycle);
    accelerator.release(true);
    assert.ok(accelerator.bytes > asleepBytes + 3e9);
  });

  test('fits to the byte, and says how much is missing', () => {
    const accelerator = createAccelerator(wanted);
    assert.equal(accelerator.misfit(awakeBytes), undefined);
    const sentence = accelerator.misfit(awakeBytes - 1);
    assert.match(sentence ?? '', /^Out of accelerator memory: the model needs 16\.5 GB, and 16\.5 GB are free\.$/);
    accelerator.release(false);
    assert.notEqual(accelerator.misfit(awakeBytes), undefined, 'the leak counts');
  });
});

describe('the account of a slot', () => {
  test('gives each one what the others leave', () => {
    const ledger = createSimLedger(100);
    ledger.hold('a', 30);
    ledger.hold('b', 20);
    assert.equal(ledger.freeFor('a'), 80);
    assert.equal(ledger.freeFor('c'), 50);
    ledger.hold('a', 90);
    assert.equal(ledger.freeFor('c'), 0);
    ledger.drop('a');
    assert.equal(ledger.freeFor('c'), 80);
  });

  test('who keeps to what is free never makes the slot hold more than it has', () => {
    const order = fc.tuple(
      fc.constantFrom('a', 'b', 'c'),
      fc.constantFrom('hold', 'drop'),
      fc.integer({ min: 0, max: 120 }),
    );
    const holders = ['a', 'b', 'c'];
    const obey = (ledger: SimLedger, [instance, what, bytes]: [string, string, number]) => {
      if (what === 'drop') ledger.drop(instance);
      else if (bytes <= ledger.freeFor(instance)) ledger.hold(instance, bytes);
    };
    fc.assert(
      fc.property(fc.array(order), (orders) => {
        const ledger = createSimLedger(100);
        for (const each of orders) {
          obey(ledger, each);
          const free = ledger.freeFor('nobody');
          assert.ok(free >= 0 && free <= 100);
          assert.ok(holders.every((holder) => ledger.freeFor(holder) >= free));
        }
      }),
    );
  });
});

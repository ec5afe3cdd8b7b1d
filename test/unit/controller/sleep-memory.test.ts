// What a sleeper of each revision holds: a guess at first, then what was reported of one that had slept for a while.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ModelRevision } from '../../../src/api/model-revision.ts';
import type { World } from '../../../src/controller/observe.ts';
import { createSleepMemory, guessAsleepBytes } from '../../../src/controller/sleep-memory.ts';
import type { InstanceView } from '../../../src/core/plan/snapshot.ts';
import { claimFor, reportOn, slotWith } from '../../support/placement.ts';

const GIB = 1024 ** 3;

function revisionOf(name: string, engine: string, sizeBytes: number): ModelRevision {
  const weights = { path: '/w', sizeBytes, sha256: 'a'.repeat(64) };
  // The guess follows whatever engines there are.
  const pinned = { name: engine, build: 'b' } as ModelRevision['spec']['engine'];
  const spec = { modelName: 'm', digest: `v1:sha256:${'a'.repeat(64)}`, weights, engine: pinned, contextLength: 512 };
  return { apiVersion: 'stoker.dev/v1alpha1', kind: 'ModelRevision', metadata: { name }, spec };
}

const llama = revisionOf('m-1', 'Llama', GIB);

function worldWith(...instances: readonly InstanceView[]): World {
  const revisions = new Map([['m-1', llama]]);
  // Nothing else of the world is looked at.
  return { revisions, slots: [slotWith('a', instances)] } as unknown as World;
}

describe('the memory of sleepers', () => {
  const asleep = (residentBytes: number, rungAgeMs = 60_000) =>
    worldWith(reportOn('m-1', 'Asleep', { residentBytes, rungAgeMs }));
  const told = (memory: ReturnType<typeof createSleepMemory>, world: World) =>
    memory(world, [claimFor('m-1', 0)])[0]?.asleepBytes;

  test('is guessed from the weights, and twice them with a large runtime for engines of accelerators', () => {
    assert.equal(told(createSleepMemory(), worldWith()), 1.5 * GIB);
    assert.equal(guessAsleepBytes(revisionOf('v-1', 'Vllm', 16 * GIB)), 40 * GIB);
    assert.equal(guessAsleepBytes(revisionOf('s-1', 'Sim', 16 * GIB)), GIB / 2);
  });

  test('is what a sleeper reports, and remembered when none sleeps', () => {
    const memory = createSleepMemory();
    assert.equal(told(memory, asleep(300)), 300);
    assert.equal(told(memory, worldWith()), 300);
  });

  test('is not learned of one that was awake a moment ago, or that says nothing', () => {
    const memory = createSleepMemory();
    assert.equal(told(memory, asleep(300, 14_999)), 1.5 * GIB);
    assert.equal(told(memory, worldWith(reportOn('m-1', 'Asleep'))), 1.5 * GIB);
    assert.equal(told(memory, worldWith(reportOn('m-1', 'Awake', { residentBytes: 300 }))), 1.5 * GIB);
  });

  test('grows at once and shrinks slowly', () => {
    const memory = createSleepMemory();
    told(memory, asleep(1000));
    assert.equal(told(memory, asleep(2000)), 2000);
    assert.equal(told(memory, asleep(1000)), 1900);
  });

  test('is forgotten with its revision', () => {
    const memory = createSleepMemory();
    told(memory, asleep(300));
    memory({ ...worldWith(), revisions: new Map() }, []);
    assert.equal(told(memory, worldWith()), 1.5 * GIB);
  });
});

// What a sleeper of each revision holds: a guess at first, then what was reported of one that had slept for a while.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ModelRevision } from '../../../src/api/model-revision.ts';
import type { Pool } from '../../../src/api/pool.ts';
import type { World } from '../../../src/controller/observe.ts';
import { createSleepMemory, guessAsleepBytes, type SleepMemory } from '../../../src/controller/sleep-memory.ts';
import { planPlacement } from '../../../src/core/plan/place.ts';
import type { Claim } from '../../../src/core/plan/placement.ts';
import type { InstanceView, SlotView } from '../../../src/core/plan/snapshot.ts';
import { assign, awakeSlot, claimFor, placeSnapshot, reportOn, slotWith } from '../../support/placement.ts';

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
  return { revisions, pools: new Map(), slots: [slotWith('a', instances)] } as unknown as World;
}

describe('the memory of sleepers', () => {
  const asleep = (residentBytes: number, rungAgeMs = 60_000) =>
    worldWith(reportOn('m-1', 'Asleep', { residentBytes, rungAgeMs }));
  const told = (memory: SleepMemory, world: World) => memory.weigh(world, [claimFor('m-1', 0)])[0]?.asleepBytes;

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
    memory.weigh({ ...worldWith(), revisions: new Map() }, []);
    assert.equal(told(memory, worldWith()), 1.5 * GIB);
  });
});

describe('a first sleeper whose guess is more than a slot may hold', () => {
  const GB = 1e9;
  const large = revisionOf('big-1', 'Vllm', 140 * GB);
  const [least, most] = [140 * GB + 8 * GIB, 280 * GB + 8 * GIB];
  const poolOf = (name: string, spec: object) =>
    [name, { metadata: { name }, spec: { sleepersPerSlotMax: 8, ...spec } }] as unknown as [string, Pool];
  const limited = (name: string, sleeperBytes: number) =>
    poolOf(name, { sleeperBytes, pod: { memoryBytes: 64 * GIB } });
  const world = (pools: readonly [string, Pool][], slots: readonly SlotView[] = []) =>
    ({ revisions: new Map([['big-1', large]]), pools: new Map(pools), slots }) as unknown as World;
  const weigh = (memory: SleepMemory, seen: World) =>
    memory.weigh(seen, [claimFor('big-1', 0, { pools: [...seen.pools.keys()] })])[0]?.asleepBytes;
  const first = (...pools: readonly [string, Pool][]) => weigh(createSleepMemory(), world(pools));

  test('counts as all of it, so that it sleeps alone', () => {
    assert.equal(first(limited('a', 160 * GB)), 160 * GB);
    assert.equal(first(limited('a', 160 * GB), limited('b', 200 * GB)), 200 * GB, 'it may sleep in either');
  });

  test('counts with its weights and its process at least, and with the guess where that fits', () => {
    assert.equal(first(limited('a', 100 * GB)), least);
    assert.equal(first(limited('a', 300 * GB)), most);
  });

  test('counts as the guess where no limit of its Pod protects the node', () => {
    assert.equal(first(poolOf('a', { sleeperBytes: 160 * GB })), most);
    assert.equal(first(poolOf('a', { sleeperBytes: 160 * GB }), limited('b', 160 * GB)), most);
    assert.equal(first(poolOf('a', {})), most, 'nothing is bounded there');
  });

  const pool = limited('a', 160 * GB);
  const asleepIn = (name: string, ...instances: readonly InstanceView[]) =>
    slotWith(name, instances, { assigned: [assign('big-1', 'Asleep')] });
  const sleeping = asleepIn('s', reportOn('big-1', 'Sleeping', { rungAgeMs: 1000 }));

  test('is told by its own size when it has slept for a while', () => {
    const memory = createSleepMemory();
    weigh(memory, world([pool], [sleeping]));
    const report = reportOn('big-1', 'Asleep', { rungAgeMs: 20_000, residentBytes: 149 * GB });
    assert.equal(weigh(memory, world([pool], [asleepIn('s', report)])), 149 * GB);
    assert.deepEqual(memory.bytesOf('big-1'), { bytes: 149 * GB, isMeasured: true });
  });

  const losses: readonly [string, readonly SlotView[]][] = [
    ['its process', [asleepIn('s')]],
    ['its sleep', [asleepIn('s', reportOn('big-1', 'Failed'))]],
  ];
  for (const [what, slots] of losses) {
    test(`that has lost ${what} before is not tried again`, () => {
      const memory = createSleepMemory();
      weigh(memory, world([pool], [sleeping]));
      assert.equal(weigh(memory, world([pool], slots)), most);
      assert.equal(weigh(memory, world([pool])), most);
      assert.deepEqual(memory.bytesOf('big-1'), { bytes: most, isMeasured: false });
    });
  }

  test('that was stopped by order, or woken, or went with its slot, is', () => {
    const leaving = slotWith('s', [], { isLeaving: true, assigned: [assign('big-1', 'Asleep')] });
    const kept = [[slotWith('s', [])], [slotWith('s', [reportOn('big-1', 'Waking')])], [leaving], []];
    for (const slots of kept) {
      const memory = createSleepMemory();
      weigh(memory, world([pool], [sleeping]));
      assert.equal(weigh(memory, world([pool], slots)), 160 * GB);
    }
  });

  test('is left asleep by the plan where it is alone', () => {
    const rungsOf = (slot: SlotView, others: readonly Claim[] = []) => {
      const seen = world([limited('default', 160 * GB)], [slot]);
      const claims = [...createSleepMemory().weigh(seen, [claimFor('big-1', 0)]), ...others];
      const { assigned } = planPlacement(placeSnapshot([slot], claims, { sleeperBytes: 160 * GB }));
      return assigned.get('uid-s')?.map(({ revision, rung }) => `${revision} ${rung}`);
    };
    const idle = { idleMs: 900_000 };
    assert.deepEqual(rungsOf(awakeSlot('s', 'big-1', idle)), ['big-1 Asleep']);
    const beside = rungsOf(awakeSlot('s', 'big-1', idle, ['b-1']), [claimFor('b-1', 0, { asleepBytes: GB })]);
    assert.equal(beside?.length, 1, `${beside}`);
  });
});

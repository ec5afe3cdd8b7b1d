// Which slots are looked at for copies: those of Pools that keep some free, and no others.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { poolSpecSchema } from '../../../src/api/pool.ts';
import { createLiveCopies } from '../../../src/controller/live-copies.ts';
import type { World } from '../../../src/controller/observe.ts';
import type { SlotView } from '../../../src/core/plan/snapshot.ts';
import { claimFor, slotWith } from '../../support/placement.ts';

const names = Array.from({ length: 10 }, (_, index) => `m${index}`);

/** What is planned for one free slot, and how often that slot was asked for its Pool. */
function planFor(spare: object | undefined) {
  const spec = poolSpecSchema.parse({ slots: { max: 2 }, ...(spare === undefined ? {} : { spare }) });
  const pool = { apiVersion: 'stoker.dev/v1alpha1', kind: 'Pool' as const, metadata: { name: 'default' }, spec };
  let asked = 0;
  const slot: SlotView = {
    ...slotWith('a'),
    get pool() {
      asked += 1;
      return 'default';
    },
  };
  // Nothing else of the world is looked at.
  const world = {
    nowMs: 0,
    slots: [slot],
    pools: new Map([['default', pool]]),
    models: names.map((name) => ({ name, stable: { metadata: { name: `${name}-1` } } })),
  } as unknown as World;
  const claims = names.map((name) => claimFor(`${name}-1`, 0));
  const savings = new Map(names.map((name) => [name, { name, usesPerMs: 1e-4, startMs: 45_000, blockedMs: 8000 }]));
  const pools = [{ name: 'default', sleepersPerSlotMax: 2, room: 0 }];
  const copies = createLiveCopies().plan({ world, slots: [slot], claims, pools, savings });
  return { revisions: [...copies.values()].map(({ revision }) => revision), asked };
}

test('a Pool that keeps some free gets copies', () => {
  assert.deepEqual(planFor({}).revisions, ['m0-1']);
});

test('in a Pool that keeps none free, no model is looked at', () => {
  const { revisions, asked } = planFor(undefined);
  assert.deepEqual(revisions, []);
  assert.ok(asked < names.length, `asked ${asked} times`);
});

// What is wanted in each pool, and what of it a person fixed: that is no demand, whichever way it changes.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Claim } from '../../../../../src/core/plan/placement.ts';
import { createPoolDemand, type ReadPoolDemand } from '../../../../../src/core/plan/pool/pool-demand.ts';
import { awakeSlot, claimFor } from '../../../../support/placement.ts';

/** Slots that hold the claim's revision, by pool, and instances of it that wait for one in the first. */
function readOne(read: ReadPoolDemand, claim: Claim, held: Readonly<Record<string, number>>, unmet = 0) {
  const slots = Object.entries(held).flatMap(([pool, count]) =>
    Array.from({ length: count }, (_, index) => ({ ...awakeSlot(`${pool}-${index}`, claim.revision), pool })),
  );
  const placement = {
    assigned: new Map(slots.map(({ podUid, assigned }) => [podUid, assigned])),
    unmet: Array.from({ length: unmet }, () => ({ claim, pool: undefined })),
  };
  return Object.fromEntries(read({ snapshot: { slots, claims: [claim] }, placement }));
}

const claimOf = (min: number, pools = ['default']) => claimFor('a-1', 9, { min, pools });

describe('what is fixed', () => {
  test('is the minimum, as far as it is wanted; what waits for a slot counts', () => {
    const read = createPoolDemand();
    assert.deepEqual(readOne(read, claimOf(5), { default: 2 }, 1), { default: { wanted: 3, fixed: 3 } });
    assert.deepEqual(readOne(read, claimOf(5), { default: 5 }, 2), { default: { wanted: 7, fixed: 5 } });
    assert.deepEqual(readOne(createPoolDemand(), claimOf(0), { default: 5 }), { default: { wanted: 5, fixed: 0 } });
  });

  test('stays fixed while it is there after the minimum was lowered, and not when it comes back', () => {
    const read = createPoolDemand();
    readOne(read, claimOf(5), { default: 5 });
    assert.deepEqual(readOne(read, claimOf(1), { default: 6 }), { default: { wanted: 6, fixed: 5 } });
    assert.deepEqual(readOne(read, claimOf(1), { default: 3 }), { default: { wanted: 3, fixed: 3 } });
    assert.deepEqual(readOne(read, claimOf(1), { default: 5 }), { default: { wanted: 5, fixed: 3 } });
    assert.deepEqual(readOne(read, claimOf(1), {}), {});
    assert.deepEqual(readOne(read, claimOf(1), { default: 2 }), { default: { wanted: 2, fixed: 1 } });
  });

  test('is counted once over the pools of a model, and moves with its instances', () => {
    const read = createPoolDemand();
    const claim = claimOf(2, ['near', 'far']);
    assert.deepEqual(readOne(read, claim, { far: 2 }), { far: { wanted: 2, fixed: 2 } });
    const more = { near: { wanted: 1, fixed: 0 }, far: { wanted: 2, fixed: 2 } };
    assert.deepEqual(readOne(read, claim, { near: 1, far: 2 }), more, 'the third is demand, wherever it is');
    const moved = { near: { wanted: 2, fixed: 1 }, far: { wanted: 1, fixed: 1 } };
    assert.deepEqual(readOne(read, claim, { near: 2, far: 1 }), moved);
  });
});

test('a copy that is made to sleep is not wanted by anybody, and neither is what leaves', () => {
  const [copy, leaving] = [awakeSlot('a', 'a-1'), { ...awakeSlot('b', 'a-1'), isLeaving: true }];
  const snapshot = {
    slots: [copy, leaving],
    claims: [claimOf(0)],
    copies: new Map([[copy.podUid, { revision: 'a-1' }]]),
  };
  assert.deepEqual([...createPoolDemand()({ snapshot, placement: { assigned: new Map(), unmet: [] } })], []);
});

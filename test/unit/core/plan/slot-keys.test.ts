import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { beginKeys, isChanging, listAccepted, stepKeys } from '../../../../src/core/plan/slot-keys.ts';

describe('a slot whose key changes', () => {
  test('goes through the four steps in their order', () => {
    const old = beginKeys({ wanted: 1, accepted: [1] });
    assert.deepEqual(listAccepted(old, 1), [1]);
    assert.equal(isChanging(old, 1), false);
    // Offered, and not carried before the agent says that it accepts it.
    assert.deepEqual(listAccepted(old, 2), [1, 2]);
    assert.equal(stepKeys(old, { wanted: 2, accepted: [1], areRoutersOn: true }), old);
    const carried = stepKeys(old, { wanted: 2, accepted: [1, 2], areRoutersOn: true });
    assert.equal(carried.carried, 2);
    assert.deepEqual(listAccepted(carried, 2), [1, 2]);
    assert.equal(isChanging(carried, 2), true);
    // The old one stays until every router has let it go.
    assert.equal(stepKeys(carried, { wanted: 2, accepted: [1, 2], areRoutersOn: false }), carried);
    const done = stepKeys(carried, { wanted: 2, accepted: [1, 2], areRoutersOn: true });
    assert.deepEqual(listAccepted(done, 2), [2]);
    assert.equal(isChanging(done, 2), false);
  });

  test('ends one change before it begins the next', () => {
    const carried = stepKeys(beginKeys({ wanted: 1, accepted: [1] }), {
      ...{ wanted: 2, accepted: [1, 2], areRoutersOn: true },
    });
    assert.deepEqual(listAccepted(carried, 5), [1, 2]);
    const done = stepKeys(carried, { wanted: 5, accepted: [1, 2], areRoutersOn: true });
    assert.deepEqual(listAccepted(done, 5), [2, 5]);
  });

  test('is taken over as its agent says, whatever that is', () => {
    assert.deepEqual(beginKeys({ wanted: 3, accepted: [] }), { carried: 3, retiring: [] });
    assert.deepEqual(beginKeys({ wanted: 3, accepted: [2] }), { carried: 2, retiring: [] });
    assert.deepEqual(beginKeys({ wanted: 3, accepted: [2, 3] }), { carried: 3, retiring: [2] });
    assert.deepEqual(beginKeys({ wanted: 9, accepted: [1, 2, 3, 4] }), { carried: 4, retiring: [3, 2] });
    // The Secret is a new one: it is begun anew.
    assert.deepEqual(beginKeys({ wanted: 1, accepted: [7] }), { carried: 1, retiring: [] });
    for (const accepted of [[], [1], [1, 2, 3, 4]]) {
      assert.ok(listAccepted(beginKeys({ wanted: 9, accepted }), 9).length <= 4, 'the link has room for four');
    }
  });
});

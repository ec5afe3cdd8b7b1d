// Which sets leave a volume: the least valuable, none that is in use, no more than needed; and what is said when none may.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  guessChance,
  planRoom,
  type RoomQuestion,
  type StoredSet,
  worthOf,
} from '../../../../src/core/plan/weights-eviction.ts';

const set = (digest: string, bytes: number, rest: Partial<StoredSet> = {}): StoredSet => ({
  digest,
  bytes,
  hold: 'None',
  isNamed: true,
  chance: 0.5,
  restageMs: bytes,
  ...rest,
});
const ask = (stored: readonly StoredSet[], rest: Partial<RoomQuestion> = {}) =>
  planRoom({ capacityBytes: 100, stored, neededBytes: 40, isWanted: true, ...rest });

describe('room on a volume', () => {
  test('is there, or can never be there', () => {
    assert.deepEqual(ask([set('a', 60)]), { type: 'fits' });
    assert.deepEqual(ask([], { neededBytes: 101 }), { type: 'tooSmall' });
  });

  test('is made by the set whose loss costs least for each byte', () => {
    const stored = [set('often', 40, { chance: 0.9 }), set('seldom', 40, { chance: 0.1 })];
    assert.deepEqual(ask(stored), { type: 'evict', digests: ['seldom'] });
    const slow = [set('far', 40, { restageMs: 9000 }), set('near', 40, { restageMs: 10 })];
    assert.deepEqual(ask(slow), { type: 'evict', digests: ['near'] });
  });

  test('a small set is not taken when a larger one has to go anyway', () => {
    const stored = [set('small', 5, { chance: 0.1 }), set('large', 60, { chance: 0.2 }), set('kept', 30)];
    assert.deepEqual(ask(stored), { type: 'evict', digests: ['large'] });
  });

  test('nothing that is in use leaves, and who holds the room is said', () => {
    const stored = [set('used', 50, { hold: 'InUse' }), set('more', 30, { hold: 'InUse' }), set('idle', 10)];
    assert.deepEqual(ask(stored), { type: 'full', heldBytes: 80, digests: ['used', 'more'] });
  });

  test('a sleeper is stopped only when nothing else is enough', () => {
    const sleeper = set('sleeper', 40, { hold: 'Asleep', chance: 0 });
    assert.deepEqual(ask([sleeper, set('idle', 40)]), { type: 'evict', digests: ['idle'] });
    assert.deepEqual(ask([sleeper, set('used', 40, { hold: 'InUse' })]), { type: 'stop', digests: ['sleeper'] });
  });

  test('what nobody asks for takes only the place of earlier versions', () => {
    const stored = [set('named', 60, { chance: 0.01 }), set('earlier', 30, { isNamed: false, chance: 1 })];
    assert.deepEqual(ask(stored, { isWanted: false }), { type: 'evict', digests: ['earlier'] });
    assert.deepEqual(ask([set('named', 90)], { isWanted: false }), { type: 'later' });
  });

  test('a chance falls with the time without use, and an earlier version has less of it', () => {
    assert.equal(guessChance(0, true), 1);
    assert.equal(guessChance(3_600_000, true), 0.5);
    assert.ok(guessChance(0, false) < guessChance(3_600_000, true));
  });
});

const anySet = fc.record({
  digest: fc.string({ minLength: 4, maxLength: 4 }),
  bytes: fc.integer({ min: 1, max: 60 }),
  hold: fc.constantFrom('None', 'Asleep', 'InUse'),
  isNamed: fc.boolean(),
  chance: fc.double({ min: 0, max: 1, noNaN: true }),
  restageMs: fc.integer({ min: 1, max: 1000 }),
}) as fc.Arbitrary<StoredSet>;

test('whatever is stored: what leaves was free to go, makes enough room, and none of it leaves in vain', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(anySet, { selector: ({ digest }) => digest, maxLength: 12 }),
      fc.integer({ min: 1, max: 120 }),
      fc.boolean(),
      (stored, neededBytes, isWanted) => {
        const plan = ask(stored, { neededBytes, isWanted });
        if (plan.type !== 'evict') return;
        const gone = stored.filter(({ digest }) => plan.digests.includes(digest));
        assert.ok(gone.every(({ hold, isNamed }) => hold === 'None' && (isWanted || !isNamed)));
        const sum = (sets: readonly StoredSet[]) => sets.reduce((all, { bytes }) => all + bytes, 0);
        const left = sum(stored) - sum(gone) + neededBytes;
        assert.ok(left <= 100);
        assert.ok(gone.every(({ bytes }) => left + bytes > 100));
        assert.ok(gone.every((one) => Number.isFinite(worthOf(one))));
      },
    ),
  );
});

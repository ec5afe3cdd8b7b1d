// Faults: each kind strikes at its own event, at its ordinals or by chance, and the same configuration repeats them.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type Fault, faultKinds } from '../../../../src/api/simulation.ts';
import { createFaults, type FaultEvent, faultsAt } from '../../../../src/engine/sim/faults.ts';

const events = Object.keys(faultsAt) as FaultEvent[];
const faultsOf = (faults: Fault[], incarnation = 1, seed = 1) => createFaults({ faults, seed, incarnation });
const ordinals = Array.from({ length: 1000 }, (_, at) => at + 1);

describe('faults', () => {
  test('every kind that a model may name strikes somewhere', () => {
    for (const kind of faultKinds) {
      const faults = faultsOf([{ kind, at: [3] }]);
      const struck = events.filter((event) => faults.draw(event, 3)?.kind === kind);
      assert.deepEqual(
        struck,
        events.filter((event) => (faultsAt[event] as readonly string[]).includes(kind)),
        kind,
      );
      assert.ok(struck.length > 0, kind);
      for (const event of events) assert.equal(faults.draw(event, 2), undefined);
    }
  });

  test('the first of several wins', () => {
    const faults = faultsOf([
      { kind: 'FailedWake', at: [1] },
      { kind: 'Cut', at: [2] },
      { kind: 'Slow', chanceBasisPoints: 10_000 },
    ]);
    assert.equal(faults.draw('request', 1)?.kind, 'Slow');
    assert.equal(faults.draw('request', 2)?.kind, 'Cut');
    assert.equal(faults.draw('wake', 1)?.kind, 'FailedWake');
  });

  test('chance is as often as asked: never, now and then, always', () => {
    const count = (chanceBasisPoints: number) => {
      const faults = faultsOf([{ kind: 'Cut', chanceBasisPoints }]);
      return ordinals.filter((ordinal) => faults.draw('request', ordinal) !== undefined).length;
    };
    assert.equal(count(0), 0);
    assert.equal(count(10_000), 1000);
    assert.ok(Math.abs(count(2000) - 200) < 60);
  });

  test('a replay gives the same, in any order; another incarnation or seed gives others', () => {
    const given: Fault[] = [
      { kind: 'Cut', chanceBasisPoints: 1000 },
      { kind: 'Crash', chanceBasisPoints: 1000 },
    ];
    const play = (incarnation: number, seed: number, order: readonly number[]) => {
      const faults = faultsOf(given, incarnation, seed);
      const drawn = order.map((ordinal) => {
        const struck = faults.draw('request', ordinal);
        return [ordinal, `${struck?.kind}:${struck?.rng.below(8)}`] as const;
      });
      return JSON.stringify(drawn.sort((a, b) => a[0] - b[0]));
    };
    assert.equal(play(1, 1, ordinals), play(1, 1, ordinals.toReversed()));
    assert.notEqual(play(1, 1, ordinals), play(2, 1, ordinals));
    assert.notEqual(play(1, 1, ordinals), play(1, 2, ordinals));
  });

  test('an ordinal that is named always strikes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1e9 }), fc.integer({ min: 0, max: 2 ** 31 - 1 }), (ordinal, seed) => {
        assert.equal(faultsOf([{ kind: 'Cut', at: [ordinal] }], 1, seed).draw('request', ordinal)?.kind, 'Cut');
      }),
    );
  });
});

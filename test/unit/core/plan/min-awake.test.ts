// Whether what never sleeps finds slots, alone and together, and what is said when it does not.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type AwakeNeed, explainShortage, findShortages } from '../../../../src/core/plan/min-awake.ts';
import { createRng } from '../../../../src/lib/rng.ts';

const need = (model: string, minAwake: number, ...pools: string[]): AwakeNeed => ({ model, minAwake, pools });
const slots = (counts: Record<string, number>) => new Map(Object.entries(counts));

function say(needs: readonly AwakeNeed[], counts: Record<string, number>): Record<string, string> {
  const found = findShortages(needs, slots(counts));
  return Object.fromEntries([...found].map(([model, shortage]) => [model, explainShortage(shortage, model)]));
}

describe('instances that never sleep', () => {
  test('more than the pools of the model may have are told with the sum', () => {
    assert.deepEqual(say([need('a', 5, 'p')], { p: 2 }), {
      a: '5 instances never sleep (spec.scaling.minAwake), and its pools may have 2 slots: raise spec.slots.max of Pool p or lower minAwake.',
    });
    assert.deepEqual(say([need('a', 5, 'p', 'q')], { p: 2, q: 3 }), {});
  });

  test('that fit alone and not together are told to each of them', () => {
    const sentence =
      '3 instances of the Models a, b and c never sleep (spec.scaling.minAwake), and their pools may have 2 slots together: raise spec.slots.max of Pool p or lower a minAwake.';
    assert.deepEqual(say([need('a', 1, 'p'), need('b', 1, 'p'), need('c', 1, 'p')], { p: 2 }), {
      a: sentence,
      b: sentence,
      c: sentence,
    });
    assert.deepEqual(say([need('a', 1, 'p'), need('b', 1, 'p')], { p: 2 }), {});
  });

  test('make room for each other where one may use a second pool', () => {
    const needs = [need('wide', 2, 'p', 'q'), need('narrow', 2, 'p')];
    assert.deepEqual(say(needs, { p: 2, q: 2 }), {});
    assert.deepEqual(Object.keys(say(needs, { p: 2, q: 1 })).sort(), ['narrow', 'wide']);
    // The second pool has room, and is of no use to who lacks it.
    const found = findShortages(
      [need('a', 2, 'p'), need('b', 1, 'p'), need('wide', 1, 'p', 'q')],
      slots({ p: 2, q: 9 }),
    );
    assert.deepEqual(found.get('a'), { models: ['a', 'b'], pools: ['p'], wanted: 3, slots: 2 });
    assert.equal(found.get('wide'), undefined);
  });

  test('a pool that is missing has no slots, and long lists are cut', () => {
    assert.match(say([need('a', 3, 'p', 'gone')], { p: 2 })['a'] ?? '', /may have 2 slots: raise .* of Pool p or/);
    const many = Array.from({ length: 8 }, (_, index) => need(`m${index}`, 1, 'p'));
    assert.match(
      say(many, { p: 1 })['m0'] ?? '',
      /^8 instances of the Models m0, m1, m2, m3, m4 and 3 more never sleep/,
    );
  });

  test('are short exactly when no distribution has room for all', () => {
    const rng = createRng(7);
    const draw = (bound: number) => rng.below(bound);
    for (let round = 0; round < 300; round += 1) {
      const pools = ['p', 'q', 'r'];
      const counts = slots({ p: draw(4), q: draw(4), r: draw(4) });
      const needs = Array.from({ length: 4 }, (_, index) => {
        const own = pools.filter(() => draw(2) === 0);
        return need(`m${index}`, 1 + draw(3), ...(own.length === 0 ? ['p'] : own));
      });
      assert.equal(findShortages(needs, counts).size > 0, !fits(needs, counts), JSON.stringify([needs, [...counts]]));
    }
  });
});

/** Hall's condition, by looking at every set of models. */
function fits(needs: readonly AwakeNeed[], counts: ReadonlyMap<string, number>): boolean {
  for (let set = 1; set < 2 ** needs.length; set += 1) {
    const chosen = needs.filter((_, index) => (set & (1 << index)) !== 0);
    const pools = new Set(chosen.flatMap((one) => one.pools));
    const room = [...pools].reduce((sum, pool) => sum + (counts.get(pool) ?? 0), 0);
    if (chosen.reduce((sum, one) => sum + one.minAwake, 0) > room) return false;
  }
  return true;
}

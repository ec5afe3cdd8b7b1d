import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type LifecycleInput, type LifecycleState, planLifecycle } from '../../../../src/core/plan/lifecycle.ts';

const rows: readonly [string, Omit<LifecycleInput, 'isProven'> & { proven?: string }, LifecycleState, string?][] = [
  ['nothing is pinned', { pinned: undefined, isPinRefused: false }, {}],
  ['the first pin answers at once', { pinned: 'a', isPinRefused: false }, { stable: 'a' }, 'a'],
  ['the same pin changes nothing', { stable: 'a', pinned: 'a', isPinRefused: false }, { stable: 'a' }],
  ['another pin is tried', { stable: 'a', pinned: 'b', isPinRefused: false }, { stable: 'a', candidate: 'b' }],
  [
    'an instance of it proves it',
    { stable: 'a', candidate: 'b', pinned: 'b', isPinRefused: false, proven: 'b' },
    { stable: 'b' },
    'b',
  ],
  [
    'it is not proven by another one',
    { stable: 'a', candidate: 'b', pinned: 'b', isPinRefused: false, proven: 'a' },
    { stable: 'a', candidate: 'b' },
  ],
  [
    'a third one takes its place',
    { stable: 'a', candidate: 'b', pinned: 'c', isPinRefused: false, proven: 'c' },
    { stable: 'a', candidate: 'c' },
  ],
  ['taken back', { stable: 'a', candidate: 'b', pinned: 'a', isPinRefused: false }, { stable: 'a' }],
  [
    'the next is being resolved',
    { stable: 'a', candidate: 'b', pinned: undefined, isPinRefused: false },
    { stable: 'a', candidate: 'b' },
  ],
  [
    'the next cannot be pinned',
    { stable: 'a', candidate: 'b', pinned: undefined, isPinRefused: true },
    { stable: 'a' },
  ],
];
for (const [name, { proven, ...input }, state, promoted] of rows) {
  test(name, () => {
    const plan = planLifecycle({ ...input, isProven: (revision) => revision === proven });
    assert.deepEqual(plan.state, state);
    assert.equal(plan.promoted, promoted);
  });
}

test('what answers is only ever replaced by what was on trial and is proven', () => {
  const revision = fc.option(fc.constantFrom('a', 'b', 'c'), { nil: undefined });
  const steps = fc.array(fc.record({ pinned: revision, isPinRefused: fc.boolean(), proven: revision }), {
    maxLength: 30,
  });
  fc.assert(
    fc.property(steps, (history) => {
      let state: LifecycleState = {};
      for (const { pinned, isPinRefused, proven } of history) {
        const next = planLifecycle({ ...state, pinned, isPinRefused, isProven: (one) => one === proven }).state;
        if (state.stable !== undefined && next.stable !== state.stable)
          assert.deepEqual([next.stable, proven], [state.candidate, state.candidate]);
        assert.ok(next.candidate === undefined || next.candidate !== next.stable);
        state = next;
      }
    }),
  );
});

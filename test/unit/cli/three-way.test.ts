// The patch that `apply` sends: deletes what was applied before and is gone, keeps what others set.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readLastApplied, threeWayPatch, withLastApplied } from '../../../src/cli/three-way.ts';

test('changes, deletions and the fields of others', () => {
  const last = { spec: { a: 1, b: { c: 1, d: 2 } } };
  const live = { spec: { a: 1, b: { c: 1, d: 2, byServer: true }, other: 'kept' }, status: { x: 1 } };
  const wanted = { spec: { a: 2, b: { c: 1 } } };
  assert.deepEqual(threeWayPatch(last, live, wanted), { spec: { a: 2, b: { d: null } } });
});

test('lists are replaced as a whole, and only when they differ', () => {
  assert.deepEqual(threeWayPatch({}, { pools: ['a'] }, { pools: ['a', 'b'] }), { pools: ['a', 'b'] });
  assert.deepEqual(threeWayPatch({}, { pools: ['a', { x: 1 }] }, { pools: ['a', { x: 1 }] }), {});
});

test('an empty object is made when there was none', () => {
  assert.deepEqual(threeWayPatch({}, {}, { spec: { scaling: {} } }), { spec: { scaling: {} } });
});

test('the annotation remembers what was wanted, without itself', () => {
  const wanted = { kind: 'Model', metadata: { name: 'x', annotations: { team: 'a' } }, spec: { a: 1 } };
  const marked = withLastApplied(wanted);
  assert.deepEqual(readLastApplied(marked), wanted);
  assert.deepEqual(withLastApplied(marked), marked);
});

test('applying the same object twice sends nothing', () => {
  const leaf = fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.array(fc.integer(), { maxLength: 3 }));
  const object = fc.dictionary(fc.string({ minLength: 1 }), fc.oneof(leaf, fc.dictionary(fc.string(), leaf)));
  fc.assert(
    fc.property(object, (spec) => {
      const wanted = { ...withLastApplied({ metadata: { name: 'x' }, spec }) };
      assert.deepEqual(threeWayPatch(readLastApplied(wanted), wanted, wanted), {});
    }),
  );
});

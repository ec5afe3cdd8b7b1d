// Which models owe each other slots.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { groupBySlots } from '../../../src/controller/live-scaling.ts';
import type { LiveModel } from '../../../src/controller/observe.ts';

// Only what the function reads.
const using = (name: string, ...pools: string[]) => ({ name, model: { spec: { pools } } }) as unknown as LiveModel;

test('models that may use the same slots are one group, whatever the order of their pools, and by way of a third', () => {
  const own = [
    using('one', 'a', 'b'),
    using('alone', 'z'),
    using('two', 'c'),
    using('three', 'b', 'a'),
    using('link', 'c', 'b'),
  ];
  const groups = groupBySlots(own).map(({ pools, models }) => [
    [...pools].sort().join(''),
    models.map(({ name }) => name).sort(),
  ]);
  assert.deepEqual(groups, [
    ['z', ['alone']],
    ['abc', ['link', 'one', 'three', 'two']],
  ]);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ClusterObject } from '../../../src/api/group.ts';
import { createObjectCache } from '../../../src/kube/object-cache.ts';

function object(name: string, version: string, pool?: string, owner?: string): ClusterObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      uid: `uid-${name}`,
      resourceVersion: version,
      ...(pool === undefined ? {} : { labels: { 'stoker.dev/pool': pool } }),
      ...(owner === undefined ? {} : { ownerReferences: [{ apiVersion: 'v1', kind: 'Pool', name: 'p', uid: owner }] }),
    },
  };
}
const names = (objects: readonly ClusterObject[]) => objects.map((each) => each.metadata.name);

test('objects come in name order, and the array is the same until something changes', () => {
  const cache = createObjectCache();
  for (const name of ['b', 'a', 'c']) assert.equal(cache.put(object(name, '1')), true);
  const before = cache.list();
  assert.deepEqual(names(before), ['a', 'b', 'c']);
  assert.equal(cache.put(object('a', '1')), false);
  assert.equal(cache.remove('z'), false);
  assert.equal(cache.list(), before);
  cache.put(object('a', '2'));
  assert.notEqual(cache.list(), before);
  assert.equal(before[0]?.metadata.resourceVersion, '1');
});

test('a list tells what is new, changed and gone, and nothing else', () => {
  const cache = createObjectCache();
  cache.replace([object('same', '1'), object('changed', '1'), object('gone', '1')]);
  assert.deepEqual(cache.replace([object('same', '1'), object('changed', '2'), object('new', '3')]).sort(), [
    'changed',
    'gone',
    'new',
  ]);
  assert.deepEqual(cache.replace([]).length, 3);
});

test('an object that was deleted and made again under its name counts as changed', () => {
  const cache = createObjectCache();
  cache.put(object('a', '1'));
  const again = object('a', '1');
  assert.equal(cache.put({ ...again, metadata: { ...again.metadata, uid: 'other' } }), true);
});

test('the indexes say what a scan would say, whatever happened before', () => {
  const step = fc.record({
    name: fc.constantFrom('a', 'b', 'c', 'd'),
    pool: fc.option(fc.constantFrom('p', 'q'), { nil: undefined }),
    owner: fc.option(fc.constantFrom('o1', 'o2'), { nil: undefined }),
    remove: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const cache = createObjectCache();
      for (const [index, { name, pool, owner, remove }] of steps.entries()) {
        if (remove) cache.remove(name);
        else cache.put(object(name, String(index), pool, owner));
      }
      for (const pool of ['p', 'q']) {
        const scan = cache.list().filter((each) => each.metadata.labels?.['stoker.dev/pool'] === pool);
        assert.deepEqual(cache.listBy('pool', pool), scan);
      }
      for (const uid of ['o1', 'o2']) {
        const scan = cache.list().filter((each) => each.metadata.ownerReferences?.some((owner) => owner.uid === uid));
        assert.deepEqual(cache.listBy('ownerUid', uid), scan);
      }
    }),
  );
});

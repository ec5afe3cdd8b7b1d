import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { countRunning, pickNext } from '../../../../src/engine/llama/turn-order.ts';

const requests = Array.from({ length: 5 }, (_, name) => ({ name }));
const partsOf = (names: readonly number[]) => names.map((name, at) => ({ request: requests[name] ?? {}, at }));

test('the first that came is next; one with running parts lets others begin', () => {
  assert.equal(pickNext(partsOf([0, 1]), [])?.at, 0);
  assert.equal(pickNext(partsOf([0, 0, 1]), partsOf([0]))?.at, 2);
  assert.equal(pickNext(partsOf([0, 1]), partsOf([0, 0, 1]))?.at, 1);
  assert.equal(pickNext(partsOf([0, 0]), partsOf([0]))?.at, 0);
  assert.equal(pickNext([], partsOf([0])), undefined);
});

test('a request counts once, whether it waits, runs or both', () => {
  const counts = countRunning(partsOf([0, 0, 1]), partsOf([1, 1, 2]));
  assert.deepEqual(
    requests.map((request) => counts.get(request)),
    [0, 2, 1, undefined, undefined],
  );
});

test('property: nobody has fewer running parts than the next, nor as many and came before', () => {
  const names = fc.array(fc.nat(4), { maxLength: 20 });
  fc.assert(
    fc.property(names, names, (waiting, running) => {
      const parts = partsOf(waiting);
      const next = pickNext(parts, partsOf(running));
      const runs = (name: number) => running.filter((each) => each === name).length;
      for (const [at, name] of waiting.entries()) {
        assert.ok(next);
        const own = runs(waiting[next.at] ?? -1);
        assert.ok(runs(name) > own || (runs(name) === own && at >= next.at));
      }
    }),
  );
});

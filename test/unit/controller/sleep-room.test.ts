// Whether what sleeps fits: the condition of a Model that says why it starts from nothing each time.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Model } from '../../../src/api/model.ts';
import type { ModelRevision } from '../../../src/api/model-revision.ts';
import type { Pool } from '../../../src/api/pool.ts';
import { judgeSleepRoom } from '../../../src/controller/sleep-room.ts';

const revision = { spec: { engine: { name: 'Llama', build: 'b' } } } as ModelRevision;
const modelWith = (scaling: object = {}, serving: object = {}) =>
  ({ spec: { scaling: { minAwake: 0, maxAwake: 1, ...scaling }, serving: { sleep: 'Auto', ...serving } } }) as Model;
const pool = (name: string, spec: object) => ({ metadata: { name }, spec: { sleepersPerSlotMax: 8, ...spec } }) as Pool;
const small = pool('small', { sleeperBytes: 160e9 });

function judge(bytes: number, pools: readonly Pool[], { model = modelWith(), isMeasured = false } = {}) {
  return judgeSleepRoom({ model, revision, held: { bytes, isMeasured } }, pools);
}

test('one that is too large for every Pool is said to be, with what to raise', () => {
  const said = judge(288_589_934_592, [small, pool('tiny', { sleeperBytes: 1e9 })]);
  assert.deepEqual([said?.status, said?.reason], ['False', 'SleeperTooLarge']);
  assert.equal(
    said?.message,
    'An instance that sleeps is thought to hold, from the size of its weights, 288600000000 bytes, and a slot may hold 160000000000: it is stopped instead, and the next call starts it from nothing. Raise spec.sleeperBytes of Pool small or tiny to 288600000000.',
  );
  assert.match(judge(170e9, [small], { isMeasured: true })?.message ?? '', /that sleeps holds 170000000000 bytes/);
});

test('one that fits into some slot is said to fit', () => {
  assert.equal(judge(160e9, [small])?.reason, 'SleeperFits');
  assert.equal(judge(170e9, [small, pool('any', {})])?.status, 'True');
  assert.match(judge(160e9, [small])?.message ?? '', /Nobody has seen yet/);
});

test('nothing is said where nothing bounds sleepers, or none sleeps', () => {
  assert.equal(judge(170e9, [pool('any', {})]), undefined);
  assert.equal(judge(170e9, [pool('none', { sleeperBytes: 160e9, sleepersPerSlotMax: 0 })]), undefined);
  assert.equal(judge(170e9, [small], { model: modelWith({ minAwake: 1 }) }), undefined);
  assert.equal(judge(170e9, [small], { model: modelWith({}, { sleep: 'Never' }) }), undefined);
  assert.equal(judgeSleepRoom({ model: modelWith(), revision, held: undefined }, [small]), undefined);
});

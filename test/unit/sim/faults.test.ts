// What is to go wrong, as people write it: read with its limits, refused with a sentence, and drawn the same from the same seed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeFaults, drawFaults, faultCatalogue, parseFaults } from '../../../src/sim/faults.ts';
import { SetupError } from '../../../src/sim/setup-error.ts';

test('what is named counts, and the rest is as the help says', () => {
  assert.deepEqual(parseFaults('wakeFails=0.005, nodeLoss=1/h'), {
    wakeFails: 0.005,
    leakMiB: 0,
    silences: 0,
    silenceSeconds: 60,
    nodeLoss: 1,
    nodeReturnSeconds: 240,
    provisionFails: 0,
    notAllocatable: 0,
    allocatableSeconds: 900,
  });
  for (const name of Object.keys(faultCatalogue)) assert.match(describeFaults(), new RegExp(`^  ${name}=N`, 'm'));
});

const refusals: readonly [string, RegExp][] = [
  ['', /no fault named ""/],
  ['wakes=1', /no fault named "wakes"\. There are wakeFails, /],
  ['constructor=1', /no fault named "constructor"/],
  ['wakeFails', /"wakeFails" in --faults has to look like wakeFails=0\.05/],
  ['wakeFails=-1', /has to look like wakeFails=0\.05/],
  ['wakeFails=1.5', /wakeFails: 1\.5 is too much, 1 is the most/],
  ['wakeFails=0.1/h', /has to look like wakeFails=0\.05/],
  ['nodeLoss=1', /has to look like nodeLoss=2\/h/],
  ['leakMiB=64MiB', /has to look like leakMiB=30/],
  ['provisionFails=1,nodeLoss=1/h', /0\.95 is the most/],
  ['wakeFails=0.1,wakeFails=0.2', /wakeFails is given twice/],
  ['silenceSeconds=30', /silenceSeconds says nothing without silences/],
  ['nodeLoss=1/h,allocatableSeconds=30', /says nothing without notAllocatable/],
  ['nodeLoss=0/h,provisionFails=0.1', /says nothing without nodeLoss/],
];

for (const [text, sentence] of refusals) {
  test(`refused: "${text}"`, () => {
    assert.throws(
      () => parseFaults(text),
      (error) => error instanceof SetupError && sentence.test(error.message),
    );
  });
}

test('a seed draws the same losses each time, about as many as were asked for, and no node twice while it is gone', () => {
  const rates = parseFaults('nodeLoss=30/h,nodeReturnSeconds=300,provisionFails=0.4,notAllocatable=0.5,silences=6/h');
  const span = { spanMs: 10 * 3_600_000, nodes: 4, seed: 5 };
  const faults = drawFaults(rates, span);
  assert.deepEqual(drawFaults(rates, span), faults);
  assert.notDeepEqual(drawFaults(rates, { ...span, seed: 6 }).lostNodes, faults.lostNodes);
  assert.ok(faults.silences.length > 35 && faults.silences.length < 90);
  assert.ok(faults.lostNodes.length > 120 && faults.lostNodes.length <= 400);
  const backMs = new Map<number, number>();
  for (const { atMs, node, backMs: back = 0, failedProvisions = 0, isAllocatableLate = false } of faults.lostNodes) {
    assert.ok(atMs >= (backMs.get(node) ?? 0), `node ${node} is lost while it is gone`);
    backMs.set(node, back);
    assert.equal(Math.round(back - atMs), 300_000 * (failedProvisions + 1) + (isAllocatableLate ? 900_000 : 0));
  }
  assert.ok(faults.lostNodes.some(({ failedProvisions = 0 }) => failedProvisions > 1));
  assert.ok(faults.lostNodes.some(({ isAllocatableLate }) => isAllocatableLate === false));
});

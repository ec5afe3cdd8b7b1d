// A controller whose wall clock is an hour off from that of the API server: what it waits for and what it says goes by its own time.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { kinds } from '../../src/api/kinds.ts';
import { ok } from '../../src/lib/result.ts';
import { createLab, type Lab } from '../support/controller-lab.ts';

const slotPods = { image: 'stoker.dev/stoker@sha256:1', pullPolicy: 'IfNotPresent', pullSecrets: [] } as const;
const files = [{ path: 't.gguf', url: 'https://hub.example/t.gguf', sizeBytes: 5_000_000, sha256: 'c'.repeat(64) }];
const crashing = {
  phase: 'Running',
  containerStatuses: [
    { name: 'agent', ready: false, restartCount: 3, state: { waiting: { reason: 'CrashLoopBackOff' } } },
  ],
} as const;

for (const [where, aheadMs] of [
  ['ahead', 3_600_000],
  ['behind', -3_600_000],
] as const) {
  describe(`a controller that is an hour ${where}`, () => {
    let lab: Lab;
    beforeEach(async () => {
      lab = await createLab({ startsPods: false, aheadMs, slotPods });
      lab.router().demand([]);
      // What there was before it is as old as it says.
      await lab.pass(11_000, 1000);
    });
    afterEach(() => lab.stop());

    const slots = (pool: string) =>
      lab.cluster.list(kinds.Pod).filter(({ metadata }) => metadata.labels?.['stoker.dev/pool'] === pool);
    const reasonOf = (type: string) =>
      lab.cluster.must(kinds.Pool, 'default').status?.conditions?.find((one) => one.type === type)?.reason;

    test('gives a slot that drains its grace, and takes its node for lost a minute after', async () => {
      lab.pool('default', { slots: { min: 1, max: 1 }, maxDrainSeconds: 600 });
      await lab.pass(1000);
      const [pod] = slots('default');
      assert.ok(pod);
      lab.cluster.setPodStatus(pod.metadata.name, {
        phase: 'Running',
        conditions: [{ type: 'Ready', status: 'True' }],
      });
      lab.cluster.drop(kinds.Pod, pod.metadata.name);
      await lab.pass(640_000, 1000);
      assert.equal(reasonOf('SlotTrouble'), 'NoTrouble');
      await lab.pass(60_000, 1000);
      assert.equal(reasonOf('SlotTrouble'), 'NodeLost');
    });

    test('makes slots after ones that crash as slowly as ever', async () => {
      lab.pool('default', { slots: { min: 0, max: 8 } });
      lab.model('a', { scaling: { maxAwake: 1 } });
      lab.router().demand([{ model: 'a', queued: 1 }]);
      for (let second = 0; second < 300; second += 1) {
        for (const { metadata } of slots('default')) lab.cluster.setPodStatus(metadata.name, crashing);
        await lab.pass(1000, 100);
      }
      const { length } = slots('default');
      assert.ok(length >= 5 && length <= 6, `${length} in five minutes, after 10, 20, 40, 80 and 160 s`);
    });

    test('sends who waits for a slot to another pool after ten seconds', async () => {
      for (const name of ['default', 'other']) lab.pool(name, { slots: { min: 0, max: 8 } });
      lab.model('a', { pools: ['default', 'other'], scaling: { maxAwake: 1 } });
      lab.router().demand([{ model: 'a', queued: 1 }]);
      await lab.pass(9000, 100);
      assert.deepEqual([slots('default').length, slots('other').length], [1, 0]);
      await lab.pass(9000, 100);
      assert.deepEqual([slots('default').length, slots('other').length], [1, 1]);
    });

    test('says of a stager that it does not start after a minute', async () => {
      lab.answerSources(() => ok({ source: 'Hub', files }));
      lab.pool('default', { weights: { claimName: 'models' }, slots: { min: 0, max: 1 } });
      lab.model('tiny', { version: { weights: { hub: { repo: 'acme/tiny' } }, contextLength: 512 } });
      const staged = () =>
        lab.cluster.list(kinds.ModelRevision)[0]?.status?.conditions?.find(({ type }) => type === 'Staged')?.reason;
      await lab.pass(50_000, 500);
      assert.equal(staged(), 'Staging');
      await lab.pass(45_000, 500);
      assert.equal(staged(), 'NotStarted');
    });
  });
}

test('a controller that takes over finds a slot overdue that was so before it', async () => {
  const lab = await createLab({ startsPods: false });
  lab.pool('default', { slots: { min: 1, max: 1 }, maxDrainSeconds: 600 });
  await lab.pass(1000);
  const [pod] = lab.cluster.list(kinds.Pod);
  assert.ok(pod);
  lab.cluster.drop(kinds.Pod, pod.metadata.name);
  await lab.pass(700_000, 1000);
  await lab.restart();
  await lab.pass(1000);
  const { status } = lab.cluster.must(kinds.Pool, 'default');
  assert.equal(status?.conditions?.find(({ type }) => type === 'SlotTrouble')?.reason, 'NodeLost');
  await lab.stop();
});

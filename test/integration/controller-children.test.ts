// What a Model and a Pool have beside slots and revisions on a cluster: a disruption budget and a network policy. The whole
// controller against objects in memory, on a manual clock.
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { kinds } from '../../src/api/kinds.ts';
import { createLab, type Lab } from '../support/controller-lab.ts';

let lab: Lab;
afterEach(async () => {
  await lab.stop();
  assert.equal(lab.clock.pendingTimers(), 0, 'no timer is left');
});

const status = () => lab.cluster.must(kinds.Model, 'demo').status;

async function coldDemo(): Promise<void> {
  lab.pool('default', { slots: { min: 1, max: 1 } });
  lab.model('demo', { scaling: { sleepAfterSeconds: 60 } });
  lab.router().demand([]);
  await lab.pass(200);
}

describe('on a cluster', () => {
  const slotPods = { image: 'stoker:1', pullPolicy: 'Never', pullSecrets: [] } as const;
  const budget = () => lab.cluster.get(kinds.PodDisruptionBudget, 'demo-awake');

  test('of several slots that a model is awake in, one at a time may be evicted', async () => {
    lab = await createLab({ slotPods });
    lab.pool('default', { slots: { min: 2, max: 2 } });
    lab.model('demo', { scaling: { minAwake: 1, maxAwake: 2 } });
    lab.router().demand([]);
    await lab.pass(20_000);
    assert.equal(status()?.awake, 1);
    assert.equal(budget()?.spec.minAvailable, 0);
    assert.deepEqual(budget()?.spec.selector.matchLabels, { 'stoker.dev/awake': 'demo' });
    assert.equal(budget()?.metadata.ownerReferences?.[0]?.kind, 'Model');
    lab.cluster.change(kinds.Model, 'demo', { spec: { scaling: { minAwake: 2 } } });
    await lab.pass(20_000);
    assert.equal(status()?.awake, 2);
    assert.equal(budget()?.spec.minAvailable, 1);
    const writes = lab.cluster.writes.filter((write) => write.includes('PodDisruptionBudget'));
    assert.deepEqual(writes, ['create PodDisruptionBudget demo-awake', 'patch PodDisruptionBudget demo-awake']);
  });

  test('a budget of that name that somebody else made is left alone', async () => {
    lab = await createLab({ slotPods });
    lab.cluster.put(kinds.PodDisruptionBudget, 'demo-awake', { minAvailable: 7 });
    await coldDemo();
    assert.equal(budget()?.spec.minAvailable, 7);
  });

  describe('with the labels of its release', () => {
    const guarded = { ...slotPods, releaseLabels: { release: 'mine' } };
    const policy = () => lab.cluster.get(kinds.NetworkPolicy, 'stoker-slots-default');

    test('a Pool has a network policy before it has a slot, and it comes back when somebody deletes it', async () => {
      lab = await createLab({ slotPods: guarded });
      await coldDemo();
      const { writes } = lab.cluster;
      const made = writes.indexOf('create NetworkPolicy stoker-slots-default');
      assert.ok(made >= 0 && made < writes.findIndex((write) => write.startsWith('create Pod ')), writes.join());
      assert.deepEqual(policy()?.spec.ingress[0]?.from?.[0]?.podSelector.matchLabels, {
        release: 'mine',
        'app.kubernetes.io/component': 'router',
      });
      assert.equal(policy()?.metadata.ownerReferences?.[0]?.kind, 'Pool');
      lab.cluster.drop(kinds.NetworkPolicy, 'stoker-slots-default');
      await lab.pass(340_000);
      assert.ok(policy() !== undefined);
    });

    test('it lets slots ask for names where the release says', async () => {
      const dnsTo = [{ namespaceSelector: {} }];
      lab = await createLab({ slotPods: { ...guarded, dnsTo } });
      await coldDemo();
      assert.deepEqual(policy()?.spec.egress[0]?.to, dnsTo);
    });

    test('it goes when the release keeps none any more, and one of somebody else stays', async () => {
      lab = await createLab({ slotPods });
      lab.cluster.put(kinds.NetworkPolicy, 'stoker-slots-default', { podSelector: {} });
      await coldDemo();
      assert.ok(policy() !== undefined, 'not ours');
      const { uid } = lab.cluster.must(kinds.Pool, 'default').metadata;
      const owner = { apiVersion: 'stoker.dev/v1alpha1', kind: 'Pool', name: 'default', uid, controller: true };
      lab.cluster.change(kinds.NetworkPolicy, 'stoker-slots-default', { metadata: { ownerReferences: [owner] } });
      await lab.pass(340_000);
      assert.equal(policy(), undefined);
      const looks = () => lab.cluster.writes.filter((write) => write.includes('NetworkPolicy'));
      assert.deepEqual(looks(), ['delete NetworkPolicy stoker-slots-default']);
    });

    test('no slot is made without it', async () => {
      lab = await createLab({ slotPods: guarded });
      lab.cluster.put(kinds.NetworkPolicy, 'stoker-slots-default', { podSelector: {} });
      await coldDemo();
      assert.deepEqual(lab.cluster.list(kinds.Pod), []);
      lab.cluster.drop(kinds.NetworkPolicy, 'stoker-slots-default');
      await lab.pass(90_000);
      assert.ok(lab.cluster.list(kinds.Pod).length > 0);
    });
  });
});

// The local node's client against the embedded API: it sees Pods come, change and go, and may do what a kubelet does.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { kinds, type Pod } from '../../src/api/kinds.ts';
import { createKubeClient, type KubeClient } from '../../src/kube/client.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { createRng } from '../../src/lib/rng.ts';
import { createNodeApi } from '../../src/local/node/api-client.ts';
import type { NodeApi, PodRef } from '../../src/local/node/node-api.ts';
import { type EmbeddedApi, startEmbeddedApi } from '../support/embedded-api.ts';
import { until } from '../support/until.ts';

let api: EmbeddedApi;
let node: NodeApi;
let controller: KubeClient;
before(async () => {
  api = await startEmbeddedApi();
  const { url, caPem, tokens } = api.server;
  node = createNodeApi({ url, caPem, token: tokens.node, clock: systemClock, rng: createRng(1), log: silentLog });
  controller = createKubeClient(api.connectionOf('controller'));
});
after(async () => {
  await node.close();
  await controller.close();
  await api.close();
});

const never = new AbortController().signal;

async function makePod(name: string): Promise<PodRef> {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: { serviceAccountName: 'stoker-slot', containers: [{ name: 'agent', image: 'stoker', args: ['agent'] }] },
  };
  const made = await controller.create(kinds.Pod, pod, { namespace: 'default' });
  assert.ok(made.ok, JSON.stringify(made));
  return { namespace: 'default', name, uid: made.value.metadata.uid ?? '' };
}

test('the node follows a Pod from its making to its end', async () => {
  const seen: string[] = [];
  let last: Pod | undefined;
  const stopping = new AbortController();
  const following = node.followPods(
    {
      onList: (pods) => seen.push(`list ${pods.length}`),
      onPod: (pod) => {
        last = pod;
        seen.push(`pod ${pod.metadata.deletionTimestamp === undefined ? pod.status?.phase : 'Terminating'}`);
      },
      onGone: (pod) => seen.push(`gone ${pod.metadata.name}`),
    },
    stopping.signal,
  );
  await until(() => seen.length === 1, 'the list');
  const ref = await makePod('followed');
  await until(() => seen.length === 2, 'the Pod');
  assert.equal(last?.spec.restartPolicy, 'Always');
  assert.equal(last?.spec.terminationGracePeriodSeconds, 30);
  const patched = await node.patchPodStatus(ref, { phase: 'Running', podIP: '127.0.0.1' }, never);
  assert.ok(patched.ok, JSON.stringify(patched));
  await until(() => seen.length === 3, 'its status');
  await controller.remove(kinds.Pod, ref, { gracePeriodSeconds: 5 });
  await until(() => seen.length === 4, 'its deletion');
  assert.equal(last?.metadata.deletionGracePeriodSeconds, 5);
  assert.ok((await node.removePod(ref, never)).ok);
  await until(() => seen.length === 5, 'its end');
  assert.deepEqual(seen, ['list 0', 'pod Pending', 'pod Running', 'pod Terminating', 'gone followed']);
  stopping.abort();
  await following;
});

test('a Pod of the same name is another Pod', async () => {
  const ref = { ...(await makePod('named')), uid: '11111111-1111-4111-8111-111111111111' };
  const patched = await node.patchPodStatus(ref, { phase: 'Failed' }, never);
  assert.ok(!patched.ok);
  const removed = await node.removePod(ref, never);
  assert.ok(!removed.ok);
  const read = await controller.get(kinds.Pod, ref);
  assert.ok(read.ok);
  assert.equal(read.value.status?.phase, 'Pending');
});

test('the node reads a Secret by name and gets tokens for its Pods, which the controller can review', async () => {
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'seed' }, data: { seed: 'c2VlZA==' } };
  assert.ok((await controller.create(kinds.Secret, secret, { namespace: 'default' })).ok);
  const read = await node.readSecret('default', 'seed', never);
  assert.ok(read.ok);
  assert.deepEqual(read.value.data, { seed: 'c2VlZA==' });
  const ref = await makePod('tokened');
  const wanted = { serviceAccountName: 'stoker-slot', audience: 'stoker-link', expirationSeconds: 600 };
  const token = await node.requestToken(ref, wanted, never);
  assert.ok(token.ok, JSON.stringify(token));
  assert.ok(token.value.expiresInSeconds > 590 && token.value.expiresInSeconds <= 600);
});

// Weights in a folder of each node: what is refused, where stagers go, and that a slot is asked to start only what is on its node.
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { kinds, type Pod } from '../../../src/api/kinds.ts';
import { ok } from '../../../src/lib/result.ts';
import { createLab, type Lab, type LabOptions, type LabRouter } from '../../support/controller-lab.ts';

const slotPods = { image: 'registry.example/stoker:1', pullPolicy: 'Always', pullSecrets: [] } as const;
const files = [{ path: 'w.gguf', url: 'https://hub.example/w.gguf', sizeBytes: 5_000_000_000, sha256: 'c'.repeat(64) }];
const path = '/mnt/nvme/weights';

let lab: Lab;
let router: LabRouter;
afterEach(() => lab.stop());

async function begin(options: LabOptions = {}, slots: object = { max: 1 }): Promise<void> {
  lab = await createLab({ slotPods, allowsHostPath: true, nodes: ['n1', 'n2', 'n3'], ...options });
  lab.answerSources(() => ok({ source: 'Hub', files }));
  router = lab.router();
  router.demand([]);
  lab.pool('default', { weights: { hostPath: { path } }, slots });
  const version = { weights: { hub: { repo: 'acme/tiny' } }, contextLength: 512 };
  lab.model('tiny', { version, scaling: { maxAwake: 2 } });
  await lab.pass(1000);
}

const isStager = ({ metadata }: Pod) => metadata.labels?.['stoker.dev/stages'] !== undefined;
const stagers = () => lab.cluster.list(kinds.Pod).filter(isStager);
const slots = () => lab.cluster.list(kinds.Pod).filter((pod) => !isStager(pod));
const ready = () => lab.cluster.must(kinds.Model, 'tiny').status?.conditions?.find(({ type }) => type === 'Ready');
const stagedIn = () => lab.cluster.list(kinds.ModelRevision)[0]?.status?.stagedIn ?? [];
const nodeOf = (pod: Pod) => JSON.stringify(pod.spec.affinity).match(/"values":\["(.*?)"\]/)?.[1];
const awakeOn = () =>
  [...lab.agents.values()].filter((agent) => (agent.targets.at(-1)?.instances ?? []).length > 0).length;
const ask = () => router.demand([{ model: 'tiny', queued: 1, oldestQueuedMs: 10 }]);

function succeed(node: string): void {
  const pod = stagers().find((one) => nodeOf(one) === node) ?? assert.fail(`no stager for ${node}`);
  const state = { terminated: { exitCode: 0, finishedAt: new Date(lab.clock.wallMs()).toISOString() } };
  const containerStatuses = [{ name: 'stager', ready: false, restartCount: 0, state }];
  lab.cluster.setPodStatus(pod.metadata.name, { phase: 'Succeeded', containerStatuses });
}

describe('a folder of the node', () => {
  test('is refused where the installation does not allow it', async () => {
    await begin({ allowsHostPath: false });
    assert.equal(ready()?.reason, 'HostPathForbidden');
    assert.match(
      ready()?.message ?? '',
      /The Pool default keeps weights in a folder of the node.*slots\.allowHostPath/,
    );
    ask();
    await lab.pass(2000);
    assert.deepEqual(slots(), []);
    assert.doesNotMatch(JSON.stringify(lab.cluster.list(kinds.Pod)), /hostPath/);
  });

  test('is filled once a slot says which node; it starts there, and no second slot is made for it', async () => {
    await begin({}, { max: 3 });
    assert.equal(ready()?.status, 'True');
    assert.equal(ready()?.reason, 'Cold');
    assert.match(ready()?.message ?? '', /once the Pool default has a slot/);
    assert.deepEqual([slots().length, stagers().length], [0, 0]);
    ask();
    await lab.pass(20_000);
    assert.deepEqual([slots().length, stagers().length], [1, 1]);
    const [stager] = stagers();
    assert.ok(stager !== undefined && nodeOf(stager) === 'n1');
    assert.deepEqual(stager.spec.volumes, [{ name: 'weights', hostPath: { path, type: 'Directory' } }]);
    assert.equal(slots()[0]?.spec.containers[0]?.volumeMounts?.at(-1)?.readOnly, true);
    assert.equal(awakeOn(), 0);
    assert.equal(ready()?.reason, 'Staging');
    succeed('n1');
    await lab.pass(2000);
    assert.match(stagedIn()[0] ?? '', /^node\/n1\/[0-9a-f]{8}$/);
    assert.equal(awakeOn(), 1);
    assert.deepEqual(stagers(), []);
  });

  test('that cannot be reached on one node sends nobody away who waits for another', async () => {
    await begin({}, { min: 2, max: 2 });
    ask();
    await lab.pass(3000);
    assert.deepEqual(stagers().map(nodeOf).sort(), ['n1', 'n2']);
    const lose = (pod: Pod | undefined) =>
      lab.cluster.setPodStatus(pod?.metadata.name ?? '', {
        phase: 'Running',
        conditions: [{ type: 'Ready', status: 'False' }],
        containerStatuses: [{ name: 'stager', ready: true, restartCount: 0, state: { running: {} } }],
      });
    lose(stagers()[0]);
    await lab.pass(15_000, 100);
    assert.equal(ready()?.reason, 'Staging');
    assert.match(ready()?.message ?? '', /are being downloaded\. The stager .* does not answer/);
    assert.equal(router.table().warmth.get('tiny')?.failure, undefined);
    lose(stagers()[1]);
    await lab.pass(15_000, 100);
    assert.equal(router.table().warmth.get('tiny')?.failure?.reason, 'NodeLost');
  });

  test('is filled on each node that has a slot, and the one that has the files is used first', async () => {
    await begin({}, { min: 2, max: 2 });
    assert.deepEqual(stagers().map(nodeOf).sort(), ['n1', 'n2']);
    succeed('n2');
    ask();
    await lab.pass(3000);
    assert.equal(awakeOn(), 1);
    assert.equal(stagedIn().length, 1);
    const [used] = [...lab.agents.values()].filter((agent) => (agent.targets.at(-1)?.instances ?? []).length > 0);
    const onSecond = slots().find(({ spec }) => spec.nodeName === 'n2');
    assert.equal(used?.podUid, onSecond?.metadata.uid);
  });

  test('a stager goes with the last slot of its node', async () => {
    await begin({}, { min: 2, max: 2 });
    assert.deepEqual(stagers().map(nodeOf).sort(), ['n1', 'n2']);
    const gone = slots().find(({ spec }) => spec.nodeName === 'n1')?.metadata.name ?? '';
    lab.cluster.endPod(gone);
    await lab.pass(2000);
    assert.deepEqual(stagers().map(nodeOf).sort(), ['n2', 'n3']);
  });

  test('a slot stays while a long download fills its node', async () => {
    await begin();
    ask();
    await lab.pass(2000);
    router.demand([]);
    const [slot] = slots();
    await lab.pass(900_000);
    assert.deepEqual(
      slots().map(({ metadata }) => metadata.uid),
      [slot?.metadata.uid],
    );
  });
});

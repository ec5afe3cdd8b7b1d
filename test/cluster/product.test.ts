// The controller, a router and slots on a real API server, with the identities and rights of the chart: what they do for a
// caller, whom they let in, and what becomes of them when the server goes away.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { hubToAgentSchema } from '../../src/api/link.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { dial } from '../../src/link/dial.ts';
import { createFence } from '../../src/link/fence.ts';
import { createFrameParser } from '../../src/link/frames.ts';
import type { ControlPlane } from '../support/cluster/control-plane.ts';
import { type Lab, startLab } from '../support/cluster/lab.ts';
import { askStream, simulatedModel, simulatedPool } from '../support/cluster/questions.ts';
import type { StokerProcess } from '../support/cluster/stoker-process.ts';
import { joinCluster, startTestPlane } from '../support/cluster/test-cluster.ts';

const STORM_WRITES_MIN = 500;

describe('on a real API server', { timeout: 300_000 }, () => {
  let plane: ControlPlane;
  let lab: Lab;
  let controller: StokerProcess;
  let openai: string;
  before(async () => {
    plane = await startTestPlane();
    lab = await startLab(await joinCluster(plane.kubeconfig, () => plane.stop()));
    controller = lab.startController('one');
    await controller.ready;
    await lab.create('pools', simulatedPool('sim', { min: 1, max: 2 }));
    await lab.create('models', simulatedModel('first', 'sim', { scaling: { sleepAfterSeconds: 2 } }));
    openai = await lab.startRouter();
  });
  after(async () => {
    await lab.stop();
    await lab.cluster.close();
  });

  const rungIs = (name: string, rung: string) =>
    lab.until(async () => (await lab.get('models', name)).status?.rung === rung, `${name} to be ${rung}`);

  test('a cold request is held, the model wakes, and the answer is streamed to its end', async () => {
    await rungIs('first', 'Staged');
    const answer = await askStream(openai, 'first');
    assert.equal(answer.status, 200, answer.raw);
    assert.notEqual(answer.text, '');
    assert.match(answer.raw, /data: \[DONE\]\n\n$/);
    const [pod] = await lab.list('pods');
    await lab.until(
      async () => (await lab.get('pods', pod.metadata.name)).metadata.labels['stoker.dev/awake'] === 'first',
      'the slot to carry the label of the model that is awake',
    );
    await rungIs('first', 'Asleep');
    const again = await askStream(openai, 'first');
    assert.equal(again.text, answer.text);
  });

  test('what it did is told in Events and conditions', async () => {
    const events = await lab.list('events');
    assert.ok(events.some(({ reason, involvedObject }) => reason === 'SlotMade' && involvedObject.name === 'sim'));
    const { status } = await lab.get('models', 'first');
    const ready = status.conditions.find(({ type }: { type: string }) => type === 'Ready');
    assert.equal(ready.status, 'True', JSON.stringify(ready));
  });

  test('the rights of the chart are enough: nothing was forbidden', () => {
    assert.doesNotMatch(controller.log(), /is forbidden|cannot (get|list|watch|create|patch|delete) resource/);
  });

  test('a Pod that no Pool owns, another audience and another account cannot register as a slot', async () => {
    const stranger = await lab.create('pods', {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'stranger' },
      spec: {
        serviceAccountName: 'stoker-slot',
        automountServiceAccountToken: false,
        nodeName: 'nowhere',
        containers: [{ name: 'agent', image: 'stoker.dev/none:1' }],
      },
    });
    const [slot] = (await lab.list('pods')).filter(({ metadata }) => metadata.name !== 'stranger');
    const pod = ({ metadata: { name, uid } }: typeof slot) => ({ name, uid });
    const bound = await lab.token('stoker-slot', { pod: pod(stranger) });
    assert.match(await refusal(lab.front.url, bound, pod(stranger)), /no Pool owns this Pod/);
    assert.match(await refusal(lab.front.url, bound, pod(slot)), /the token belongs to another Pod/);
    const elsewhere = await lab.token('stoker-slot', { pod: pod(slot), audience: 'https://kubernetes.default.svc' });
    assert.match(await refusal(lab.front.url, elsewhere, pod(slot)), /refused the token/);
    const unbound = await lab.token('stoker-slot');
    assert.match(await refusal(lab.front.url, unbound, pod(slot)), /refused the token/);
    const foreign = await lab.token('default');
    assert.match(await refusal(lab.front.url, foreign, pod(slot)), /refused the token/);
    const router = await lab.token('stoker-router');
    assert.match(await refusal(lab.front.url, router, pod(slot)), /only a slot may say hello as an agent/);
  });

  test('a storm of conflicts: others write into the same objects all the while, and nothing is made twice', async () => {
    let writes = 0;
    let isConverged = false;
    const storm = async (plural: string, name: string) => {
      while (!isConverged || writes < STORM_WRITES_MIN) {
        writes += 1;
        await lab.patch(plural, name, { metadata: { annotations: { storm: String(writes) } } });
      }
    };
    const storms = [storm('pools', 'sim'), storm('pools', 'sim'), storm('models', 'first'), storm('models', 'first')];
    await lab.patch('pools', 'sim', { spec: { slots: { min: 2 } } });
    await lab.until(async () => (await lab.get('pools', 'sim')).status.ready === 2, 'the second slot to be connected');
    isConverged = true;
    await Promise.all(storms);
    const { status } = await lab.get('pools', 'sim');
    assert.equal(status.nextSerial, 2);
    const slots = (await lab.list('pods')).filter(({ metadata }) => metadata.name !== 'stranger');
    assert.equal(slots.length, 2);
  });

  test('the API server is killed: callers are served on, and what changed meanwhile is made true afterwards', async () => {
    await lab.create('models', simulatedModel('second', 'sim', { scaling: { minAwake: 1 } }));
    await rungIs('second', 'Awake');
    const before = await lab.get('leases', 'stoker-controller');
    await plane.stopApiServer('SIGKILL');
    const answers = await Promise.all(Array.from({ length: 5 }, () => askStream(openai, 'second')));
    for (const { status, raw } of answers) {
      assert.equal(status, 200, raw);
      assert.match(raw, /data: \[DONE\]\n\n$/);
    }
    await plane.startApiServer();
    await lab.create('models', simulatedModel('third', 'sim', {}));
    await rungIs('third', 'Staged');
    const answer = await askStream(openai, 'third');
    assert.equal(answer.status, 200, answer.raw);
    const lease = await lab.get('leases', 'stoker-controller');
    assert.equal(lease.spec.holderIdentity, 'one');
    assert.equal(lease.spec.leaseTransitions, before.spec.leaseTransitions, 'it led on: nobody had to take over');
  });

  test('deleting Models and the Pool drains and leaves no Pod', async () => {
    const client = lab.cluster.client;
    const root = `/apis/stoker.dev/v1alpha1/namespaces/${lab.namespace}`;
    await client.send({ method: 'DELETE', path: `${root}/models` });
    await client.send({ method: 'DELETE', path: `${root}/pools/sim` });
    await lab.until(async () => (await lab.list('pools')).length === 0, 'the Pool to be gone');
    await lab.until(async () => (await lab.list('models')).length === 0, 'the Models to be gone');
    assert.deepEqual(
      (await lab.list('pods')).map(({ metadata }) => metadata.name).filter((name: string) => name !== 'stranger'),
      [],
    );
    await lab.until(async () => (await lab.list('modelrevisions')).length === 0, 'the revisions to be gone');
  });
});

/** Says hello as the agent of that Pod and resolves with how it was refused. */
function refusal(url: string, token: string, pod: { name: string; uid: string }): Promise<string> {
  return new Promise((resolve, reject) => {
    dial({
      url,
      token,
      hello: {
        type: 'hello',
        role: 'agent',
        podUid: pod.uid,
        name: pod.name,
        release: 'test',
        versions: { min: 1, max: 1 },
        fence: { epoch: 0, seq: 0 },
        dataPort: 1,
      },
      clock: systemClock,
      log: silentLog,
      fence: createFence(),
      parse: createFrameParser(hubToAgentSchema),
      onOpen: () => reject(new Error('it was let in')),
      onMessage: () => undefined,
      onMoved: () => undefined,
      onEnd: (reason) => resolve(reason),
    });
  });
}

// The controller is replaced by one of another release with other settings, and kinds are replaced by newer ones, while
// models are served: no slot is restarted or changed, no revision is made, no request fails.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { ControlPlane } from '../support/cluster/control-plane.ts';
import { type Lab, startLab } from '../support/cluster/lab.ts';
import { makeOtherRelease, type OtherRelease } from '../support/cluster/other-release.ts';
import { askStream, simulatedModel, simulatedPool } from '../support/cluster/questions.ts';
import type { StokerProcess } from '../support/cluster/stoker-process.ts';
import { expect, type Json, joinCluster, startTestPlane } from '../support/cluster/test-cluster.ts';

const lastCopyMarks = new Set(['cluster-autoscaler.kubernetes.io/safe-to-evict', 'karpenter.sh/do-not-disrupt']);
const annotationsOf = ({ annotations }: Json) =>
  Object.entries(annotations ?? {}).filter(([name]) => !lastCopyMarks.has(name));
const CRD = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

describe('an upgrade', { timeout: 240_000 }, () => {
  let plane: ControlPlane;
  let lab: Lab;
  let openai: string;
  let older: StokerProcess;
  let release: OtherRelease;
  before(async () => {
    release = makeOtherRelease('0.0.9');
    plane = await startTestPlane();
    lab = await startLab(await joinCluster(plane.kubeconfig, () => plane.stop()));
    older = lab.startController('older', [], release.entryPoint);
    await older.ready;
    await lab.create('pools', simulatedPool('sim', { min: 2, max: 2 }));
    await lab.create('models', simulatedModel('kept', 'sim', { scaling: { minAwake: 1 } }));
    await lab.create('models', simulatedModel('sleeper', 'sim'));
    openai = await lab.startRouter();
    await lab.until(async () => (await lab.get('models', 'kept')).status?.rung === 'Awake', 'the model to be awake');
    await lab.until(async () => (await lab.list('modelrevisions')).length === 2, 'both revisions');
  });
  after(async () => {
    await lab.stop();
    await lab.cluster.close();
    release.remove();
  });

  /** What must be the same afterwards: all of a slot but what is awake in it, and revisions with their specs. Whether a slot
   * holds the last copy of a model follows from what is awake. */
  async function picture(): Promise<object> {
    const slots = (await lab.list('pods')).map(({ metadata, spec, status }: Json) => ({
      name: metadata.name,
      uid: metadata.uid,
      annotations: annotationsOf(metadata),
      owners: metadata.ownerReferences,
      spec,
      restarts: status.containerStatuses?.map(({ restartCount }: Json) => restartCount),
    }));
    const revisions = (await lab.list('modelrevisions')).map(({ metadata, spec }: Json) => ({
      name: metadata.name,
      uid: metadata.uid,
      generation: metadata.generation,
      spec,
    }));
    const { nextSerial } = (await lab.get('pools', 'sim')).status;
    return { slots, revisions, nextSerial };
  }

  /** Until a change that only a controller can make has been made. */
  const acts = async (name: string) => {
    await lab.patch('models', name, { metadata: { annotations: { looked: String(Date.now()) } } });
    await lab.patch('models', name, { spec: { scaling: { sleepAfterSeconds: 7 } } });
    const hasSeen = async () => {
      const { metadata, status } = await lab.get('models', name);
      return status?.observedGeneration === metadata.generation;
    };
    await lab.until(hasSeen, `somebody to look at ${name}`);
  };

  test('another release, image and address of the link: slots and revisions stay as they are, and callers notice nothing', async () => {
    const before = await picture();
    const [slot] = await lab.list('pods');
    assert.match(slot.spec.containers[0].image, /:0\.0\.9$/);
    const newer = lab.startController('newer', [
      ...['--slot-image', 'registry.example/stoker:9.9.9', '--slot-pull-policy', 'Always'],
      ...['--link-url', lab.front.url.replace('127.0.0.1', 'localhost')],
    ]);
    await newer.said('older leads');
    let isDone = false;
    const answers: number[] = [];
    const asking = (async () => {
      while (!isDone || answers.length < 3) {
        const { status, raw } = await askStream(openai, 'kept');
        answers.push(raw.endsWith('data: [DONE]\n\n') ? status : -1);
      }
    })();
    assert.equal(await older.stop(), 0);
    await newer.ready;
    await acts('kept');
    await lab.until(
      async () => (await lab.get('pools', 'sim')).status.ready === 2,
      'both slots to be connected to the new controller',
    );
    await acts('sleeper');
    isDone = true;
    await asking;
    assert.deepEqual(await picture(), before);
    assert.deepEqual(new Set(answers), new Set([200]));
    const answer = await askStream(openai, 'sleeper');
    assert.equal(answer.status, 200, answer.raw);
    assert.deepEqual(await picture(), before);
  });

  test('kinds with more fields take the place of older ones: objects keep what they had, and the controller goes on', async () => {
    const { client } = lab.cluster;
    const path = `${CRD}/pools.stoker.dev`;
    const { spec } = await expect(client, 200, { method: 'GET', path });
    const before = { pools: await lab.list('pools'), picture: await picture() };
    const change = (body: object) =>
      expect(client, 200, { method: 'PATCH', path, body, headers: { 'content-type': 'application/json-patch+json' } });
    const field = '/spec/versions/0/schema/openAPIV3Schema/properties/spec';
    const newer = spec.versions[0].schema.openAPIV3Schema.properties.spec;
    // As it was before slots had a place of their own, and rules about it.
    const { pod: _pod, ...properties } = newer.properties;
    const rules = (newer['x-kubernetes-validations'] ?? []).filter(({ rule }: Json) => !rule.includes('self.pod'));
    const value = { ...newer, properties, 'x-kubernetes-validations': rules };
    await change([{ op: 'replace', path: field, value }]);
    const isKnown = async () => {
      const body = { spec: { pod: { cpuMillis: 1000 } } };
      const headers = { 'content-type': 'application/merge-patch+json' };
      const at = `/apis/stoker.dev/v1alpha1/namespaces/${lab.namespace}/pools/sim?dryRun=All&fieldValidation=Strict`;
      return (await client.send({ method: 'PATCH', path: at, body, headers })).status === 200;
    };
    await lab.until(async () => !(await isKnown()), 'the older kind to be served');
    await change([{ op: 'replace', path: field, value: newer }]);
    await lab.until(isKnown, 'the newer kind to be served');
    const after = await lab.list('pools');
    assert.deepEqual(after[0].spec, before.pools[0].spec);
    assert.equal(after[0].metadata.generation, before.pools[0].metadata.generation);
    assert.deepEqual(await picture(), before.picture);
    const { status } = await askStream(openai, 'kept');
    assert.equal(status, 200);
  });
});

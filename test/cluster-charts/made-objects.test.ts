// What the controller makes by itself, from slots of every kind to its Lease, is what each supported version of Kubernetes
// knows. The controller runs in memory and makes them; the schemas are those that Kubernetes publishes.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { minorVersions } from '../../scripts/kube-schemas/schema-set.ts';
import type { ClusterObject, KindRef } from '../../src/api/group.ts';
import { kinds } from '../../src/api/kinds.ts';
import { LINK_SERVICE } from '../../src/api/link.ts';
import { createLinkIdentity } from '../../src/controller/link-identity.ts';
import { campaign } from '../../src/kube/election.ts';
import { createEventRecorder } from '../../src/kube/event-recorder.ts';
import { silentLog } from '../../src/lib/log.ts';
import { ok } from '../../src/lib/result.ts';
import { createRng } from '../../src/lib/rng.ts';
import { createLab, type Lab } from '../support/controller-lab.ts';
import type { RenderedObject } from '../support/helm.ts';
import { loadKubeJudge } from '../support/kube-schemas.ts';
import { START_MS } from '../support/lab-agent.ts';
import { createMemoryLease } from '../support/memory-lease.ts';

const slotPods = {
  image: `registry.example/stoker@sha256:${'1'.repeat(64)}`,
  pullPolicy: 'IfNotPresent',
  pullSecrets: ['registry'],
  releaseLabels: { 'app.kubernetes.io/name': 'stoker', 'app.kubernetes.io/instance': 'stoker' },
} as const;
const files = [
  { path: 'tiny.gguf', url: 'https://hub.example/tiny.gguf', sizeBytes: 5_000_000_000, sha256: 'd'.repeat(64) },
];
const never = new AbortController().signal;

describe('what the controller makes is what Kubernetes knows', () => {
  let lab: Lab;
  const made: RenderedObject[] = [];
  const ending = new AbortController();

  before(async () => {
    lab = await createLab({ slotPods });
    lab.weights.set('big', { sha256: 'c'.repeat(64), sizeBytes: 1_000_000, trainedContextLength: 4096 });
    await makeSlots();
    await makeIdentity();
    for (const kind of Object.values(kinds) as KindRef[]) {
      if (kind.apiVersion.startsWith('stoker.dev') || kind.kind === 'Service') continue;
      made.push(...lab.cluster.list<ClusterObject>(kind).map((object) => object as unknown as RenderedObject));
    }
    // The Secret of the source is the test's own.
    made.splice(0, made.length, ...made.filter(({ metadata }) => metadata.name !== 'hub'));
    made.push((await makeLease()) as unknown as RenderedObject, await makeEvent());
  });
  after(async () => {
    ending.abort(new Error('over'));
    await lab.stop();
  });

  /** One of our image with everything that a Pool can ask for, one of an engine's image, and a stager. */
  async function makeSlots(): Promise<void> {
    lab.answerSources(() => ok({ source: 'Hub', files }));
    const pod = {
      nodeSelector: { 'nvidia.com/gpu.product': 'H100' },
      tolerations: [{ key: 'nvidia.com/gpu', operator: 'Exists', effect: 'NoSchedule' }],
      runtimeClassName: 'nvidia',
      cpuMillis: 4000,
      memoryBytes: 68_719_476_736,
      sharedMemoryBytes: 8_589_934_592,
    };
    lab.pool('full', { slots: { min: 1, max: 1 }, pod, weights: { claimName: 'models' } });
    lab.pool('plain', { slots: { min: 0, max: 1 }, compileCache: { claimName: 'kernels' } });
    lab.model('demo', { pools: ['full'], scaling: { minAwake: 1 } });
    const image = `registry.example/vllm@sha256:${'b'.repeat(64)}`;
    const version = { weights: { folder: { path: 'big' } }, engine: { name: 'Vllm', image } };
    lab.model('big', { pools: ['plain'], version, scaling: { minAwake: 1 } });
    lab.cluster.put(kinds.Secret, 'hub', {});
    lab.cluster.change(kinds.Secret, 'hub', { data: { token: Buffer.from('hf_1').toString('base64') } });
    const weights = { hub: { repo: 'acme/tiny' }, credentialsSecretName: 'hub' };
    lab.model('tiny', { pools: ['full'], version: { weights, contextLength: 512 } });
    const router = lab.router();
    router.demand([]);
    await lab.pass(START_MS + 3000);
  }

  async function makeIdentity(): Promise<void> {
    lab.cluster.put(kinds.Service, LINK_SERVICE, {});
    const identity = createLinkIdentity({
      ...{ cluster: lab.cluster, names: ['stoker-link.llm.svc'], pod: { name: 'stoker-controller-0', ip: '10.0.0.7' } },
      ...{ onCertificate: () => undefined, clock: lab.clock, rng: createRng(1), log: silentLog },
    });
    await identity.prepare(ending.signal);
    identity.announce(8083, ending.signal);
    await lab.pass(100);
  }

  async function makeLease(): Promise<object> {
    const memory = createMemoryLease();
    const common = { clock: lab.clock, rng: createRng(1), log: silentLog };
    const leadership = await campaign({ store: memory.store(), leaseName: 'l', holder: 'h', ...common }, never);
    const lease = memory.lease ?? assert.fail('there is no Lease');
    await leadership.release();
    const { uid: _, resourceVersion: __, ...metadata } = lease.metadata;
    return { ...lease, metadata };
  }

  async function makeEvent(): Promise<RenderedObject> {
    const written: object[] = [];
    const client = {
      create: async (_kind: unknown, object: object) => {
        written.push(object);
        return ok(object);
      },
      patch: async () => assert.fail('it is written once'),
    };
    const recorder = createEventRecorder({
      ...{
        client: client as never,
        namespace: 'llm',
        component: 'stoker-controller',
        clock: lab.clock,
        log: silentLog,
      },
    });
    const regarding = lab.cluster.must(kinds.Pool, 'full');
    recorder.record({ regarding, type: 'Warning', reason: 'Evicted', message: 'Slot full-1: it is sent away.' });
    await recorder.stop(never);
    return written[0] as RenderedObject;
  }

  it('each kind of object is among them', () => {
    const names = made.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
    const count = (pattern: RegExp) => names.filter((name) => pattern.test(name)).length;
    for (const pattern of [
      ...[/^Pod full-/, /^Pod plain-/, /^Pod tiny-.*-stage-/, /^PodDisruptionBudget demo-awake/],
      ...[/^NetworkPolicy stoker-slots-full/, /^Secret stoker-slot-keys/, /^Secret stoker-link-tls/],
      ...[/^ConfigMap stoker-link-ca/, /^EndpointSlice stoker-link/, /^Lease /, /^Event /],
    ]) {
      assert.ok(count(pattern) > 0, `${pattern} among ${names.join(', ')}`);
    }
    const flavoured = made.find(({ kind, metadata }) => kind === 'Pod' && metadata.name.startsWith('plain-'));
    assert.equal(flavoured?.spec.initContainers.length, 2);
  });

  for (const minor of minorVersions) {
    it(`of ${minor}`, () => {
      const judge = loadKubeJudge(minor);
      assert.deepEqual(
        made.flatMap((object) => judge(object).faults),
        [],
      );
      const [pod] = made.filter(({ kind }) => kind === 'Pod');
      const damaged = structuredClone(pod) ?? assert.fail('there is no Pod');
      damaged.spec.containers[0].resource = {};
      assert.match(judge(damaged).faults.join(), /unknown field spec\.containers\[0\]\.resource/);
    });
  }
});

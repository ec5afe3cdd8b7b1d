// The Pod of a slot whose engine comes as an image of others, and which slots a pool lacks.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Pool, poolSpecSchema } from '../../../src/api/pool.ts';
import {
  chooseFlavour,
  flavourOf,
  isUnwanted,
  listLackingSlots,
  renderFlavouredPod,
} from '../../../src/controller/slot-flavour.ts';
import { linkUrlOf, renderSlotPod } from '../../../src/controller/slot-pod.ts';
import { claimFor } from '../../support/placement.ts';

const pool: Pool = {
  apiVersion: 'stoker.dev/v1alpha1',
  kind: 'Pool',
  metadata: { name: 'gpus', uid: 'pool-uid' },
  spec: poolSpecSchema.parse({}),
};
const flavour = `vllm/vllm-openai@sha256:${'a'.repeat(64)}`;
const image = 'stoker.dev/stoker@sha256:1';
const local = { linkUrl: 'wss://stoker-link:8083', serviceAccount: 'stoker-slot', release: '1.2.3' };
const template = { ...local, slotPods: { image, pullPolicy: 'Never', pullSecrets: [] } } as const;

describe('the Pod of a slot with an image that is not ours', () => {
  const plain = renderSlotPod(pool, 1, template);
  const pod = renderFlavouredPod(plain, flavour, { pool, template });
  const [agent] = pod.spec.containers;
  const [carry, check] = pod.spec.initContainers ?? [];

  test('says its image on the Pod, and runs the carried agent in it', () => {
    assert.equal(flavourOf(pod), flavour);
    assert.equal(agent?.image, flavour);
    assert.deepEqual(agent?.command, ['/bin/sh', '/stoker/run.sh', 'agent']);
    assert.equal(linkUrlOf(pod), template.linkUrl);
    assert.equal(agent?.env?.find(({ name }) => name === 'STOKER_DATA_DIR')?.value, '/var/lib/stoker');
  });

  test('has the agent carried from our image, and tried in that of the engine before it starts', () => {
    assert.equal(carry?.image, image);
    assert.equal(carry?.imagePullPolicy, 'Never');
    assert.equal(check?.image, flavour);
    assert.deepEqual(check?.command, ['/bin/sh', '/stoker/run.sh', 'check']);
    const mounts = [carry, check, agent].map((one) => one?.volumeMounts?.find(({ name }) => name === 'carried-agent'));
    assert.deepEqual(
      mounts.map((mount) => mount?.readOnly === true),
      [false, true, true],
    );
  });

  test('runs as the user of its image, without rights; what is ours in it stays restricted', () => {
    const { securityContext } = pod.spec;
    assert.deepEqual(securityContext, { fsGroup: 65_532, seccompProfile: { type: 'RuntimeDefault' } });
    for (const one of [check, agent]) {
      assert.deepEqual(one?.securityContext, { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } });
    }
    assert.partialDeepStrictEqual(carry?.securityContext, { runAsNonRoot: true, readOnlyRootFilesystem: true });
    assert.equal(
      agent?.env?.find(({ name }) => name === 'HOME'),
      undefined,
    );
  });

  test('is restricted like every other where the Pool says so, with a home and a name for a user the image lacks', () => {
    const strict = { ...pool, spec: poolSpecSchema.parse({ pod: { security: 'Restricted' } }) };
    const { spec } = renderFlavouredPod(plain, flavour, { pool: strict, template });
    assert.deepEqual(spec.securityContext, plain.spec.securityContext);
    const [before] = plain.spec.containers;
    const [, tried] = spec.initContainers ?? [];
    for (const one of [tried, spec.containers[0]]) assert.deepEqual(one?.securityContext, before?.securityContext);
    const variable = (wanted: string) => spec.containers[0]?.env?.find(({ name }) => name === wanted)?.value;
    assert.deepEqual(['HOME', 'USER', 'LOGNAME'].map(variable), ['/var/lib/stoker', 'stoker', 'stoker']);
  });

  test('has shared memory for engines on several accelerators, as large as the Pool says', () => {
    const sharedOf = (given: object) => {
      const wide = { ...pool, spec: poolSpecSchema.parse({ accelerator: { countPerSlot: 4 }, ...given }) };
      const { spec } = renderFlavouredPod(renderSlotPod(wide, 1, template), flavour, { pool: wide, template });
      assert.equal(spec.containers[0]?.volumeMounts?.filter(({ mountPath }) => mountPath === '/dev/shm').length, 1);
      return spec.volumes?.find(({ name }) => name === 'shared-memory')?.emptyDir;
    };
    assert.deepEqual(sharedOf({}), { medium: 'Memory', sizeLimit: String(8 * 1024 ** 3) });
    assert.deepEqual(sharedOf({ pod: { sharedMemoryBytes: 5_000_000 } }), { medium: 'Memory', sizeLimit: '5000000' });
    assert.ok(!pod.spec.volumes?.some(({ name }) => name === 'shared-memory'));
  });

  test('keeps what its engine compiles where the Pool says, by the class of accelerator; else it goes with the slot', () => {
    const renderedWith = (given: object, allowsHostPath = false) => {
      const spec = poolSpecSchema.parse({ accelerator: { className: '../h100' }, ...given });
      const rendered = renderFlavouredPod(plain, flavour, {
        pool: { ...pool, spec },
        template: { ...template, allowsHostPath },
      });
      const [first] = rendered.spec.containers;
      const isCache = ({ name }: { readonly name: string }) => name === 'compile-cache';
      return {
        folder: first?.env?.find(({ name }) => name === 'STOKER_COMPILE_CACHE_DIR')?.value,
        volume: rendered.spec.volumes?.find(isCache),
        mount: first?.volumeMounts?.find(isCache),
      };
    };
    const folder = '/var/lib/stoker/cache/class-..%2Fh100';
    const mount = { name: 'compile-cache', mountPath: '/var/lib/stoker/cache' };
    assert.deepEqual(renderedWith({}), { folder, volume: undefined, mount: undefined });
    const claimed = { name: 'compile-cache', persistentVolumeClaim: { claimName: 'kernels', readOnly: false } };
    assert.deepEqual(renderedWith({ compileCache: { claimName: 'kernels' } }), { folder, volume: claimed, mount });
    const onNode = { compileCache: { hostPath: { path: '/mnt/nvme/kernels' } } };
    assert.deepEqual(renderedWith(onNode), { folder, volume: undefined, mount: undefined });
    const volume = { name: 'compile-cache', hostPath: { path: '/mnt/nvme/kernels', type: 'Directory' } };
    assert.deepEqual(renderedWith(onNode, true), { folder, volume, mount });
  });

  test('keeps to the other rules of every slot', () => {
    const [before] = plain.spec.containers;
    assert.deepEqual(agent?.resources, before?.resources);
    assert.deepEqual(agent?.readinessProbe, before?.readinessProbe);
    assert.equal(pod.spec.shareProcessNamespace, true);
  });

  test('is the one of the built-in engines without an image, and on one machine', () => {
    assert.equal(renderFlavouredPod(plain, undefined, { pool, template }), plain);
    assert.equal(renderFlavouredPod(plain, flavour, { pool, template: local }), plain);
    assert.equal(flavourOf(plain), undefined);
  });
});

test('slots on their way are for somebody of their image', () => {
  const unmet = (wanted: string | undefined) => ({
    claim: claimFor('m-1', 1, wanted === undefined ? {} : { flavour: wanted }),
    pool: 'gpus',
  });
  const placement = {
    assigned: new Map(),
    moves: [],
    givenUp: [],
    unmet: [unmet('a'), unmet(undefined), unmet('a'), unmet('b'), { ...unmet('c'), pool: undefined }],
  };
  const slotCounts = new Map([['gpus', { comingFlavours: ['a', 'other'] }]]);
  assert.deepEqual([...listLackingSlots(placement, slotCounts)], [['gpus', [undefined, 'a', 'b']]]);
});

test('slots that nobody waits for are shared among the images by the Models that want each', () => {
  const make = (wanted: readonly (string | undefined)[], count: number) => {
    const made: (string | undefined)[] = [];
    while (made.length < count) made.push(chooseFlavour(wanted, made));
    return made.map(String).sort();
  };
  assert.deepEqual(make([], 2), ['undefined', 'undefined']);
  assert.deepEqual(make(['a', 'a', 'b'], 3), ['a', 'a', 'b']);
  assert.deepEqual(make([undefined, 'a', 'b'], 3), ['a', 'b', 'undefined']);
  assert.deepEqual(
    [isUnwanted(undefined, []), isUnwanted(undefined, ['a']), isUnwanted('a', ['a'])],
    [false, true, false],
  );
});

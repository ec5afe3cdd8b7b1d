// Models of several engine images in one pool of one slot, on a cluster: the whole controller on a manual clock, with agents and
// routers in memory.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { kinds, type Pod } from '../../src/api/kinds.ts';
import { fail, ok } from '../../src/lib/result.ts';
import { createLab, type Lab } from '../support/controller-lab.ts';
import { START_MS } from '../support/lab-agent.ts';

const image = `registry.example.com/vllm@sha256:${'b'.repeat(64)}`;
const slotPods = { image: 'stoker.dev/stoker@sha256:1', pullPolicy: 'IfNotPresent', pullSecrets: [] } as const;

let lab: Lab;
beforeEach(async () => {
  lab = await createLab({ slotPods });
  lab.weights.set('big', { sha256: 'c'.repeat(64), sizeBytes: 1_000_000, trainedContextLength: 4096 });
  lab.pool('default', { slots: { min: 1, max: 1 } });
});
afterEach(async () => {
  await lab.stop();
  assert.equal(lab.clock.pendingTimers(), 0, 'no timer is left');
});

const big = (engine: object) =>
  lab.model('big', { version: { weights: { folder: { path: 'big' } }, engine: { name: 'Vllm', ...engine } } });
const images = (pod: Pod | undefined) => pod?.spec.containers.map((container) => container.image);
const slots = () => lab.cluster.list(kinds.Pod);
const pinned = (model: string) =>
  lab.cluster.must(kinds.Model, model).status?.conditions?.find(({ type }) => type === 'Pinned');

test('the one slot of a pool becomes one of the image that is wanted, and back again', async () => {
  lab.model('demo');
  big({ image, args: ['--dtype=half'] });
  const router = lab.router();
  router.demand([{ model: 'demo', queued: 1 }]);
  await lab.pass(START_MS + 500);
  assert.deepEqual(slots().map(images), [[slotPods.image]]);
  router.demand([{ model: 'big', queued: 1 }]);
  await lab.pass(START_MS + 6000);
  assert.deepEqual(slots().map(images), [[image]]);
  const [slot] = slots();
  const agent = lab.agents.get(slot?.metadata.name ?? '');
  const [told] = agent?.targets.at(-1)?.instances ?? [];
  assert.equal(told?.rung, 'Awake');
  assert.ok(told?.launch.engine === 'Vllm');
  assert.equal(told.launch.imageDigest, `sha256:${'b'.repeat(64)}`);
  assert.deepEqual(told.launch.args, ['--dtype=half']);
  assert.equal(lab.cluster.must(kinds.Model, 'big').status?.awake, 1);
  router.demand([{ model: 'demo', queued: 1 }]);
  await lab.pass(START_MS + 6000);
  assert.deepEqual(slots().map(images), [[slotPods.image]]);
  assert.equal(lab.cluster.must(kinds.Model, 'demo').status?.awake, 1);
});

test('the slots that a pool keeps are of the image that its Models want, whichever came first', async () => {
  await lab.pass(START_MS + 500);
  assert.deepEqual(slots().map(images), [[slotPods.image]]);
  big({ image });
  await lab.pass(START_MS + 20_000);
  assert.deepEqual(slots().map(images), [[image]]);
  lab.pool('other', { slots: { min: 2, max: 3 } });
  lab.model('wide', {
    version: { weights: { folder: { path: 'big' } }, engine: { name: 'Vllm', image } },
    pools: ['other'],
  });
  await lab.pass(START_MS + 20_000);
  const other = slots().filter(({ metadata }) => metadata.labels?.['stoker.dev/pool'] === 'other');
  assert.deepEqual(other.map(images), [[image], [image]]);
});

test('a new controller takes a slot of another image for what it is', async () => {
  big({ image });
  const router = lab.router();
  router.demand([{ model: 'big', queued: 1 }]);
  await lab.pass(START_MS + 6000);
  const before = slots().map(({ metadata }) => metadata.name);
  await lab.restart();
  await lab.pass(12_000);
  assert.deepEqual(
    slots().map(({ metadata }) => metadata.name),
    before,
  );
  assert.equal(lab.cluster.must(kinds.Model, 'big').status?.awake, 1);
});

test('engines are told how much of the accelerator they may take, where the Pool says what it has', async () => {
  const GIB = 1024 ** 3;
  const setPool = (spec: object) =>
    lab.cluster.change(kinds.Pool, 'default', { spec: { accelerator: { memoryBytes: 80 * GIB }, ...spec } });
  setPool({ sleepersPerSlotMax: 4 });
  lab.weights.set('big', { sha256: 'c'.repeat(64), sizeBytes: 16 * GIB, trainedContextLength: 4096 });
  big({ image });
  const router = lab.router();
  const told = async () => {
    router.demand([{ model: 'big', queued: 1 }]);
    await lab.pass(START_MS + 6000);
    const launches = lab.agents.get(slots()[0]?.metadata.name ?? '')?.targets.at(-1)?.instances ?? [];
    return launches.find(({ rung }) => rung === 'Awake')?.launch;
  };
  assert.partialDeepStrictEqual(await told(), { engine: 'Vllm', kvCacheBytes: Math.floor((80 - 9.6 - 16 - 5) * GIB) });
  const before = lab.cluster.must(kinds.Model, 'big').status?.stableRevision;
  setPool({ sleepersPerSlotMax: 0 });
  assert.partialDeepStrictEqual(await told(), { kvCacheBytes: Math.floor((80 - 9.6 - 16) * GIB) });
  assert.equal(lab.cluster.must(kinds.Model, 'big').status?.stableRevision, before, 'it is no part of what is pinned');
});

test('an engine uses all accelerators of its set, but where its version says how they are used', async () => {
  lab.cluster.change(kinds.Pool, 'default', {
    spec: { accelerator: { resourceName: 'nvidia.com/gpu', countPerSlot: 4, memoryBytes: 80 * 1024 ** 3 } },
  });
  lab.weights.set('big', { sha256: 'c'.repeat(64), sizeBytes: 140e9, trainedContextLength: 4096 });
  const router = lab.router();
  const told = async (args?: string[]) => {
    big({ image, ...(args === undefined ? {} : { args }) });
    router.demand([{ model: 'big', queued: 1 }]);
    await lab.pass(START_MS + 20_000);
    const launches = [...lab.agents.values()].flatMap((agent) => agent.targets.at(-1)?.instances ?? []);
    const launch = launches.findLast(({ rung }) => rung === 'Awake')?.launch;
    return launch?.engine === 'Vllm' ? launch : assert.fail('it is told nothing');
  };
  const whole = await told();
  assert.deepEqual(whole.args, ['--tensor-parallel-size=4']);
  assert.ok((whole.kvCacheBytes ?? 0) > 20e9, 'each accelerator holds a quarter of the weights');
  const staged = ['--pipeline-parallel-size=2'];
  assert.deepEqual((await told(staged)).args, ['--tensor-parallel-size=2', ...staged]);
  assert.deepEqual((await told(['--tensor-parallel-size=1'])).args, ['--tensor-parallel-size=1']);
});

test('an engine whose version says its share of the accelerator is told nothing else', async () => {
  lab.cluster.change(kinds.Pool, 'default', { spec: { accelerator: { memoryBytes: 80 * 1024 ** 3 } } });
  big({ image, args: ['--gpu-memory-utilization=0.7'] });
  lab.router().demand([{ model: 'big', queued: 1 }]);
  await lab.pass(START_MS + 6000);
  const [told] = lab.agents.get(slots()[0]?.metadata.name ?? '')?.targets.at(-1)?.instances ?? [];
  assert.deepEqual(told?.launch.engine === 'Vllm' && told.launch.args, ['--gpu-memory-utilization=0.7']);
  assert.ok(told !== undefined && !Object.hasOwn(told.launch, 'kvCacheBytes'));
});

test('a folder of the node for what engines compile has to be allowed: the Pool says so, and slots do without', async () => {
  const compileCache = { hostPath: { path: '/mnt/nvme/kernels' } };
  lab.cluster.change(kinds.Pool, 'default', { spec: { compileCache } });
  big({ image });
  await lab.pass(START_MS + 20_000);
  assert.deepEqual(slots().map(images), [[image]]);
  const conditions = lab.cluster.must(kinds.Pool, 'default').status?.conditions ?? [];
  const trouble = conditions.find(({ type }) => type === 'SlotTrouble');
  assert.deepEqual([trouble?.status, trouble?.reason], ['True', 'HostPathForbidden']);
  assert.match(trouble?.message ?? '', /spec\.compileCache\.hostPath.*slots\.allowHostPath.*compileCache\.claimName/);
  assert.equal(conditions.find(({ type }) => type === 'Ready')?.status, 'True');
  assert.doesNotMatch(JSON.stringify(slots()), /hostPath/);
});

describe('an image by tag', () => {
  const digest = `sha256:${'b'.repeat(64)}`;
  const tagged = 'registry.example.com/vllm:v1';
  const revisions = () => lab.cluster.list(kinds.ModelRevision).map(({ metadata }) => metadata.name);

  test('is resolved once: slots run the digest, and a later move of the tag changes nothing', async () => {
    const asked: string[] = [];
    lab.answerRegistries(({ registry, repository, tag }) => {
      asked.push(`${registry} ${repository} ${tag}`);
      return ok(digest);
    });
    big({ image: tagged });
    const router = lab.router();
    router.demand([{ model: 'big', queued: 1 }]);
    await lab.pass(START_MS + 6000);
    const [revision] = lab.cluster.list(kinds.ModelRevision);
    assert.deepEqual(revision?.spec.engine, { name: 'Vllm', build: `image@${digest}`, image });
    assert.deepEqual(slots().map(images), [[image]]);
    assert.equal(lab.cluster.must(kinds.Model, 'big').status?.awake, 1);
    lab.answerRegistries(() => ok(`sha256:${'d'.repeat(64)}`));
    const before = revisions();
    await lab.restart();
    await lab.pass(12_000);
    assert.deepEqual(revisions(), before);
    assert.deepEqual(asked, ['registry.example.com vllm v1']);
    lab.cluster.change(kinds.Model, 'big', { spec: { version: { engine: { image } } } });
    await lab.pass(START_MS);
    assert.deepEqual(revisions(), before, 'the digest that it led to is the same version');
  });

  test('says what to do while the registry does not tell, and is pinned once it does', async () => {
    lab.answerRegistries(() => fail({ type: 'Unreachable', message: 'https://x could not be read: no route.' }));
    big({ image: tagged });
    await lab.pass(1000);
    assert.deepEqual([pinned('big')?.status, pinned('big')?.reason], ['False', 'ImageUnresolved']);
    assert.equal(
      pinned('big')?.message,
      'What registry.example.com/vllm:v1 leads to could not be asked: https://x could not be read: no route. Let the controller reach registry.example.com (networkPolicy.sourcesTo and sourcePorts of the chart), or name the image by digest.',
    );
    lab.answerRegistries(() => fail({ type: 'NotFound', message: '' }));
    await lab.pass(15_000);
    assert.match(
      pinned('big')?.message ?? '',
      /^registry\.example\.com has no image .*vllm:v1\. Correct spec\.version/,
    );
    assert.deepEqual(revisions(), []);
    lab.answerRegistries(() => ok(digest));
    await lab.pass(60_000);
    assert.equal(pinned('big')?.status, 'True');
  });

  test('that no registry tells of holds back other versions of many Models, and no slot', async () => {
    const { promise, resolve } = Promise.withResolvers<ReturnType<typeof ok<string>>>();
    lab.answerRegistries(() => promise);
    const version = { weights: { folder: { path: 'big' } }, engine: { name: 'Vllm', image: tagged } };
    for (let at = 0; at < 20; at += 1) lab.model(`silent-${at}`, { version });
    await lab.pass(100);
    lab.pool('later', { slots: { min: 1, max: 1 } });
    await lab.pass(START_MS);
    const { status } = lab.cluster.must(kinds.Pool, 'later');
    resolve(ok(digest));
    assert.equal(status?.ready, 1);
    await lab.pass(1000);
    assert.equal(pinned('silent-19')?.status, 'True');
  });

  test('is asked for at no address that is never asked', async () => {
    lab.answerRegistries(() => assert.fail('it was asked'));
    big({ image: '169.254.169.254/vllm:v1' });
    await lab.pass(1000);
    assert.equal(pinned('big')?.reason, 'AddressRefused');
    lab.cluster.change(kinds.Model, 'big', {
      spec: { pinPolicy: 'RequireDigest', version: { engine: { image: tagged } } },
    });
    await lab.pass(60_000);
    assert.equal(pinned('big')?.reason, 'DigestMissing');
  });
});

test('a registry is shown the login that nodes pull with, and its sentences name the Secret', async () => {
  await lab.stop();
  lab = await createLab({ slotPods: { ...slotPods, pullSecrets: ['pull'] } });
  lab.weights.set('big', { sha256: 'c'.repeat(64), sizeBytes: 1_000_000, trainedContextLength: 4096 });
  lab.answerRegistries((_, login) =>
    login?.password === 'right' ? ok(`sha256:${'b'.repeat(64)}`) : fail({ type: 'AccessDenied', message: '' }),
  );
  big({ image: 'registry.example.com/vllm:v1' });
  await lab.pass(1000);
  assert.match(pinned('big')?.message ?? '', /The controller cannot read the Secret pull: .* rbac\.readSecrets/);
  const dataOf = (password: string) => {
    const auths = { 'registry.example.com': { username: 'me', password } };
    return { data: { '.dockerconfigjson': Buffer.from(JSON.stringify({ auths })).toString('base64') } };
  };
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'pull' }, ...dataOf('wrong') };
  await lab.cluster.create(kinds.Secret, secret);
  await lab.pass(15_000);
  assert.match(
    pinned('big')?.message ?? '',
    /does not show .*vllm:v1 to the login in the Secret pull\. Correct that Secret/,
  );
  assert.doesNotMatch(JSON.stringify(lab.cluster.must(kinds.Model, 'big')), /wrong/);
  lab.cluster.change(kinds.Secret, 'pull', dataOf('right'));
  await lab.pass(60_000);
  assert.equal(pinned('big')?.status, 'True');
});

test('without an image it is refused with what to do', async () => {
  big({});
  await lab.pass(100);
  assert.equal(pinned('big')?.reason, 'ImageMissing');
  assert.match(pinned('big')?.message ?? '', /Set spec.version.engine.image/);
});

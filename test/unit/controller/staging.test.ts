// Weights that are downloaded, as a controller on a cluster sees to them: stagers, what is said of them, when they come again,
// and that no slot is asked to start what is not there. Also what cannot be pinned.
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { fileSetDigest } from '../../../src/api/file-set.ts';
import { conditionSchema } from '../../../src/api/group.ts';
import { kinds, type Pod } from '../../../src/api/kinds.ts';
import { fail, ok } from '../../../src/lib/result.ts';
import { createLab, type Lab, type LabOptions } from '../../support/controller-lab.ts';
import { START_MS } from '../../support/lab-agent.ts';

const sha256 = 'c'.repeat(64);
const files = [{ path: 'tiny.gguf', url: 'https://hub.example/tiny.gguf', sizeBytes: 5_000_000_000, sha256 }];
const version = { weights: { hub: { repo: 'acme/tiny' }, credentialsSecretName: 'hub' }, contextLength: 512 };
const digest = fileSetDigest(files);

let lab: Lab;
afterEach(() => lab.stop());

const cluster: LabOptions = {
  slotPods: { image: 'registry.example/stoker:1', pullPolicy: 'Always', pullSecrets: ['pull'] },
};

async function begin(pool: object = { weights: { claimName: 'models' } }, options: LabOptions = cluster) {
  lab = await createLab(options);
  await fill(pool);
}

async function fill(pool: object) {
  lab.answerSources(() => ok({ source: 'Hub', files }));
  const secret = lab.cluster.put(kinds.Secret, 'hub', {});
  lab.cluster.change(kinds.Secret, secret.metadata.name, { data: { token: Buffer.from('hf_1').toString('base64') } });
  lab.pool('default', pool);
  lab.model('tiny', { version });
  await lab.pass(500);
}

function stager(): Pod | undefined {
  const pods = lab.cluster
    .list(kinds.Pod)
    .filter(({ metadata }) => metadata.labels?.['stoker.dev/stages'] !== undefined);
  assert.ok(pods.length <= 1, 'there are two');
  return pods[0];
}

/** `aheadMs` is how far the clock of its node goes before ours. */
function end(phase: 'Succeeded' | 'Failed', message?: string, aheadMs = 0): void {
  const name = stager()?.metadata.name ?? assert.fail('there is no stager');
  const finishedAt = new Date(lab.clock.wallMs() + aheadMs).toISOString();
  const state = { terminated: { exitCode: phase === 'Failed' ? 1 : 0, finishedAt, message } };
  const containerStatuses = [{ name: 'stager', ready: false, restartCount: 0, state }];
  lab.cluster.setPodStatus(name, { phase, containerStatuses });
}

const lastWords = (reason: string, message: string) => JSON.stringify({ reason, message });

function conditionOf(type: string) {
  return lab.cluster.must(kinds.Model, 'tiny').status?.conditions?.find((one) => one.type === type);
}

function revision() {
  return lab.cluster.list(kinds.ModelRevision)[0] ?? assert.fail('there is no revision');
}

describe('a stager', () => {
  for (const [reason, sentence] of [
    ['QuotaExceeded', 'pods "x" is forbidden: exceeded quota: few, requested: pods=1, used: pods=2, limited: pods=2'],
    ['PodSecurityRefused', 'pods "x" is forbidden: violates PodSecurity "restricted:latest": hostPath'],
    ['MissingRight', 'pods is forbidden: User "c" cannot create resource "pods" in API group ""'],
  ] as const) {
    test(`that the server does not take (${reason}) is said of revision and Model, and made once it is taken`, async () => {
      lab = await createLab(cluster);
      lab.cluster.refused = { kind: 'Pod', error: { reason: 'Forbidden', message: sentence } };
      await fill({ weights: { claimName: 'models' } });
      await lab.pass(60_000);
      const staged = revision().status?.conditions?.find(({ type }) => type === 'Staged');
      assert.deepEqual([staged?.status, staged?.reason], ['False', reason]);
      assert.ok(staged?.message.includes(sentence.slice(0, 40)), staged?.message);
      assert.equal(conditionOf('Ready')?.reason, reason);
      const tries = lab.cluster.writes.filter((write) => write.startsWith('create Pod ')).length;
      assert.ok(tries >= 4 && tries <= 20, `${tries} tries in a minute`);
      const told = lab.cluster.events.filter((event) => event.reason === reason);
      assert.deepEqual([...new Set(told.map(({ regarding }) => regarding.kind))].sort(), ['Model', 'ModelRevision']);
      lab.cluster.refused = undefined;
      await lab.pass(61_000);
      assert.ok(stager() !== undefined);
      assert.equal(conditionOf('Ready')?.reason, 'Staging');
    });
  }

  test('is one Pod, restricted, with the claim, the Secret by name and no token', async () => {
    await begin();
    const pod = stager();
    assert.equal(pod?.spec.serviceAccountName, 'stoker-stager');
    assert.equal(pod.spec.automountServiceAccountToken, false);
    assert.equal(pod.spec.restartPolicy, 'Never');
    assert.deepEqual(pod.spec.volumes, [
      { name: 'weights', persistentVolumeClaim: { claimName: 'models', readOnly: false } },
    ]);
    const [container] = pod.spec.containers;
    assert.equal(container?.image, 'registry.example/stoker:1');
    const folder = ['--folder', '/var/lib/stoker/weights'];
    assert.deepEqual(container.command, ['stoker', 'stage', ...folder, '--progress-port', '8002']);
    assert.deepEqual(container.ports, [{ name: 'progress', containerPort: 8002 }]);
    const token = container.env?.find(({ name }) => name === 'STOKER_STAGE_TOKEN');
    assert.deepEqual(token?.valueFrom, { secretKeyRef: { name: 'hub', key: 'token', optional: true } });
    assert.doesNotMatch(JSON.stringify(pod), /hf_1|aGZfMQ/);
    assert.ok(pod.metadata.name.length <= 63);
    assert.equal(conditionOf('Ready')?.reason, 'Staging');
    assert.match(conditionOf('Ready')?.message ?? '', /5 GB|4\.\d+ GiB|GB|GiB/);
  });

  test('nothing starts before it is done; then the slot reads the claim, and the stager goes', async () => {
    await begin();
    const router = lab.router();
    router.demand([{ model: 'tiny', queued: 1, oldestQueuedMs: 10 }]);
    await lab.pass(3000);
    assert.equal(lab.agents.size, 0);
    assert.equal(router.table().warmth.get('tiny')?.failure, undefined);
    end('Succeeded');
    await lab.pass(3000);
    assert.equal(stager(), undefined);
    assert.deepEqual(revision().status?.stagedIn, ['claim/models']);
    const slot = lab.cluster.list(kinds.Pod)[0];
    assert.deepEqual(slot?.spec.volumes?.at(-1), {
      name: 'weights',
      persistentVolumeClaim: { claimName: 'models', readOnly: true },
    });
    const target = [...lab.agents.values()].flatMap((agent) => agent.targets.at(-1)?.instances ?? [])[0];
    assert.equal(target?.launch.engine, 'Llama');
    assert.equal(
      'weightsPath' in target.launch && target.launch.weightsPath,
      `/var/lib/stoker/weights/${digest}/tiny.gguf`,
    );
    assert.equal('weightsSha256' in target.launch && target.launch.weightsSha256, sha256);
  });

  test('tells how far it is, no more often than every ten seconds, and callers hear the time that is left', async () => {
    await begin();
    const router = lab.router();
    router.demand([{ model: 'tiny', queued: 1, oldestQueuedMs: 10 }]);
    const name = stager()?.metadata.name ?? '';
    const said = new Set<string>();
    lab.cluster.setPodStatus(name, { phase: 'Running', podIP: '127.0.0.1' });
    for (let second = 0; second < 40; second += 1) {
      lab.stagerProgress.set(name, { doneBytes: second * 100_000_000, totalBytes: 5_000_000_000 });
      await lab.pass(1000);
      said.add(conditionOf('Ready')?.message ?? '');
    }
    assert.match(conditionOf('Ready')?.message ?? '', /^Staging 60 % of 4\.7 GiB: about 20\.0 s are left\.$/);
    assert.ok(said.size >= 3 && said.size <= 6, [...said].join('\n'));
    const leftMs = router.table().warmth.get('tiny')?.etaMs ?? 0;
    assert.ok(leftMs > 8000 && leftMs < 40_000, `${leftMs}`);
    lab.stagerProgress.set(name, { doneBytes: 5_000_000_000, totalBytes: 5_000_000_000 });
    await lab.pass(11_000);
    assert.match(conditionOf('Ready')?.message ?? '', /all of 4\.7 GiB is here and is being verified/);
    end('Succeeded');
    await lab.pass(1000);
    assert.equal(conditionOf('Ready')?.reason, 'Cold');
  });

  test('says why it failed, and comes again after a growing wait', async () => {
    await begin();
    const said = lastWords('AccessDenied', 'The hub refuses access (403). Name a Secret.');
    const tries: number[] = [];
    for (let count = 0; count < 4; count += 1) {
      const uid = stager()?.metadata.uid;
      end('Failed', said);
      const fromMs = lab.clock.nowMs();
      await lab.pass(200);
      assert.equal(conditionOf('Ready')?.reason, 'AccessDenied');
      assert.match(conditionOf('Ready')?.message ?? '', /refuses access \(403\).*It is tried again/);
      while (stager()?.metadata.uid === uid || stager() === undefined) await lab.pass(500);
      tries.push(lab.clock.nowMs() - fromMs);
    }
    assert.ok(
      tries.every((waitMs, at) => at === 0 || waitMs > (tries[at - 1] ?? 0) * 1.5),
      tries.join(),
    );
    assert.ok(lab.cluster.events.some(({ reason }) => reason === 'AccessDenied'));
    assert.match(await lab.metrics.render(), /^stoker_weight_downloads_total\{outcome="Failed"\} 4$/m);
    end('Succeeded');
    await lab.pass(1000);
    assert.equal(conditionOf('Ready')?.status, 'True');
  });

  test('whose last words are long is told with what fits, and with what comes next', async () => {
    await begin();
    end('Failed', lastWords('SourceRefused', 'x'.repeat(1000)));
    await lab.pass(200);
    const { message = '' } = revision().status?.conditions?.find(({ type }) => type === 'Staged') ?? {};
    assert.match(message, /^x{900,} It is tried again, after 10 min at most\.$/);
    assert.ok(conditionSchema.shape.message.safeParse(message).success, `${message.length} characters`);
  });

  test('comes again after the same wait where the clock of its node is an hour off', async () => {
    await begin();
    for (const aheadMs of [3_600_000, -3_600_000]) {
      const uid = stager()?.metadata.uid;
      end('Failed', lastWords('SourceUnreachable', 'No route.'), aheadMs);
      await lab.pass(4500);
      assert.equal(stager()?.metadata.uid, uid);
      await lab.pass(8000);
      assert.notEqual(stager()?.metadata.uid, uid);
    }
  });

  test('one that never starts says so, and where to look', async () => {
    await begin();
    await lab.pass(95_000);
    assert.equal(conditionOf('Ready')?.reason, 'NotStarted');
    assert.match(conditionOf('Ready')?.message ?? '', /^The stager tiny-.*kubectl describe pod tiny-/);
    lab.cluster.setPodStatus(stager()?.metadata.name ?? '', { phase: 'Running' });
    await lab.pass(500);
    assert.equal(conditionOf('Ready')?.reason, 'Staging');
  });

  test('one whose claim is not there refuses callers, and goes on once it is made', async () => {
    await begin();
    const router = lab.router();
    router.demand([{ model: 'tiny', queued: 1, oldestQueuedMs: 10 }]);
    const message = '0/3 nodes are available: persistentvolumeclaim "models" not found.';
    const name = stager()?.metadata.name ?? '';
    lab.cluster.setPodStatus(name, {
      phase: 'Pending',
      conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message }],
    });
    await lab.pass(40_000, 100);
    assert.equal(conditionOf('Ready')?.reason, 'ClaimMissing');
    assert.match(
      conditionOf('Ready')?.message ?? '',
      /Make the claim models, .* in spec\.weights\.claimName of the Pool/,
    );
    assert.equal(router.table().warmth.get('tiny')?.failure?.reason, 'ClaimMissing');
    lab.cluster.setPodStatus(name, { phase: 'Running' });
    await lab.pass(500);
    assert.equal(conditionOf('Ready')?.reason, 'Staging');
    assert.equal(router.table().warmth.get('tiny')?.failure, undefined);
  });

  test('one that ended without a word has the words of Kubernetes', async () => {
    await begin();
    lab.cluster.setPodStatus(stager()?.metadata.name ?? '', {
      phase: 'Failed',
      reason: 'Evicted',
      message: 'The node was low on resource: ephemeral-storage.',
    });
    await lab.pass(200);
    assert.equal(conditionOf('Ready')?.reason, 'Evicted');
    assert.match(conditionOf('Ready')?.message ?? '', /low on resource/);
  });

  test('one on a node that is lost is said, callers are refused, and the next one comes when the node is given up', async () => {
    await begin();
    const router = lab.router();
    router.demand([{ model: 'tiny', queued: 1, oldestQueuedMs: 10 }]);
    const { metadata, spec } = stager() ?? assert.fail('there is no stager');
    const { name, uid } = metadata;
    lab.lostNodes.add('n1');
    lab.cluster.change(kinds.Pod, name, { spec: { ...spec, nodeName: 'n1' } });
    lab.cluster.setPodStatus(name, {
      phase: 'Running',
      conditions: [{ type: 'Ready', status: 'False', lastTransitionTime: new Date(lab.clock.wallMs()).toISOString() }],
      containerStatuses: [{ name: 'stager', ready: true, restartCount: 0, state: { running: {} } }],
    });
    await lab.pass(20_000, 100);
    assert.equal(conditionOf('Ready')?.reason, 'Staging', 'it may only start anew');
    await lab.pass(60_000, 100);
    assert.equal(conditionOf('Ready')?.reason, 'NodeLost');
    assert.match(conditionOf('Ready')?.message ?? '', /its node n1 does not answer.*kubectl delete node n1\. No other/);
    assert.equal(router.table().warmth.get('tiny')?.failure?.reason, 'NodeLost');
    await lab.cluster.remove(kinds.Pod, name, {});
    await lab.pass(100_000, 100);
    assert.equal(conditionOf('Ready')?.reason, 'NodeLost');
    assert.equal(stager()?.metadata.uid, uid, 'a second one could write to the same files');
    lab.lostNodes.clear();
    await lab.pass(11_000, 100);
    assert.notEqual(stager()?.metadata.uid, uid);
    assert.equal(conditionOf('Ready')?.reason, 'Staging');
    assert.equal(router.table().warmth.get('tiny')?.failure, undefined);
  });

  test('one that should be gone and is not is held, though nobody said that its node is lost', async () => {
    await begin();
    const { metadata, spec } = stager() ?? assert.fail('there is no stager');
    lab.lostNodes.add('n1');
    lab.cluster.change(kinds.Pod, metadata.name, { spec: { ...spec, nodeName: 'n1' } });
    lab.cluster.setPodStatus(metadata.name, { phase: 'Running' });
    await lab.cluster.remove(kinds.Pod, metadata.name, {});
    await lab.pass(30_000, 100);
    assert.equal(conditionOf('Ready')?.reason, 'Staging');
    await lab.pass(50_000, 100);
    assert.equal(conditionOf('Ready')?.reason, 'NodeLost');
  });

  test('a controller that starts anew makes no second one, and forgets nothing that is staged', async () => {
    await begin();
    const uid = stager()?.metadata.uid;
    await lab.restart();
    await lab.pass(1000);
    assert.equal(stager()?.metadata.uid, uid);
    end('Succeeded');
    await lab.pass(1000);
    await lab.restart();
    await lab.pass(1000);
    assert.equal(stager(), undefined);
    assert.equal(lab.cluster.list(kinds.ModelRevision).length, 1);
  });

  test('a pool without a volume is said', async () => {
    await begin({});
    assert.equal(stager(), undefined);
    assert.equal(conditionOf('Ready')?.reason, 'NoWeightVolume');
    assert.match(conditionOf('Ready')?.message ?? '', /Set spec.weights.claimName of the Pool default/);
  });

  test('on one machine it writes into the folder, and no pool needs a volume', async () => {
    await begin({}, { localWeightsFolder: '/data/weights' });
    assert.deepEqual(stager()?.spec.containers[0]?.command, ['stoker', 'stage', '--folder', '/data/weights']);
    assert.deepEqual(stager()?.spec.volumes, []);
    end('Succeeded');
    await lab.pass(500);
    assert.deepEqual(revision().status?.stagedIn, ['local']);
  });
});

describe('a source', () => {
  const pinned = () => conditionOf('Pinned');

  test('that fails is asked again, and says what is wrong meanwhile', async () => {
    lab = await createLab(cluster);
    let asked = 0;
    lab.answerSources(() => {
      asked += 1;
      return fail({ reason: 'SourceUnreachable', message: 'https://hub.example could not be read: refused.' });
    });
    lab.pool('default');
    lab.model('tiny', { version: { ...version, weights: { hub: { repo: 'acme/tiny' } } } });
    await lab.pass(10_000);
    assert.equal(pinned()?.reason, 'SourceUnreachable');
    assert.ok(asked >= 2 && asked <= 6, `${asked} times`);
    lab.answerSources(() => ok({ source: 'Hub', files }));
    await lab.pass(60_000);
    assert.equal(pinned()?.status, 'True');
    assert.equal(revision().spec.weights?.sha256, digest);
  });

  for (const [what, weights, reason] of [
    ['a missing Secret', { hub: { repo: 'a/b' }, credentialsSecretName: 'none' }, 'SecretMissing'],
    ['our own Secret', { hub: { repo: 'a/b' }, credentialsSecretName: 'stoker-slot-keys' }, 'SecretForbidden'],
    ['that of the link', { hub: { repo: 'a/b' }, credentialsSecretName: 'stoker-link-tls' }, 'SecretForbidden'],
    ['the address of a cloud', { http: { files: [{ url: 'http://169.254.169.254/x', sha256 }] } }, 'AddressRefused'],
  ] as const) {
    test(`${what} is refused`, async () => {
      lab = await createLab(cluster);
      lab.answerSources(() => assert.fail('it is asked'));
      lab.pool('default');
      lab.model('tiny', { version: { weights, contextLength: 512 } });
      await lab.pass(200);
      assert.equal(pinned()?.reason, reason);
    });
  }

  test('what config.json says of a downloaded model decides whether it may sleep, and how long a context may be', async () => {
    lab = await createLab(cluster);
    const description = { architecture: 'Qwen3ForCausalLM', trainedContextLength: 4096 };
    lab.answerSources(() => ok({ source: 'Hub', files, description }));
    lab.pool('default', { weights: { claimName: 'models' } });
    const engine = { name: 'Vllm', image: `registry.example/vllm@sha256:${'b'.repeat(64)}` };
    const model = (contextLength: number) =>
      lab.model('tiny', { version: { weights: { hub: { repo: 'a/b' } }, engine, contextLength } });
    model(8192);
    await lab.pass(200);
    assert.equal(pinned()?.reason, 'ContextTooLong');
    model(4096);
    await lab.pass(200);
    assert.equal(revision().spec.weights?.architecture, 'Qwen3ForCausalLM');
    lab.router().demand([{ model: 'tiny', queued: 1 }]);
    await lab.pass(500);
    end('Succeeded');
    await lab.pass(START_MS + 10_000);
    const told = [...lab.agents.values()].flatMap((agent) => agent.targets.at(-1)?.instances ?? []);
    assert.deepEqual(
      told.map(({ launch }) => launch.sleep),
      ['Level1'],
    );
  });

  test('with two GGUF files is refused', async () => {
    lab = await createLab(cluster);
    lab.answerSources(() =>
      ok({ source: 'Hub', files: [...files, ...files.map((file) => ({ ...file, path: 'b.gguf' }))] }),
    );
    lab.pool('default');
    lab.model('tiny', { version: { weights: { hub: { repo: 'a/b' } }, contextLength: 512 } });
    await lab.pass(200);
    assert.match(pinned()?.message ?? '', /needs exactly one GGUF file.*tiny.gguf, b.gguf/);
  });
});

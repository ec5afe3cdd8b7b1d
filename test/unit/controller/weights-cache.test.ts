// A volume with a bound, as a controller on a cluster keeps it: who makes room for whom, in which order that is written down, and
// what people read when there is none. Nothing that is in use ever leaves.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { fileSetDigest } from '../../../src/api/file-set.ts';
import { kinds, type Pod } from '../../../src/api/kinds.ts';
import { ok } from '../../../src/lib/result.ts';
import { createLab, type Lab, type LabRouter } from '../../support/controller-lab.ts';

const GB = 1_000_000_000;
const slotPods = { image: 'registry.example/stoker:1', pullPolicy: 'Always', pullSecrets: [] } as const;

let lab: Lab;
let router: LabRouter;
beforeEach(async () => {
  lab = await createLab({ slotPods });
  lab.answerSources(({ hub }) => ok({ source: 'Hub', files: filesOf(hub?.repo.split('/')[1] ?? '') }));
  router = lab.router();
  router.demand([]);
});
afterEach(() => lab.stop());

function filesOf(name: string) {
  const sizeBytes = (name === 'huge' ? 30 : 5) * GB;
  const sha256 = Buffer.from(name.padEnd(32, '.')).toString('hex');
  return [{ path: 'w.gguf', url: `https://hub.example/${name}.gguf`, sizeBytes, sha256 }];
}

const digestOf = (name: string) => fileSetDigest(filesOf(name));
const add = (name: string, spec: object = {}) =>
  lab.model(name, { version: { weights: { hub: { repo: `acme/${name}` } }, contextLength: 512 }, ...spec });
const pool = (cacheBytes: number, slots = 1) =>
  lab.pool('default', { weights: { claimName: 'models', cacheBytesMax: cacheBytes }, slots: { max: slots } });
const revisionOf = (name: string) =>
  lab.cluster.list(kinds.ModelRevision).find(({ spec }) => spec.modelName === name) ?? assert.fail(`no ${name}`);
const isStaged = (name: string) => (revisionOf(name).status?.stagedIn ?? []).includes('claim/models');
const ready = (name: string) =>
  lab.cluster.must(kinds.Model, name).status?.conditions?.find(({ type }) => type === 'Ready');
const stagers = () =>
  lab.cluster.list(kinds.Pod).filter(({ metadata }) => metadata.labels?.['stoker.dev/stages'] !== undefined);
const stagerOf = (name: string) =>
  stagers().find(({ metadata }) => metadata.labels?.['stoker.dev/stages'] === revisionOf(name).metadata.name);
const keptBy = (pod: Pod | undefined) =>
  pod?.spec.containers[0]?.env?.find(({ name }) => name === 'STOKER_STAGE_KEEP')?.value?.split(',');

function succeed(name: string): void {
  const pod = stagerOf(name) ?? assert.fail(`no stager of ${name}`);
  const state = { terminated: { exitCode: 0, finishedAt: new Date(lab.clock.wallMs()).toISOString() } };
  const containerStatuses = [{ name: 'stager', ready: false, restartCount: 0, state }];
  lab.cluster.setPodStatus(pod.metadata.name, { phase: 'Succeeded', containerStatuses });
}

async function bring(...names: readonly string[]): Promise<void> {
  for (const name of names) {
    add(name);
    await lab.pass(500);
    succeed(name);
    await lab.pass(500);
    assert.ok(isStaged(name), name);
  }
}

const ask = (name: string) => router.demand([{ model: name, queued: 1, oldestQueuedMs: 10 }]);

describe('a bounded volume', () => {
  test('holds what fits, and what nobody asks for waits without harm', async () => {
    pool(12 * GB);
    await bring('a', 'b');
    add('c');
    await lab.pass(1000);
    assert.deepEqual(stagers(), []);
    assert.ok(isStaged('a') && isStaged('b') && !isStaged('c'));
    assert.equal(ready('c')?.status, 'True');
    assert.match(ready('c')?.message ?? '', /no room for the files \(4\.7 GiB of 11\.2 GiB\) while nobody asks/);
    await lab.pass(60_000);
    assert.deepEqual(stagers(), []);
  });

  test('makes room when somebody asks: first it is written down, then the stager is told what stays', async () => {
    pool(12 * GB);
    await bring('a', 'b');
    ask('b');
    await lab.pass(3000);
    assert.equal(lab.cluster.must(kinds.Model, 'b').status?.rung, 'Awake');
    router.demand([]);
    add('c');
    await lab.pass(1000);
    ask('c');
    await lab.pass(1000);
    assert.ok(!isStaged('a'), 'a has not been used for longer');
    assert.ok(isStaged('b'));
    const order = lab.cluster.events.filter(({ reason }) => reason === 'WeightsEvicted');
    assert.equal(order.length, 1);
    assert.deepEqual(keptBy(stagerOf('c')), [digestOf('b')]);
    assert.ok(stagerOf('c')?.spec.containers[0]?.command?.includes(String(12 * GB)));
    // What leaves is not found to be still there while the room is being made.
    router.demand([
      { model: 'c', queued: 1, oldestQueuedMs: 10 },
      { model: 'a', queued: 1, oldestQueuedMs: 10 },
    ]);
    await lab.pass(5000);
    assert.deepEqual(stagers().length, 1);
    router.demand([]);
    succeed('c');
    await lab.pass(2000);
    assert.ok(isStaged('c') && !isStaged('a'));
    const figures = await lab.metrics.render();
    assert.match(figures, /^stoker_weight_evictions_total 1$/m);
    assert.match(figures, /^stoker_weight_downloads_total\{outcome="Staged"\} 3$/m);
    assert.equal(ready('a')?.status, 'True');
    assert.deepEqual(stagers(), []);
  });

  test('a restart between the two steps changes nothing', async () => {
    pool(7 * GB);
    await bring('a');
    add('b');
    await lab.pass(500);
    ask('b');
    while (isStaged('a')) await lab.pass(10);
    await lab.restart();
    await lab.pass(3000);
    assert.deepEqual(keptBy(stagerOf('b')), ['']);
    assert.equal(stagers().length, 1);
    succeed('b');
    await lab.pass(1000);
    assert.ok(isStaged('b') && !isStaged('a'));
  });

  test('what is awake stays, and who holds the room is said; a sleeper is stopped for it', async () => {
    pool(7 * GB, 2);
    await bring('a');
    router.demand([{ model: 'a', inFlight: 1 }]);
    await lab.pass(3000);
    add('b');
    await lab.pass(500);
    router.demand([
      { model: 'a', inFlight: 1 },
      { model: 'b', queued: 1, oldestQueuedMs: 10 },
    ]);
    await lab.pass(5000);
    assert.ok(isStaged('a'));
    assert.equal(ready('b')?.reason, 'CacheFull');
    const { name } = revisionOf('a').metadata;
    assert.match(ready('b')?.message ?? '', new RegExp(`need 4\\.7 GiB, and 4\\.7 GiB of 6\\.5 GiB are held.*${name}`));
    lab.cluster.change(kinds.Model, 'a', {
      spec: { ...lab.cluster.must(kinds.Model, 'a').spec, scaling: { minAwake: 0, maxAwake: 1, sleepAfterSeconds: 5 } },
    });
    ask('b');
    for (let second = 0; second < 60 && isStaged('a'); second += 1) await lab.pass(1000);
    assert.ok(!isStaged('a'), 'the sleeper of a was stopped');
    await lab.pass(1000);
    succeed('b');
    await lab.pass(5000);
    assert.equal(lab.cluster.must(kinds.Model, 'b').status?.rung, 'Awake');
  });

  test('files that can never fit are refused with sizes', async () => {
    pool(12 * GB);
    add('huge');
    await lab.pass(1000);
    assert.equal(ready('huge')?.reason, 'CacheTooSmall');
    assert.deepEqual(stagers(), []);
    assert.match(ready('huge')?.message ?? '', /need 27\.9 GiB, and spec\.weights\.cacheBytesMax.* allows 11\.2 GiB/);
  });

  test('a bound that is raised is seen at once', async () => {
    pool(4 * GB);
    add('a');
    await lab.pass(1000);
    assert.equal(ready('a')?.reason, 'CacheTooSmall');
    const { spec } = lab.cluster.must(kinds.Pool, 'default');
    lab.cluster.change(kinds.Pool, 'default', { spec: { ...spec, weights: { cacheBytesMax: 9 * GB } } });
    await lab.pass(500);
    assert.ok(stagerOf('a') !== undefined);
  });

  test('the same files of two Models count once', async () => {
    pool(7 * GB);
    await bring('a');
    lab.model('twin', { version: { weights: { hub: { repo: 'acme/a' } }, contextLength: 1024 } });
    await lab.pass(1000);
    assert.ok(stagerOf('twin') !== undefined, JSON.stringify(ready('twin')));
    assert.deepEqual(keptBy(stagerOf('twin')), ['']);
  });
});

test('a folder of one machine is bounded, too', async () => {
  await lab.stop();
  lab = await createLab({ localWeightsFolder: '/data/weights' });
  lab.answerSources(({ hub }) => ok({ source: 'Hub', files: filesOf(hub?.repo.split('/')[1] ?? '') }));
  lab.pool('default', { weights: { cacheBytesMax: 7 * GB } });
  add('a');
  // No router has come, so it takes a while until everybody is known who may use something.
  await lab.pass(11_000);
  const command = stagerOf('a')?.spec.containers[0]?.command;
  assert.deepEqual(command, ['stoker', 'stage', '--folder', '/data/weights', '--cache-bytes-max', String(7 * GB)]);
});

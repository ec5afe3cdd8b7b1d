// A model in an engine's own image on a real node: the image is made as engines' makers make theirs (root, no Node, nothing of
// Stoker) and holds the imitation of vLLM. What is proven: the agent comes into it and runs, weights are staged beside it, and
// the model is held, streamed, put to sleep, woken and drained, as root and as a user that the image does not know.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { API_VERSION } from '../../src/api/group.ts';
import { NODE_NAME, openRealCluster, type RealCluster } from '../support/cluster/real-cluster.ts';
import type { Json } from '../support/cluster/test-cluster.ts';
import { type Address, ask } from './callers.ts';
import { openRoad, type Road } from './road.ts';
import { CACHE_CLAIM, CLAIM, renderShelf, shelfFiles } from './shelf.ts';
import { openSite, picture, type Site } from './site.ts';

const NAMESPACE = 'engines';
const KEY = 'e2e-key-of-the-engine-walk';
const OWN_IMAGE = 'stoker.dev/stoker-llama:0.1.0';
/** A stream that takes seconds at the pace of the imitation. */
const LONG_TOKENS = 3000;

describe('an engine image on a real node', { timeout: 540_000 }, () => {
  let cluster: RealCluster;
  let site: Site;
  let road: Road;
  let isBroken = false;
  const folder = mkdtempSync('/var/tmp/stoker-shelf-');

  before(async () => {
    cluster = await openRealCluster();
    site = openSite(cluster, NAMESPACE);
    road = await openRoad(cluster, site);
  });

  after(async () => {
    await road?.close();
    await cluster?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const step = (name: string, run: () => Promise<void>) => {
    void it(name, async () => {
      assert.ok(!isBroken, 'a step before this one failed');
      try {
        await run();
      } catch (error) {
        isBroken = true;
        process.stderr.write(`${await picture(site)}\n${cluster.logs()}\n`);
        throw error;
      }
    });
  };

  const apply = (...objects: readonly object[]) =>
    site.script(
      `kubectl -n ${NAMESPACE} apply -f - <<'OBJECTS'\n${JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects })}\nOBJECTS`,
    );
  const patch = (kind: string, name: string, spec: object) =>
    site.kubectl('-n', NAMESPACE, 'patch', kind, name, '--type=merge', '-p', JSON.stringify({ spec }));
  const address = async (): Promise<Address> => ({ url: await road.url(), key: KEY });
  const status = async () => (await site.get('model', 'big')).status ?? {};
  const rungIs = (rung: string) => site.until(async () => (await status()).rung === rung, `big to be ${rung}`);
  const conditionIs = (kind: string, name: string, type: string, reason: string) =>
    site.until(async () => {
      const { conditions = [] } = (await site.get(kind, name)).status ?? {};
      return conditions.some((one: Json) => one.type === type && one.reason === reason);
    }, `${kind} ${name} to say ${type} ${reason}`);
  const slots = () => site.list('pods', '-l', 'stoker.dev/pool=gpus');
  const slot = async () => {
    const [only, ...others] = await slots();
    assert.deepEqual(others, []);
    return only;
  };
  const inSlot = async (script: string) =>
    site.kubectl('-n', NAMESPACE, 'exec', (await slot()).metadata.name, '-c', 'agent', '--', 'sh', '-c', script);
  /** The line of a process whose arguments hold the word: the values of some of its variables. */
  const variablesOf = async (word: string) => {
    const find = `for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline 2>/dev/null | grep -q '${word}' && cat $p/environ && exit; done`;
    const pairs = (await inSlot(find)).split('\0').map((pair) => pair.split('=', 2));
    return new Map(pairs.map(([name = '', value = '']) => [name, value]));
  };

  step('Stoker installs in a namespace that lets through what is baseline', async () => {
    await site.kubectl('create', 'namespace', NAMESPACE);
    await site.kubectl('label', 'namespace', NAMESPACE, 'pod-security.kubernetes.io/enforce=baseline');
    await site.kubectl(
      '-n',
      NAMESPACE,
      'create',
      'secret',
      'generic',
      'stoker-api-keys',
      `--from-literal=api-keys=${KEY}`,
    );
    const capacity = [{ op: 'add', path: '/status/capacity/stoker.dev~1cpu', value: '4' }];
    const offer = ['--subresource=status', '--type=json', '-p', JSON.stringify(capacity)];
    await site.kubectl('patch', 'node', NODE_NAME, ...offer);
    await apply(...renderShelf(OWN_IMAGE, process.env.STOKER_E2E_KUBECONFIG ? undefined : folder));
    await site.helm('install', 'stoker-crds', 'charts/stoker-crds');
    await site.helm(
      'install',
      'stoker',
      'charts/stoker',
      '-n',
      NAMESPACE,
      '-f',
      'manifests/kind/values.yaml',
      '--wait',
    );
    await site.kubectl('-n', NAMESPACE, 'wait', '--for=condition=Ready', 'pod/shelf', '--timeout=60s');
  });

  /** What the engine compiled: made once, and read by those that come after it. */
  const compiled = async () => {
    const root = (await variablesOf('engine/vllm.ts serve')).get('VLLM_CACHE_ROOT') ?? '';
    assert.match(root, /^\/var\/lib\/stoker\/cache\/class-imitated-user-\d+\/big-[0-9a-f]{10}\/vllm$/);
    return inSlot(`cat ${root}/torch_compile_cache/graph`);
  };
  let compiledFirst = '';

  step('a Model that names the image is pinned, and its weights are staged', async () => {
    const pool = {
      apiVersion: API_VERSION,
      kind: 'Pool',
      metadata: { name: 'gpus' },
      spec: {
        accelerator: { resourceName: 'stoker.dev/cpu', className: 'imitated' },
        slots: { max: 1 },
        weights: { claimName: CLAIM },
        compileCache: { claimName: CACHE_CLAIM },
        maxDrainSeconds: 30,
      },
    };
    const version = {
      weights: { http: { files: shelfFiles(NAMESPACE) } },
      engine: { name: 'Vllm', image: cluster.engines.vllm },
      contextLength: 4096,
    };
    const model = {
      apiVersion: API_VERSION,
      kind: 'Model',
      metadata: { name: 'big' },
      spec: { servedName: 'big', version, pools: ['gpus'], serving: { sleep: 'Level1', drainSeconds: 30 } },
    };
    await apply(pool, model);
    await site.until(async () => (await site.list('modelrevisions')).length === 1, 'the version to be pinned');
    const [revision] = await site.list('modelrevisions');
    assert.equal(revision.spec.engine.build, `image@${cluster.engines.vllm.split('@')[1]}`);
    await conditionIs('modelrevision', revision.metadata.name, 'Staged', 'Staged');
  });

  step('a cold request makes a slot of the image, is held, and is streamed', async () => {
    assert.deepEqual(await slots(), []);
    const answer = await ask(await address(), 'big');
    assert.equal(answer.end, 'Done', answer.raw);
    assert.ok(answer.wasHeld, answer.raw);
    assert.notEqual(answer.text, '');
    process.stdout.write(`first content from nothing: ${Math.round(answer.firstContentMs)} ms\n`);
    const { metadata, spec, status: of } = await slot();
    assert.equal(spec.containers[0].image, cluster.engines.vllm);
    assert.equal(metadata.annotations['stoker.dev/engine-image'], cluster.engines.vllm);
    assert.equal(of.containerStatuses[0].restartCount, 0);
    await site.until(
      async () => (await slot()).metadata.labels['stoker.dev/awake'] === 'big',
      'the slot to be labelled',
    );
    compiledFirst = await compiled();
    assert.notEqual(compiledFirst, '');
  });

  step('the agent runs on a Node of its own, and the engine sees nothing of it', async () => {
    assert.match(await inSlot('id -u'), /^0$/m);
    assert.equal(await inSlot('command -v node || true'), '');
    const agent = await variablesOf('/stoker/app/bin/stoker.js');
    assert.match(agent.get('LD_LIBRARY_PATH') ?? '', /^\/stoker\/lib:/);
    const engine = await variablesOf('engine/vllm.ts serve');
    assert.equal(engine.get('LD_LIBRARY_PATH'), '/usr/local/nvidia/lib64:/usr/local/cuda/lib64');
    assert.match(engine.get('STOKER_INSTANCE') ?? '', /\/big-[0-9a-f]{10}\//);
    assert.deepEqual(
      [...engine.keys()].filter((name) => /TOKEN|STOKER_LINK|STOKER_POD/.test(name)),
      [],
    );
  });

  step('it sleeps when nobody asks, with its process alive, and wakes for the next', async () => {
    await patch('model', 'big', { scaling: { sleepAfterSeconds: 2 } });
    await rungIs('Asleep');
    await site.until(async () => (await slot()).metadata.labels['stoker.dev/awake'] === undefined, 'the label to go');
    const { metadata } = await slot();
    const answer = await ask(await address(), 'big');
    assert.equal(answer.end, 'Done', answer.raw);
    process.stdout.write(`first content from sleep: ${Math.round(answer.firstContentMs)} ms\n`);
    assert.equal((await slot()).metadata.uid, metadata.uid);
    assert.equal((await slot()).status.containerStatuses[0].restartCount, 0);
  });

  step('a slot that is deleted finishes its stream, and leaves nothing behind', async () => {
    await patch('model', 'big', { scaling: { sleepAfterSeconds: 300 } });
    const begun = Promise.withResolvers<void>();
    const streaming = ask(await address(), 'big', { tokens: LONG_TOKENS, onContent: begun.resolve });
    await Promise.race([begun.promise, streaming]);
    const { metadata } = await slot();
    await site.kubectl('-n', NAMESPACE, 'delete', 'pod', metadata.name, '--wait=false');
    const answer = await streaming;
    assert.equal(answer.end, 'Done', answer.raw.slice(-600));
    await site.until(async () => !(await slots()).some((pod) => pod.metadata.uid === metadata.uid), 'the slot to go');
    await ask(await address(), 'big');
    assert.equal(await compiled(), compiledFirst, 'what the slot before compiled is there');
  });

  step('the same image runs as a user that it does not know, on a root that nobody writes', async () => {
    await patch('pool', 'gpus', { pod: { security: 'Restricted' } });
    await site.kubectl('-n', NAMESPACE, 'delete', 'pods', '-l', 'stoker.dev/pool=gpus', '--timeout=60s');
    const answer = await ask(await address(), 'big');
    assert.equal(answer.end, 'Done', answer.raw);
    assert.match(await inSlot('id -u'), /^65532$/m);
    assert.match(await inSlot('touch /written 2>&1 || true'), /Read-only file system/);
    assert.equal((await variablesOf('engine/vllm.ts serve')).get('USER'), 'stoker');
  });

  step('an image that cannot run the agent ends in a condition that says so', async () => {
    const { spec } = await site.get('model', 'big');
    await patch('model', 'big', {
      version: { ...spec.version, engine: { name: 'Vllm', image: cluster.engines.unusable } },
    });
    await site.kubectl('-n', NAMESPACE, 'delete', 'pods', '-l', 'stoker.dev/pool=gpus', '--timeout=60s');
    void ask(await address(), 'big');
    await conditionIs('pool', 'gpus', 'SlotTrouble', 'ImageUnusable');
  });

  step('Models and Pools go', async () => {
    await site.kubectl('-n', NAMESPACE, 'delete', 'models,pools', '--all', '--timeout=90s');
    assert.deepEqual(await slots(), []);
  });
});

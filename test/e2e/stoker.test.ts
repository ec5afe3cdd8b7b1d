// The whole product as a person has it: both charts on a cluster with a real scheduler, kubelet and containers, from
// `helm install` to nothing being left, with the commands of the guides as they are printed. Each step stands on the one
// before. Prints how long each took.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type FakeNodes, startFakeNodes } from '../support/cluster/kwok.ts';
import { openRealCluster, type RealCluster } from '../support/cluster/real-cluster.ts';
import type { Json } from '../support/cluster/test-cluster.ts';
import { type Address, type Answer, ask, type Crowd, countEnds, startCrowd } from './callers.ts';
import { newSince, takeCensus } from './census.ts';
import { fakePool } from './fake-pool.ts';
import { type GuideWalk, walkGuides } from './guide-walk.ts';
import { measureHandOver } from './hand-over.ts';
import { openRoad, type Road } from './road.ts';
import { openSite, picture, type Site } from './site.ts';
import { openStagedWeights, WEIGHTS_FOLDER } from './staged-weights.ts';

const NAMESPACE = 'llm';
const CALLERS = 24;
const TOKENS = 96;
const FAKE_NODES = 10;
const FAKE_ACCELERATORS = 100;
/** More than there are accelerators. */
const FAKE_SLOTS = 104;
/** After the new leader leads: its address in the Service, rules of the node, a dial; on a slow machine. */
const HAND_OVER_MS_MAX = 4000;
/** With the user of the slot: ends the agent and its engine at once, and then itself. */
const KILL_ALL = `for (const pid of require('node:fs').readdirSync('/proc').filter((name) => Number(name) > 1)) {
  try { if (Number(pid) !== process.pid) process.kill(Number(pid), 'SIGKILL'); } catch {}
}`;

describe('on a real node', { timeout: 840_000 }, () => {
  const timings: [string, number][] = [];
  let cluster: RealCluster;
  let site: Site;
  let walk: GuideWalk;
  let road: Road;
  let fakeNodes: FakeNodes | undefined;
  let crowd: Crowd | undefined;
  let isBroken = false;
  let atFirst = new Set<string>();

  before(async () => {
    const startedMs = performance.now();
    cluster = await openRealCluster();
    site = openSite(cluster, NAMESPACE);
    road = await openRoad(cluster, site);
    walk = walkGuides(site, road.places);
    atFirst = await takeCensus(site);
    timings.push(['cluster, with images built', performance.now() - startedMs]);
  });

  after(async () => {
    const ends = [() => crowd?.stop(), () => fakeNodes?.stop(), () => road?.close(), () => cluster?.stop()];
    const failures: unknown[] = [];
    for (const end of ends) await end()?.catch((error: unknown) => failures.push(error));
    const rows = timings.map(([name, ms]) => `${(ms / 1000).toFixed(1).padStart(7)} s  ${name}`);
    process.stdout.write(`\n${rows.join('\n')}\n\n`);
    assert.deepEqual(failures, []);
  });

  /** A step that fails says what the namespace looks like, and those after it fail at once. */
  const step = (name: string, run: () => Promise<void>) => {
    void it(name, async () => {
      assert.ok(!isBroken, 'a step before this one failed');
      const startedMs = performance.now();
      try {
        await run();
      } catch (error) {
        isBroken = true;
        process.stderr.write(`${await picture(site)}\n${cluster.logs()}\n`);
        throw error;
      }
      timings.push([name, performance.now() - startedMs]);
    });
  };

  const address = async (): Promise<Address> => {
    const { data } = await site.get('secret', 'stoker-api-keys');
    return { url: await road.url(), key: Buffer.from(data['api-keys'], 'base64').toString('utf8') };
  };
  const patchModel = (spec: object) =>
    site.kubectl('-n', NAMESPACE, 'patch', 'model', 'demo', '--type=merge', '-p', JSON.stringify({ spec }));
  const model = async () => (await site.get('model', 'demo')).status ?? {};
  const slots = async (pool = 'cpu') => site.list('pods', '-l', `stoker.dev/pool=${pool}`);
  const rungIs = (rung: string) => site.until(async () => (await model()).rung === rung, `demo to be ${rung}`);
  const twoAwake = () => site.until(async () => (await model()).awake === 2, 'two slots to be awake');
  const only = (answers: readonly Answer[], ends: readonly string[]) => {
    const others = answers.filter(({ end }) => !ends.includes(end));
    const sample = others.slice(0, 3).map(({ end, status, raw }) => `${end} ${status} ${raw.slice(-600)}`);
    assert.deepEqual(sample, [], countEnds(answers));
  };

  step('both charts install, and everything gets ready', async () => {
    await walk.run('kind.md', 'kubectl patch node');
    await walk.run('kind.md', 'helm install stoker-crds');
  });

  // The network of the test does not enforce them: what can be checked is whom they mean.
  step('NetworkPolicies mean the Pods of the product, and each of them', async () => {
    const policies = await site.list('networkpolicies');
    const pods = await site.list('pods');
    const selects = (policy: Json, pod: Json) =>
      Object.entries(policy.spec.podSelector.matchLabels).every(([key, value]) => pod.metadata.labels[key] === value);
    const bare = pods.filter((pod) => !policies.some((policy) => selects(policy, pod)));
    assert.deepEqual(
      bare.map(({ metadata }) => metadata.name),
      [],
    );
    assert.ok(policies.every(({ spec }) => spec.policyTypes.includes('Ingress')));
  });

  step('the model of the guide gets ready', async () => {
    await walk.run('first-model.md', 'kubectl -n llm apply');
    await walk.run('first-model.md', '--for=condition=Ready');
    assert.match(await walk.run('first-model.md', 'kubectl -n llm describe'), /Reason:\s+Cold/);
  });

  step('a cold request through the Service is held and streamed', async () => {
    assert.equal((await model()).awake, 0);
    const answer = await ask(await address(), 'demo');
    assert.equal(answer.end, 'Done', answer.raw);
    assert.notEqual(answer.text, '');
    assert.ok(answer.wasHeld, answer.raw);
    timings.push(['  first content from cold', answer.firstContentMs]);
    await rungIs('Awake');
  });

  step('the questions of the guide are answered', async () => {
    assert.match(await walk.run('first-model.md', 'port-forward'), /data: \[DONE\]/);
  });

  step('it sleeps when nobody asks, and wakes for the next', async () => {
    await patchModel({ scaling: { sleepAfterSeconds: 2 } });
    await rungIs('Asleep');
    const answer = await ask(await address(), 'demo');
    assert.equal(answer.end, 'Done', answer.raw);
    timings.push(['  first content from sleep', answer.firstContentMs]);
  });

  step('kubectl scale keeps it awake', async () => {
    await walk.run('first-model.md', 'kubectl -n llm scale');
    await rungIs('Awake');
    assert.equal((await site.get('model', 'demo')).spec.scaling.minAwake, 1);
  });

  step('stoker doctor finds what is planted, and nothing else', async () => {
    const doctor = `node bin/stoker.js doctor --kubeconfig "$KUBECONFIG" --namespace ${NAMESPACE} --output json || true`;
    const failed = async () => {
      const { findings } = JSON.parse(await site.script(doctor));
      return findings.filter(({ state }: Json) => state === 'fail');
    };
    assert.deepEqual(await failed(), []);
    const pool = JSON.stringify(fakePool('nowhere', 1));
    await site.script(`kubectl -n ${NAMESPACE} apply -f - <<'POOL'\n${pool}\nPOOL`);
    const unschedulable = async () => (await failed()).find(({ check }: Json) => check === 'Pool nowhere');
    await site.until(async () => /Unschedulable/.test((await unschedulable())?.message), 'the Pool to be in trouble');
    const room = (await failed()).find(({ check }: Json) => check === 'nodes for nowhere');
    assert.match(room.message, /room for 0 slots of 1 stoker\.dev\/fake-gpu/);
    await site.kubectl('-n', NAMESPACE, 'delete', 'pool', 'nowhere', '--timeout=60s');
    assert.deepEqual(await failed(), []);
  });

  step('under load it scales to two slots', async () => {
    crowd = startCrowd(await address(), 'demo', CALLERS, TOKENS);
    await twoAwake();
    assert.equal((await slots()).length, 2);
  });

  step('a slot Pod is deleted in mid-load, and no request fails', async () => {
    const [victim] = await slots();
    const name = victim.metadata.name;
    await site.kubectl('-n', NAMESPACE, 'delete', 'pod', name, '--wait=false');
    await site.until(async () => !(await slots()).some((pod) => pod.metadata.name === name), `${name} to go`);
    await twoAwake();
    const answers = (await crowd?.stop()) ?? [];
    process.stdout.write(`${answers.length} answers: ${countEnds(answers)}\n`);
    only(answers, ['Done']);
  });

  step('a slot is killed in mid-load: its streams end truthfully, and nothing else fails', async () => {
    crowd = startCrowd(await address(), 'demo', CALLERS, TOKENS);
    await site.until(async () => (crowd?.answers.length ?? 0) > CALLERS, 'the load to run');
    const [victim] = await slots();
    const name = victim.metadata.name;
    await site.kubectl('-n', NAMESPACE, 'exec', name, '--', 'node', '-e', KILL_ALL);
    const restarts = async () => (await site.get('pod', name)).status.containerStatuses[0].restartCount;
    await site.until(async () => (await restarts()) === 1, 'the kubelet to start the slot again');
    await twoAwake();
    const answers = (await crowd?.stop()) ?? [];
    process.stdout.write(`${answers.length} answers: ${countEnds(answers)}\n`);
    only(answers, ['Done', 'Told']);
    const told = answers.filter(({ end }) => end === 'Told');
    const { serving } = (await site.get('model', 'demo')).spec;
    assert.ok(told.length <= serving.concurrency, countEnds(answers));
    assert.ok(
      told.every(({ text }) => text !== ''),
      'only a stream that had begun may be cut',
    );
  });

  step('helm test passes with the tiny model, and leaves nothing', async () => {
    assert.match(await walk.run('install.md', 'helm test'), /Phase:\s+Succeeded/);
    const left = async () =>
      (await site.list('pools,models,modelrevisions')).filter(({ metadata }) => metadata.name.startsWith('helm-test'));
    await site.until(async () => (await left()).length === 0, 'the objects of the test to go');
  });

  step('an upgrade restarts no slot and makes no revision, and no request fails', async () => {
    const identities = async () => ({
      slots: (await slots()).map(({ metadata, status }) => [metadata.uid, status.containerStatuses[0].restartCount]),
      revisions: (await site.list('modelrevisions')).map(({ metadata }) => metadata.uid),
    });
    await site.kubectl('-n', NAMESPACE, 'scale', 'model', 'demo', '--replicas=2');
    await twoAwake();
    const earlier = await identities();
    // A port-forward goes with its router Pod.
    if (await road.isDirect()) crowd = startCrowd(await address(), 'demo', 4, TOKENS);
    await walk.run('upgrade.md', 'helm upgrade stoker-crds');
    await walk.run('upgrade.md', 'kubectl apply --server-side');
    const parts = ['-l', 'app.kubernetes.io/component in (controller,router)'];
    const names = async () => (await site.list('pods', ...parts)).map(({ metadata }) => metadata.name).sort();
    const old = await names();
    await site.helm(
      'upgrade',
      'stoker',
      'charts/stoker',
      '-n',
      NAMESPACE,
      '--reset-then-reuse-values',
      // From here on two controllers: one leads, the other stands by.
      ...['--set', 'image.repository=stoker', '--set', 'controller.replicas=2'],
      '--wait',
    );
    assert.ok(
      (await names()).some((name) => !old.includes(name)),
      'controller and router were replaced',
    );
    only((await crowd?.stop()) ?? [], ['Done']);
    assert.deepEqual(await identities(), earlier);
    const handOverMs = await measureHandOver(site, (await slots()).length);
    timings.push(['  slots back on the link of the new leader', handOverMs]);
    assert.ok(handOverMs < HAND_OVER_MS_MAX, `${handOverMs} ms`);
    assert.match(await walk.run('upgrade.md', 'helm template'), /kind: Deployment/);
  });

  step('the other choices of the install guide', async () => {
    await walk.run('install.md', 'ingress.enabled=true');
    const ingress = await site.get('ingress', 'stoker');
    assert.equal(ingress.spec.rules[0].host, 'llm.example.com');
    const without = ['--reset-then-reuse-values', '--set', 'rbac.createAuthDelegatorBinding=false'];
    await site.helm('upgrade', 'stoker', 'charts/stoker', '-n', NAMESPACE, ...without);
    await walk.run('install.md', 'create clusterrolebinding');
  });

  step('the looks of the troubleshooting guide, with two controllers', async () => {
    assert.match(await walk.run('gpu-nodes.md', 'kubectl get nodes'), /NODE +GPUS\n/);
    assert.match(await walk.run('troubleshooting.md', 'stoker doctor'), / 0 failures/);
    assert.match(await walk.run('troubleshooting.md', 'get pools,models'), /model\.stoker\.dev\/demo/);
    await walk.run('troubleshooting.md', 'create secret generic stoker-admin');
    assert.equal((await site.get('deployment', 'stoker-controller')).status.readyReplicas, 2);
    let said = '';
    const explained = async () => {
      // Nobody leads for a moment, or has not decided yet.
      said = await walk.run('troubleshooting.md', 'stoker explain scale').catch(String);
      return /^demo: .* \(decided /m.test(said);
    };
    await site.until(explained, 'the leader to explain').catch((error: unknown) => {
      throw new Error(said, { cause: error });
    });
    assert.match(await walk.run('troubleshooting.md', 'logLevel=debug'), /^\[pod\/stoker-controller-/m);
  });

  step('a hundred more slots, and four that the scheduler has no accelerator for', async () => {
    const accelerators = { 'stoker.dev/fake-gpu': String(FAKE_ACCELERATORS / FAKE_NODES) };
    fakeNodes = await startFakeNodes({ ...cluster, count: FAKE_NODES, accelerators });
    await site.script(`kubectl apply -f - <<'NODES'\n${fakeNodes.manifest}\nNODES`);
    await site.script(
      `kubectl -n ${NAMESPACE} apply -f - <<'POOL'\n${JSON.stringify(fakePool('many', FAKE_SLOTS))}\nPOOL`,
    );
    const inPhase = async (phase: string) =>
      (await slots('many')).filter(({ status }) => status.phase === phase).length;
    await site.until(async () => (await inPhase('Running')) === FAKE_ACCELERATORS, 'all accelerators to be in use');
    assert.equal(await inPhase('Pending'), FAKE_SLOTS - FAKE_ACCELERATORS);
    assert.equal((await ask(await address(), 'demo')).end, 'Done');
    await site.kubectl('-n', NAMESPACE, 'delete', 'pool', 'many', '--timeout=120s');
    assert.deepEqual(await slots('many'), []);
    await site.kubectl('delete', 'nodes', '-l', 'type=kwok');
  });

  step(
    'weights that are downloaded come to a volume and to a folder of the node, and a request is held meanwhile',
    async () => {
      await site.helm(
        'upgrade',
        'stoker',
        'charts/stoker',
        '-n',
        NAMESPACE,
        ...['--reset-then-reuse-values', '--set', 'slots.allowHostPath=true', '--wait'],
        // The controller has the image without the file of the tiny model by now.
        ...['--set', 'tests.demoModel.enabled=false', '--set', 'tests.simulatedModel.enabled=true'],
      );
      const weights = await openStagedWeights(site);
      for (const [name, where] of [
        ['claimed', { claimName: 'weights' }],
        ['on-node', { hostPath: { path: WEIGHTS_FOLDER } }],
      ] as const) {
        const said = await weights.bring(name, where, await address());
        assert.ok(
          said.some((text) => /^Staging [1-9][0-9]? % of 2\.0 MiB/.test(text)),
          said.join('\n'),
        );
      }
      await weights.close();
    },
  );

  step('helm test passes with the image that has no engine, and a simulated model', async () => {
    assert.match(await walk.run('install.md', 'helm test'), /Phase:\s+Succeeded/);
  });

  step('Models and Pools go, and then Stoker', async () => {
    await walk.run('uninstall.md', 'delete models --all');
    assert.deepEqual(await slots(), []);
    assert.deepEqual(await site.list('modelrevisions'), []);
  });

  step('objects whose controller went first can be freed', async () => {
    await site.kubectl('-n', NAMESPACE, 'apply', '-f', 'manifests/kind/pool.yaml', '-f', 'manifests/kind/model.yaml');
    const finalizers = JSON.stringify({ metadata: { finalizers: ['stoker.dev/slots'] } });
    await site.kubectl('-n', NAMESPACE, 'patch', 'pool', 'cpu', '--type=merge', '-p', finalizers);
    await site.kubectl('-n', NAMESPACE, 'delete', 'pools,models', '--all', '--wait=false');
    assert.equal((await site.list('pools')).length, 1);
    await walk.run('uninstall.md', 'finalizers');
    await site.until(async () => (await site.list('pools,models')).length === 0, 'the objects to go');
  });

  step('after an uninstall nothing is left', async () => {
    await walk.run('uninstall.md', 'delete secret stoker-api-keys stoker-slot-keys');
    await walk.run('uninstall.md', 'delete secret stoker-admin');
    await walk.run('uninstall.md', 'delete clusterrolebinding');
    await walk.run('uninstall.md', 'helm uninstall stoker-crds');
    const kinds = 'leases,endpointslices,networkpolicies,poddisruptionbudgets,pods,services,secrets';
    assert.equal(await site.kubectl('-n', NAMESPACE, 'get', kinds, '-o', 'name'), '');
    await site.kubectl('delete', 'namespace', NAMESPACE, '--timeout=60s');
    assert.deepEqual(newSince(atFirst, await takeCensus(site)), []);
  });

  step('one release can bring the kinds itself, and leaves them when it goes', async () => {
    await site.kubectl('create', 'namespace', NAMESPACE);
    await site.helm('install', 'stoker', 'charts/stoker', '-n', NAMESPACE, '--set', 'crds.enabled=true');
    const kinds = ['pools', 'models', 'modelrevisions'].map((plural) => `crd/${plural}.stoker.dev`);
    await site.kubectl('wait', '--for=condition=Established', '--timeout=30s', ...kinds);
    assert.equal((await site.list('models')).length, 0);
    await site.helm('uninstall', 'stoker', '-n', NAMESPACE, '--wait');
    await site.kubectl('get', ...kinds);
    await site.kubectl('delete', ...kinds);
    await site.kubectl('delete', 'namespace', NAMESPACE, '--timeout=60s');
    assert.deepEqual(newSince(atFirst, await takeCensus(site)), []);
  });

  step('every command of the guides was run', async () => {
    assert.deepEqual(walk.unsettled(), []);
  });
});

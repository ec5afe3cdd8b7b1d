// kubectl against the embedded API, through the kubeconfig that it leaves for people. Needs kubectl: `npm run test:kubectl`.
import assert from 'node:assert/strict';
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { stringify } from 'yaml';
import { kinds } from '../../src/api/kinds.ts';
import { createKubeClient, type KubeClient } from '../../src/kube/client.ts';
import { Model, model } from '../contract/session.ts';
import { type EmbeddedApi, startEmbeddedApi } from '../support/embedded-api.ts';
import { createKubectl, type Kubectl } from '../support/kubectl.ts';

let api: EmbeddedApi;
let kubectl: Kubectl;
let controller: KubeClient;
let folder: string;
before(async () => {
  api = await startEmbeddedApi();
  folder = join(api.dataDir, 'files');
  mkdirSync(folder);
  kubectl = createKubectl(api.server.kubeconfigPath, folder);
  controller = createKubeClient(api.connectionOf('controller'));
});
after(async () => {
  await controller.close();
  await api.close();
});

let files = 0;
/** A manifest file with these objects. */
function manifest(...objects: object[]): string {
  files += 1;
  const path = join(folder, `manifest-${files}.yaml`);
  writeFileSync(path, objects.map((object) => stringify(object)).join('---\n'));
  return path;
}

async function setStatus(name: string, status: object): Promise<void> {
  const patched = await controller.patch(Model, { namespace: 'default', name, subresource: 'status' }, { status });
  assert.ok(patched.ok, JSON.stringify(patched));
}

const ready = (status: 'True' | 'False') => ({
  conditions: [
    { type: 'Ready', status, reason: 'Said', message: 'A test says so.', lastTransitionTime: '2026-01-01T00:00:00Z' },
  ],
});

describe('kubectl', { timeout: 120_000 }, () => {
  test('the kubeconfig is for its owner alone', () => {
    assert.equal(statSync(api.server.kubeconfigPath).mode & 0o777, 0o600);
  });

  test('version, api-resources and auth know the server', async () => {
    assert.match(await kubectl.ok('version'), /Server Version: v1\.\d+\.\d+\+stoker/);
    const resources = await kubectl.ok('api-resources');
    for (const line of [/models +mdl +stoker\.dev\/v1alpha1 +true +Model/, /modelrevisions +mrev /, /pods +po +v1 /])
      assert.match(resources, line);
    assert.equal((await kubectl.ok('auth', 'can-i', 'create', 'models')).trim(), 'yes');
    assert.match(
      (await kubectl.run(['auth', 'can-i', 'create', 'pods'])).out,
      /^no - Pods are made and changed by the/,
    );
    assert.match(await kubectl.ok('auth', 'whoami'), /person/);
  });

  test('apply creates, leaves unchanged, and configures; a field that is taken out goes back to its default', async () => {
    const name = 'applied';
    const first = manifest(model(name, { spec: { serving: { concurrency: 2 }, pools: ['one'] } }));
    assert.match(await kubectl.ok('apply', '-f', first), /model\.stoker\.dev\/applied created/);
    assert.match(await kubectl.ok('apply', '-f', first), /unchanged/);
    const second = manifest(model(name, { spec: { pools: ['two'] } }));
    assert.match(await kubectl.ok('apply', '-f', second), /configured/);
    assert.equal(
      await kubectl.ok('get', 'mdl', name, '-o', 'jsonpath={.spec.serving.concurrency} {.spec.pools}'),
      '8 ["two"]',
    );
    assert.match(await kubectl.ok('diff', '-f', second).catch(String), /^$/);
  });

  test('apply --dry-run=server validates and changes nothing', async () => {
    const file = manifest(model('tried'));
    assert.match(await kubectl.ok('apply', '--dry-run=server', '-f', file), /tried created \(server dry run\)/);
    assert.equal((await kubectl.run(['get', 'model', 'tried'])).code, 1);
    const bad = await kubectl.run([
      'apply',
      '--dry-run=server',
      '-f',
      manifest(model('tried', { spec: { pinPolicy: 'Sometimes' } })),
    ]);
    assert.match(
      bad.err,
      /spec\.pinPolicy: Unsupported value: "Sometimes": supported values: "ResolveOnce", "RequireDigest"/,
    );
  });

  test('apply takes the good objects and says what is wrong with the others', async () => {
    const bad = model('bad-one', { spec: { scaling: { minAwake: 3, maxAwake: 1 } } });
    const { code, out, err } = await kubectl.run(['apply', '-f', manifest(model('good-one'), bad)]);
    assert.equal(code, 1);
    assert.match(out, /good-one created/);
    assert.match(err, /The Model "bad-one" is invalid: spec\.scaling: .*minAwake must not be above maxAwake/);
    const unknown = await kubectl.run(['apply', '-f', manifest(model('unknown-one', { spec: { naem: 1 } }))]);
    assert.match(unknown.err, /unknown field "spec\.naem"/);
  });

  test('get shows columns, YAML, JSONPath and names', async () => {
    await kubectl.ok('create', '-f', manifest(model('shown', { metadata: { labels: { team: 'a' } } })));
    await setStatus('shown', { rung: 'Asleep', ...ready('True') });
    assert.match(await kubectl.ok('get', 'models'), /NAME +READY +RUNG +STABLE +CANDIDATE +AWAKE +ASLEEP +AGE/);
    assert.match(await kubectl.ok('get', 'mdl', 'shown', '-o', 'wide'), /shown +True +Asleep/);
    assert.match(await kubectl.ok('get', 'model/shown', '-o', 'yaml'), /servedName: shown/);
    assert.equal(await kubectl.ok('get', 'models', '-l', 'team=a', '-o', 'name'), 'model.stoker.dev/shown\n');
    assert.equal(
      await kubectl.ok('get', 'models', '--field-selector', 'metadata.name=shown', '-o', 'name'),
      'model.stoker.dev/shown\n',
    );
    assert.match(await kubectl.ok('get', 'models', '-A'), /NAMESPACE +NAME.*\ndefault/);
    assert.match((await kubectl.run(['get', 'model', 'nobody'])).err, /models\.stoker\.dev "nobody" not found/);
  });

  test('get -w prints every change as a line', async () => {
    await kubectl.ok('create', '-f', manifest(model('watched')));
    const child = kubectl.start('get', 'model', 'watched', '-w');
    assert.ok(child.stdout);
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const next = async () => String((await lines.next()).value);
    assert.match(await next(), /^NAME/);
    assert.match(await next(), /^watched/);
    await setStatus('watched', { rung: 'Starting' });
    assert.match(await next(), /^watched +Starting/);
    await setStatus('watched', { rung: 'Awake', awake: 1 });
    assert.match(await next(), /^watched +Awake +1/);
    const ended = new Promise((resolve) => child.once('close', resolve));
    child.kill('SIGTERM');
    await ended;
  });

  test('wait sees a condition, a field and a deletion', async () => {
    await kubectl.ok('create', '-f', manifest(model('awaited')));
    const waiting = kubectl.ok('wait', '--for=condition=Ready', 'model/awaited', '--timeout=20s');
    await setStatus('awaited', ready('False'));
    await setStatus('awaited', { rung: 'Awake', ...ready('True') });
    assert.match(await waiting, /condition met/);
    assert.match(
      await kubectl.ok('wait', '--for=jsonpath={.status.rung}=Awake', 'model/awaited', '--timeout=20s'),
      /condition met/,
    );
    const gone = kubectl.ok('wait', '--for=delete', 'model/awaited', '--timeout=20s');
    await kubectl.ok('delete', 'model', 'awaited');
    await gone;
  });

  test('delete waits for finalizers', async () => {
    await kubectl.ok('create', '-f', manifest(model('held', { metadata: { finalizers: ['stoker.dev/hold'] } })));
    const deleting = kubectl.ok('delete', 'model', 'held', '--timeout=20s');
    const isMarked = async () => {
      const read = await controller.get(Model, { namespace: 'default', name: 'held' });
      return read.ok && read.value.metadata.deletionTimestamp !== undefined;
    };
    while (!(await isMarked()));
    await controller.patch(Model, { namespace: 'default', name: 'held' }, { metadata: { finalizers: null } });
    assert.match(await deleting, /model\.stoker\.dev "held" deleted/);
    assert.match(await kubectl.ok('delete', 'model', 'held', '--ignore-not-found'), /^$/);
  });

  test('describe shows the events of an object, get events and events show them all', async () => {
    await kubectl.ok('create', '-f', manifest(model('described')));
    const { metadata } = JSON.parse(await kubectl.ok('get', 'model', 'described', '-o', 'json'));
    const event = {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: 'described.1' },
      involvedObject: {
        apiVersion: Model.apiVersion,
        kind: 'Model',
        namespace: 'default',
        name: 'described',
        uid: metadata.uid,
      },
      type: 'Warning',
      reason: 'WeightsMissing',
      message: 'There is no file models/some.gguf.',
      count: 2,
      firstTimestamp: new Date().toISOString().replace(/\.\d+/, ''),
      lastTimestamp: new Date().toISOString().replace(/\.\d+/, ''),
      source: { component: 'stoker-controller' },
    };
    const made = await controller.create({ apiVersion: 'v1', kind: 'Event', plural: 'events' }, event, {
      namespace: 'default',
    });
    assert.ok(made.ok);
    assert.match(
      await kubectl.ok('describe', 'model', 'described'),
      /Warning +WeightsMissing .*stoker-controller +There is no file/,
    );
    assert.match(
      await kubectl.ok('get', 'events'),
      /LAST SEEN +TYPE +REASON +OBJECT +MESSAGE\n.*WeightsMissing +model\/described/,
    );
    assert.match(await kubectl.ok('events', '--for', 'model/described'), /WeightsMissing/);
  });

  test('explain tells fields, types and what they mean', async () => {
    const out = await kubectl.ok('explain', 'model.spec.scaling');
    assert.match(out, /minAwake\s+<integer>\s+Instances that never sleep/);
    assert.match(await kubectl.ok('explain', 'pool.spec.slots.max'), /Slots that there may be at most/);
    assert.match(await kubectl.ok('explain', 'pods.spec.containers'), /image\s+<string>/);
    assert.match(await kubectl.ok('explain', 'modelrevision', '--recursive'), /sha256\s+<string>/);
  });

  test('scale sets the least number awake', async () => {
    await kubectl.ok('create', '-f', manifest(model('scaled', { spec: { scaling: { maxAwake: 4 } } })));
    assert.match(await kubectl.ok('scale', 'model', 'scaled', '--replicas=3'), /scaled/);
    assert.equal(await kubectl.ok('get', 'model', 'scaled', '-o', 'jsonpath={.spec.scaling.minAwake}'), '3');
    assert.match(await kubectl.ok('scale', 'model', 'scaled', '--replicas=2', '--current-replicas=3'), /scaled/);
    const wrong = await kubectl.run(['scale', 'model', 'scaled', '--replicas=1', '--current-replicas=3']);
    assert.match(wrong.err, /Expected replicas to be 3, was 2/);
  });

  test('label, annotate and patch change one object', async () => {
    await kubectl.ok('create', '-f', manifest(model('patched')));
    assert.match(await kubectl.ok('label', 'model', 'patched', 'team=a'), /labeled/);
    assert.match(await kubectl.ok('annotate', 'model', 'patched', 'note=some words'), /annotated/);
    assert.match(
      await kubectl.ok('patch', 'model', 'patched', '--type=merge', '-p', '{"spec":{"serving":{"concurrency":3}}}'),
      /patched/,
    );
    const add = '[{"op":"add","path":"/spec/pools/-","value":"more"}]';
    assert.match(await kubectl.ok('patch', 'model', 'patched', '--type=json', '-p', add), /patched/);
    const fields = '{.metadata.labels.team},{.metadata.annotations.note},{.spec.serving.concurrency},{.spec.pools[1]}';
    assert.equal(await kubectl.ok('get', 'model', 'patched', '-o', `jsonpath=${fields}`), 'a,some words,3,more');
    assert.match(
      await kubectl.ok(
        'patch',
        'model',
        'patched',
        '--subresource=status',
        '--type=merge',
        '-p',
        '{"status":{"rung":"Awake"}}',
      ),
      /patched/,
    );
    assert.match(await kubectl.ok('label', 'model', 'patched', 'team-'), /unlabeled/);
    assert.match(await kubectl.ok('replace', '-f', manifest(model('patched'))), /replaced/);
  });

  test('create makes namespaces, Secrets and ConfigMaps', async () => {
    assert.match(await kubectl.ok('create', 'namespace', 'team'), /created/);
    assert.match(await kubectl.ok('-n', 'team', 'create', 'configmap', 'words', '--from-literal=a=b'), /created/);
    assert.match(
      await kubectl.ok('-n', 'team', 'create', 'secret', 'generic', 'keys', '--from-literal=key=value'),
      /created/,
    );
    assert.equal(await kubectl.ok('-n', 'team', 'get', 'secret', 'keys', '-o', 'jsonpath={.data.key}'), 'dmFsdWU=');
    assert.equal(await kubectl.ok('-n', 'team', 'get', 'cm', 'words', '-o', 'jsonpath={.data.a}'), 'b');
    assert.match(await kubectl.ok('-n', 'team', 'get', 'sa'), /default/);
    assert.match(await kubectl.ok('delete', 'namespace', 'team'), /deleted/);
    assert.equal((await kubectl.run(['get', 'namespace', 'team'])).code, 1);
  });

  test('server-side apply and strategic merge say what to use instead', async () => {
    const file = manifest(model('applied-there'));
    const applied = await kubectl.run(['apply', '--server-side', '-f', file]);
    assert.equal(applied.code, 1);
    assert.match(applied.err, /does not speak server-side apply: use kubectl apply without --server-side/);
    await kubectl.ok('create', 'configmap', 'strategic', '--from-literal=a=b');
    const patched = await kubectl.run(['patch', 'configmap', 'strategic', '-p', '{"data":{"a":"c"}}']);
    assert.equal(patched.code, 1);
    assert.match(
      patched.err,
      /does not speak strategic merge patch.*use kubectl replace, or kubectl patch --type=merge/,
    );
    assert.match(
      await kubectl.ok('patch', 'configmap', 'strategic', '--type=merge', '-p', '{"data":{"a":"c"}}'),
      /patched/,
    );
  });

  test('a person sees Pods and deletes them, and is told who makes them', async () => {
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'slot' },
      spec: { containers: [{ name: 'agent', image: 'stoker' }] },
    };
    const refused = await kubectl.run(['create', '-f', manifest(pod)]);
    assert.equal(refused.code, 1);
    assert.match(refused.err, /Pods are made and changed by the controller alone/);
    const made = await controller.create(kinds.Pod, pod, { namespace: 'default' });
    assert.ok(made.ok);
    assert.match(await kubectl.ok('get', 'pods'), /slot +0\/1 +Pending +0/);
    assert.match(await kubectl.ok('describe', 'pod', 'slot'), /Name: +slot/);
    assert.match(await kubectl.ok('delete', 'pod', 'slot', '--grace-period=0', '--force', '--wait=false'), /slot/);
    assert.equal((await kubectl.run(['get', 'pod', 'slot'])).code, 1);
  });
});

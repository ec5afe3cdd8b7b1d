// What people see of our kinds through kubectl on a real API server: texts, columns, refusals that read like help, scale,
// wait and describe. The defaults of the server's CRDs are those of our own schemas.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { stringify } from 'yaml';
import { resourceDefinitions } from '../../src/api/crd.ts';
import { modelSpecSchema } from '../../src/api/model.ts';
import { modelRevisionSpecSchema } from '../../src/api/model-revision.ts';
import { poolSpecSchema } from '../../src/api/pool.ts';
import { openTestCluster, type TestCluster } from '../support/cluster/test-cluster.ts';
import { judgedObjects } from '../support/judged-objects.ts';
import { createKubectl, type Kubectl } from '../support/kubectl.ts';
import { model, pool, revision } from '../support/plain-objects.ts';

const schemas = { Pool: poolSpecSchema, Model: modelSpecSchema, ModelRevision: modelRevisionSpecSchema };

describe('kubectl on a real API server', { timeout: 120_000 }, () => {
  let cluster: TestCluster;
  let namespace: string;
  let kubectl: Kubectl;
  const folder = mkdtempSync(join(tmpdir(), 'stoker-kubectl-'));
  before(async () => {
    cluster = await openTestCluster();
    namespace = await cluster.makeNamespace('kubectl');
    const all = createKubectl(cluster.kubeconfig, folder);
    const inNamespace = (args: readonly string[]) => ['-n', namespace, ...args];
    kubectl = {
      start: (...args) => all.start(...inNamespace(args)),
      run: (args, input) => all.run(inNamespace(args), input),
      ok: (...args) => all.ok(...inNamespace(args)),
    };
  });
  after(async () => {
    await cluster.close();
    rmSync(folder, { recursive: true, force: true });
  });

  let files = 0;
  const manifest = (object: object) => {
    files += 1;
    const path = join(folder, `${files}.yaml`);
    writeFileSync(path, stringify(object));
    return path;
  };

  test('the server takes our schemas as they are: structural, with every rule within its budget', async () => {
    for (const { group, plural } of resourceDefinitions()) {
      const name = `${plural}.${group}`;
      const text = await kubectl.ok('get', 'crd', name, '-o', 'json');
      const { conditions } = JSON.parse(text).status;
      const of = (type: string) => conditions.find((one: { type: string }) => one.type === type)?.status;
      assert.equal(of('Established'), 'True');
      assert.equal(of('NamesAccepted'), 'True');
      assert.equal(of('NonStructuralSchema'), undefined, text);
    }
  });

  test('its defaults are ours', async () => {
    for (const { name, object, old, problems } of judgedObjects) {
      const schema = schemas[object.kind as keyof typeof schemas];
      if (problems.length > 0 || old !== undefined) continue;
      const { spec } = object as { spec?: unknown } & typeof object;
      const made = await kubectl.ok('create', '--dry-run=server', '-o', 'json', '-f', manifest(object));
      assert.deepEqual(JSON.parse(made).spec, JSON.parse(JSON.stringify(schema.parse(spec))), name);
    }
  });

  test('explain tells fields, types and what they mean', async () => {
    assert.match(await kubectl.ok('explain', 'model'), /KIND: +Model\n/);
    assert.match(
      await kubectl.ok('explain', 'model.spec.scaling'),
      /minAwake\s+<integer>\s+Instances that never sleep/,
    );
    assert.match(await kubectl.ok('explain', 'pool.spec.slots.max'), /Slots that there may be at most/);
    assert.match(await kubectl.ok('explain', 'mdl.spec.pinPolicy'), /ENUM:\s+ResolveOnce\s+RequireDigest/);
    assert.match(await kubectl.ok('explain', 'modelrevision', '--recursive'), /sha256\s+<string>/);
  });

  test('no field of ours is without a text', async () => {
    for (const { kind } of resourceDefinitions()) {
      const out = await kubectl.ok('explain', kind.toLowerCase(), '--recursive');
      assert.match(out, /spec\s+</);
      assert.doesNotMatch(await kubectl.ok('explain', `${kind.toLowerCase()}.spec`), /<empty>|<no description>/);
    }
  });

  test('apply --dry-run=server says what is wrong and changes nothing', async () => {
    const tries: readonly (readonly [object, RegExp])[] = [
      [
        model({ scaling: { minAwake: 3, maxAwake: 1 } }, 'tried'),
        /^The Model "tried" is invalid: spec\.scaling: Invalid value: "?object"?: minAwake must not be above maxAwake/,
      ],
      [
        model({ pinPolicy: 'Sometimes' }, 'tried'),
        /spec\.pinPolicy: Unsupported value: "Sometimes": supported values: "ResolveOnce", "RequireDigest"/,
      ],
      [
        model({ servedName: 'task/x' }, 'tried'),
        /spec\.servedName: .*must not begin with task\/, which is kept for task classes/,
      ],
      [pool({ slots: { min: 2, max: 1 } }, 'tried'), /spec\.slots: .*min must not be above max/],
      [pool({}, 'a'.repeat(53)), /metadata\.name must have at most 52 characters/],
      [revision({ digest: 'x' }, 'tried'), /spec\.digest/],
      [model({ naem: 1 }, 'tried'), /unknown field "spec\.naem"/],
    ];
    for (const [object, words] of tries) {
      const { code, err } = await kubectl.run(['apply', '--dry-run=server', '-f', manifest(object)]);
      assert.equal(code, 1, err);
      assert.match(err, words);
    }
    assert.equal((await kubectl.run(['get', 'model', 'tried'])).code, 1);
  });

  test('apply creates, leaves unchanged and configures; also server-side', async () => {
    const first = manifest(model({ serving: { concurrency: 2 } }, 'applied'));
    assert.match(await kubectl.ok('apply', '-f', first), /created/);
    assert.match(await kubectl.ok('apply', '-f', first), /unchanged/);
    assert.match(await kubectl.ok('apply', '-f', manifest(model({}, 'applied'))), /configured/);
    assert.equal(await kubectl.ok('get', 'mdl', 'applied', '-o', 'jsonpath={.spec.serving.concurrency}'), '8');
    assert.match(
      await kubectl.ok('apply', '--server-side', '-f', manifest(model({ servedName: 'there' }, 'there'))),
      /serverside-applied/,
    );
  });

  test('scale sets the least number awake, and what cannot be is refused with our sentence', async () => {
    await kubectl.ok('create', '-f', manifest(model({ scaling: { maxAwake: 4 } }, 'scaled')));
    assert.match(await kubectl.ok('scale', 'model', 'scaled', '--replicas=3'), /scaled/);
    assert.equal(await kubectl.ok('get', 'model', 'scaled', '-o', 'jsonpath={.spec.scaling.minAwake}'), '3');
    const { code, err } = await kubectl.run(['scale', 'model', 'scaled', '--replicas=9']);
    assert.equal(code, 1);
    assert.match(err, /minAwake must not be above maxAwake/);
  });

  test('columns come from the status, wait sees conditions, describe shows events', async () => {
    await kubectl.ok('create', '-f', manifest(model({ servedName: 'shown' }, 'shown')));
    const waiting = kubectl.ok('wait', '--for=condition=Ready', 'model/shown', '--timeout=20s');
    const condition = {
      type: 'Ready',
      status: 'True',
      reason: 'Said',
      message: 'A test says so.',
      lastTransitionTime: '2026-01-01T00:00:00Z',
    };
    const status = { rung: 'Awake', awake: 1, asleep: 0, stableRevision: 'shown-1', conditions: [condition] };
    const patch = JSON.stringify({ status });
    await kubectl.ok('patch', 'model', 'shown', '--subresource=status', '--type=merge', '-p', patch);
    assert.match(await waiting, /condition met/);
    const table = await kubectl.ok('get', 'models', 'shown');
    assert.match(
      table,
      /^NAME +READY +RUNG +STABLE +CANDIDATE +AWAKE +ASLEEP +AGE\nshown +True +Awake +shown-1 +1 +0 /,
    );
    assert.match(await kubectl.ok('describe', 'model', 'shown'), /A test says so\./);
    assert.match(
      await kubectl.ok('api-resources', '--api-group=stoker.dev'),
      /models +mdl +stoker\.dev\/v1alpha1 +true/,
    );
  });
});

// The admission policies of the chart on a real API server: what only the controller may write is refused to everybody else
// with a sentence, the controller may, and with the switch on Audit it is written and warned about. Prints the whole table
// of bad objects with who refuses each of them.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { kinds } from '../../src/api/kinds.ts';
import { createKubeClient, type KubeClient } from '../../src/kube/client.ts';
import { type Lab, startLab } from '../support/cluster/lab.ts';
import { expect, openTestCluster } from '../support/cluster/test-cluster.ts';
import { type RenderedObject, renderChart } from '../support/helm.ts';
import { judgedObjects } from '../support/judged-objects.ts';
import { model, pool, revision } from '../support/plain-objects.ts';

const POLICIES = '/apis/admissionregistration.k8s.io/v1';
const REFUSED_MIN = 60;
const pluralOf: Readonly<Record<string, string>> = {
  ValidatingAdmissionPolicy: 'validatingadmissionpolicies',
  ValidatingAdmissionPolicyBinding: 'validatingadmissionpolicybindings',
};

const pod = (name: string, labels: object, serviceAccountName = 'default') => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, labels },
  spec: { serviceAccountName, automountServiceAccountToken: false, containers: [{ name: 'agent', image: 'x:1' }] },
});

interface Try {
  readonly name: string;
  readonly call: (root: { core: string; ours: string }) => {
    method: 'POST' | 'PATCH';
    path: string;
    body: object;
  };
  readonly says: RegExp;
}

const status = { status: { conditions: [] } };
const pinnedAnnotations = [
  ['another version', 'stoker.dev/version', 'f'.repeat(32)],
  ['another file', 'stoker.dev/weights-path', '/etc/passwd'],
  ['a Secret that is sent to its source', 'stoker.dev/source-secret', 'not-for-you'],
  // One that is there is not the same as none: it says that the source was asked without.
  ['no Secret', 'stoker.dev/source-secret', ''],
  ['an API key', 'stoker.dev/api-key', 'stoker-api-keys/api-keys'],
] as const;
/** Everything here is a dry run, so it can be tried by one after the other. */
const tries: readonly Try[] = [
  {
    name: 'a Pod that says it is a slot',
    call: ({ core }) => ({ method: 'POST', path: `${core}/pods`, body: pod('fake', { 'stoker.dev/pool': 'sim' }) }),
    says: /slots are made by the controller\. Change spec\.slots of the Pool instead/,
  },
  {
    name: 'a Pod with the account of slots',
    call: ({ core }) => ({ method: 'POST', path: `${core}/pods`, body: pod('fake', {}, 'stoker-slot') }),
    says: /The ServiceAccount stoker-slot is for slots/,
  },
  {
    name: 'a Pod that says it is a stager',
    call: ({ core }) => ({ method: 'POST', path: `${core}/pods`, body: pod('fake', { 'stoker.dev/stages': 'm-1' }) }),
    says: /stagers are made by the controller\. Name the source in spec\.version\.weights of the Model instead/,
  },
  {
    name: 'a Pod with the account of stagers',
    call: ({ core }) => ({ method: 'POST', path: `${core}/pods`, body: pod('fake', {}, 'stoker-stager') }),
    says: /The ServiceAccount stoker-stager is for stagers/,
  },
  {
    name: 'a Pod that is made a stager afterwards',
    call: ({ core }) => ({
      method: 'PATCH',
      path: `${core}/pods/slot`,
      body: { metadata: { labels: { 'stoker.dev/stages': 'm-1' } } },
    }),
    says: /label stoker\.dev\/stages is written by the controller/,
  },
  {
    name: 'a Pod that is given the label of a model',
    call: ({ core }) => ({
      method: 'PATCH',
      path: `${core}/pods/slot`,
      body: { metadata: { labels: { 'stoker.dev/awake': 'x' } } },
    }),
    says: /labels stoker\.dev\/pool and stoker\.dev\/awake are written by the controller/,
  },
  {
    name: 'a Pod that is taken out of its pool',
    call: ({ core }) => ({
      method: 'PATCH',
      path: `${core}/pods/slot`,
      body: { metadata: { labels: { 'stoker.dev/pool': null } } },
    }),
    says: /labels stoker\.dev\/pool and stoker\.dev\/awake are written by the controller/,
  },
  {
    name: 'a revision',
    call: ({ ours }) => ({ method: 'POST', path: `${ours}/modelrevisions`, body: revision({}, 'made-by-hand') }),
    says: /ModelRevisions are made by the controller\. Change spec\.version of the Model/,
  },
  ...pinnedAnnotations.map(
    ([what, annotation, value]): Try => ({
      name: `${what} for a revision`,
      call: ({ ours }) => ({
        method: 'PATCH',
        path: `${ours}/modelrevisions/kept`,
        body: { metadata: { annotations: { [annotation]: value } } },
      }),
      says: /annotations stoker\.dev\/version, weights-path, source-secret and api-key are written by the controller/,
    }),
  ),
  ...['pools/p', 'models/m', 'modelrevisions/kept'].map(
    (name): Try => ({
      name: `the status of ${name}`,
      call: ({ ours }) => ({ method: 'PATCH', path: `${ours}/${name}/status`, body: status }),
      says: /The status is what the controller observed\. Change the spec instead/,
    }),
  ),
  {
    name: 'a token of slots',
    call: ({ core }) => ({
      method: 'POST',
      path: `${core}/serviceaccounts/stoker-slot/token`,
      body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { audiences: ['stoker-link'] } },
    }),
    says: /Tokens of stoker-slot, stoker-router and stoker-controller are made by the kubelet/,
  },
  {
    name: 'a Model without a digest',
    call: ({ ours }) => ({ method: 'POST', path: `${ours}/models`, body: model({ servedName: 'other' }, 'other') }),
    says: /This namespace wants every Model pinned\. Set spec\.pinPolicy to RequireDigest/,
  },
];

/** What is wrong in a spec. Other things are refused before an object is looked at. */
const badObjects = judgedObjects.filter(
  ({ old, problems }) => old === undefined && problems.some((problem) => problem.startsWith('spec')),
);

/** Who refused it. The server must name the field of one of the problems. */
function refuserOf(problems: readonly string[], message: string): string {
  const fields = problems.map((problem) => problem.split(':')[0]?.replace(/\[.*$/, '') ?? '');
  assert.ok(
    fields.some((field) => message.includes(field)),
    `${fields.join(' ')} in: ${message}`,
  );
  // Sentences with figures are made by the server itself, from CEL.
  for (const problem of problems.filter((one) => / is (above|below) /.test(one)))
    assert.ok(message.includes(problem.slice(problem.indexOf(': ') + 2)), `${problem} in: ${message}`);
  const isRule = problems.some((problem) => message.includes(problem.slice(problem.indexOf(': ') + 2)));
  return isRule ? 'rule  ' : 'schema';
}

describe('the admission policies of the chart', { timeout: 120_000 }, () => {
  let lab: Lab;
  let controller: KubeClient;
  let root: { core: string; ours: string };
  let installed: RenderedObject[] = [];
  before(async () => {
    lab = await startLab(await openTestCluster(), { node: false });
    const { namespace, cluster } = lab;
    root = {
      core: `/api/v1/namespaces/${namespace}`,
      ours: `/apis/stoker.dev/v1alpha1/namespaces/${namespace}`,
    };
    const token = await lab.token('stoker-controller', { audience: '' });
    controller = createKubeClient(cluster.as(token, namespace));
    await lab.create('pods', pod('slot', { 'stoker.dev/pool': 'sim' }));
    await lab.create('pools', pool({}, 'p'));
    await lab.create('models', model({}, 'm'));
    await lab.create('modelrevisions', revision({}, 'kept'));
  });
  after(async () => {
    for (const object of installed) await remove(object);
    await controller.close();
    await lab.stop();
    await lab.cluster.close();
  });

  const remove = ({ kind, metadata }: RenderedObject) =>
    lab.cluster.client.send({ method: 'DELETE', path: `${POLICIES}/${pluralOf[kind]}/${metadata.name}` });

  /** Waits until the server acts on them: it compiles policies a moment after they are made. */
  async function install(action: 'Deny' | 'Audit'): Promise<void> {
    for (const object of installed) await remove(object);
    const set = [`admissionPolicies.action=${action}`, 'admissionPolicies.requireDigest=true'];
    installed = renderChart({ namespace: lab.namespace, set }).filter(({ kind }) => kind in pluralOf);
    assert.equal(installed.length, 12);
    for (const object of installed)
      await expect(lab.cluster.client, 201, {
        method: 'POST',
        path: `${POLICIES}/${pluralOf[object.kind]}`,
        body: object,
      });
    for (const one of tries) {
      const isActive = async () => {
        const { body, warnings } = await send(lab.cluster.client, one);
        return one.says.test(action === 'Deny' ? JSON.stringify(body) : warnings.join('\n'));
      };
      await lab.until(isActive, `the policy about ${one.name}`);
    }
  }

  function send(client: KubeClient, { call }: Try) {
    const { method, path, body } = call(root);
    const headers = { 'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json' };
    return client.send({ method, path: `${path}?dryRun=All`, body, headers });
  }

  test('Deny refuses to an administrator, with the sentence, what the controller may', async () => {
    await install('Deny');
    for (const one of tries) {
      const { status: code, body } = await send(lab.cluster.client, one);
      assert.ok(code === 403 || code === 422, `${one.name}: ${code}`);
      assert.match(JSON.stringify(body), one.says, one.name);
    }
    // One that was there before the rule about digests is kept, and its controller can let it go.
    const change = { method: 'PATCH', headers: { 'content-type': 'application/merge-patch+json' } } as const;
    const before = { ...change, path: `${root.ours}/models/m?dryRun=All` };
    await expect(lab.cluster.client, 200, { ...before, body: { metadata: { finalizers: [] } } });
    const changed = { spec: { scaling: { maxAwake: 7 } } };
    assert.equal((await lab.cluster.client.send({ ...before, body: changed })).status, 422);
    // What is pinned and what is nobody's business goes through.
    const version = { weights: { file: { path: 'a.gguf', sha256: 'a'.repeat(64) } } };
    const pinned = model({ servedName: 'pinned', pinPolicy: 'RequireDigest', version }, 'pinned');
    const path = (plural: string) => `${plural === 'pods' ? root.core : root.ours}/${plural}?dryRun=All`;
    await expect(lab.cluster.client, 201, { method: 'POST', path: path('models'), body: pinned });
    await expect(lab.cluster.client, 201, { method: 'POST', path: path('pods'), body: pod('mine', { app: 'x' }) });
  });

  // As charts/stoker/files/helm-test.mjs does: with Deny and with requireDigest, too.
  test('what helm test tries is taken, and what it expects to be refused is', async () => {
    const { apiVersion } = kinds.Pool;
    const tried = (kind: string, spec: object) => ({ apiVersion, kind, metadata: { name: 'helm-test' }, spec });
    const path = (plural: string) => `${root.ours}/${plural}?dryRun=All`;
    const { client } = lab.cluster;
    await expect(client, 201, {
      method: 'POST',
      path: path('pools'),
      body: tried('Pool', { slots: { min: 0, max: 1 } }),
    });
    await expect(client, 422, { method: 'POST', path: path('models'), body: tried('Model', {}) });
  });

  test('the controller may do all that is its own', async () => {
    const own = tries.filter(({ name }) => !/token|digest/.test(name));
    assert.equal(own.length, tries.length - 2);
    for (const one of own) {
      const { status: code, body } = await send(controller, one);
      assert.ok(code < 300, `${one.name}: ${code} ${JSON.stringify(body)}`);
    }
  });

  test('the controller writes its own ConfigMaps and no other, and others write theirs', async () => {
    const { metadata } = await lab.get('models', 'm');
    const owner = { apiVersion: 'stoker.dev/v1alpha1', kind: 'Model', name: 'm', uid: metadata.uid, controller: true };
    const configMap = (name: string, owners: readonly object[] = []) => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name, ownerReferences: owners },
      data: { a: 'b' },
    });
    const path = `${root.core}/configmaps`;
    const make = (client: KubeClient, body: object) =>
      client.send({
        method: 'POST',
        path: `${path}?dryRun=All`,
        body,
        headers: { 'content-type': 'application/json' },
      });
    const change = (name: string) =>
      controller.send({
        method: 'PATCH',
        path: `${path}/${name}?dryRun=All`,
        body: { data: { a: 'c' } },
        headers: { 'content-type': 'application/merge-patch+json' },
      });
    for (const own of [configMap('stoker-link-ca'), configMap('m-learned', [owner])])
      assert.equal((await make(controller, own)).status, 201, own.metadata.name);
    const refused = [
      await make(controller, configMap('mine')),
      await make(controller, configMap('n-learned', [owner])),
      await make(controller, configMap('m-learned')),
    ];
    assert.equal((await make(lab.cluster.client, configMap('mine'))).status, 201);
    await lab.create('configmaps', configMap('theirs'));
    await lab.create('configmaps', configMap('m-learned', [owner]));
    refused.push(await change('theirs'));
    assert.equal((await change('m-learned')).status, 200);
    for (const { status: code, body } of refused) {
      assert.equal(code, 403);
      assert.match(JSON.stringify(body), /for each Model one with the name of the Model and -learned/);
    }
  });

  test('the table of bad objects: each is refused by schema, rule or policy', async (t) => {
    const rows = tries.map(({ name }) => `policy  ${name}`);
    for (const { name, object, problems } of badObjects) {
      // As the controller, whom no policy stops: what is left are schema and rules.
      const client = object.kind === 'ModelRevision' ? controller : lab.cluster.client;
      const path = `${root.ours}/${object.kind.toLowerCase()}s?dryRun=All&fieldValidation=Strict`;
      const { status: code, body } = await client.send({ method: 'POST', path, body: object });
      assert.ok(code === 422 || code === 400, `${name}: ${code} ${JSON.stringify(body)}`);
      rows.push(`${refuserOf(problems, (body as { message: string }).message)}  ${name}`);
    }
    t.diagnostic(`${rows.length} refused:\n${rows.join('\n')}`);
    assert.ok(rows.length >= REFUSED_MIN, `${rows.length}`);
  });

  test('Audit lets it through and warns', async () => {
    await install('Audit');
    for (const one of tries) {
      const { status: code, warnings } = await send(lab.cluster.client, one);
      assert.ok(code < 300, `${one.name}: ${code}`);
      assert.match(warnings.join('\n'), one.says, one.name);
    }
  });
});

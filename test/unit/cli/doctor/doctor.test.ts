// `stoker doctor` against a scripted cluster: every check in its good case and in each of its bad ones, the exit code, and
// what programs get.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { resourceDefinitions } from '../../../../src/api/crd.ts';
import { examine } from '../../../../src/cli/doctor/doctor.ts';
import type { Finding } from '../../../../src/cli/doctor/finding.ts';
import { CommandError } from '../../../../src/cli/io.ts';
import { type ApiCall, NoAnswerError, type ObjectApi } from '../../../../src/cli/object-api.ts';
import { systemClock } from '../../../../src/lib/clock.ts';
import { terminal } from '../../../support/terminal.ts';

interface Fake {
  /** Path (without its query) -> body. A number is a refusal with that code. */
  answers: Map<string, unknown>;
  denied: Set<string>;
  calls: ApiCall[];
}

let fake: Fake;
const NS = 'llm';
const inNamespace = (group: string, plural: string) => `/${group}/namespaces/${NS}/${plural}`;

/** What every answer says of a schema's fields is taken from our own kinds. */
function openapi(): object {
  const schemas = Object.fromEntries(
    resourceDefinitions().map(({ kind, schema }) => [
      kind,
      { ...schema, 'x-kubernetes-group-version-kind': [{ group: 'stoker.dev', version: 'v1alpha1', kind }] },
    ]),
  );
  return { components: { schemas } };
}

const ready = [{ type: 'Ready', status: 'True', reason: 'Fine', message: 'It is.' }];
const deployment = (component: string, readyReplicas = 2) => ({
  metadata: { name: `stoker-${component}`, labels: { 'app.kubernetes.io/component': component } },
  spec: {
    replicas: 2,
    template: { spec: { volumes: [{ name: 'keys', secret: { secretName: `${component}-keys` } }] } },
  },
  status: { readyReplicas },
});
const pool = (more: object = {}) => ({
  metadata: { name: 'gpus' },
  spec: { accelerator: { resourceName: 'nvidia.com/gpu', countPerSlot: 2 }, slots: { min: 1, max: 2 }, ...more },
  status: { conditions: ready },
});
const node = (count: string, more: object = {}) => ({
  metadata: { name: 'n1', labels: { zone: 'a' } },
  spec: more,
  status: { allocatable: { 'nvidia.com/gpu': count }, conditions: ready },
});
const METRICS = `/api/v1/namespaces/${NS}/pods/router-1:8081/proxy/metrics`;

beforeEach(() => {
  let renewals = 0;
  const lease = () => {
    renewals += 1;
    return { spec: { holderIdentity: 'c-1', leaseDurationSeconds: 1, renewTime: `t${renewals}` } };
  };
  const answers = new Map<string, unknown>([
    ['/version', { major: '1', minor: '34', gitVersion: 'v1.34.1' }],
    ['/openapi/v3/apis/stoker.dev/v1alpha1', openapi()],
    ['/apis/apps/v1', {}],
    [`/api/v1/namespaces/${NS}`, {}],
    [inNamespace('apis/apps/v1', 'deployments'), { items: [deployment('controller'), deployment('router')] }],
    [inNamespace('apis/coordination.k8s.io/v1', 'leases/stoker-controller'), lease],
    [inNamespace('api/v1', 'services/stoker-link'), {}],
    [
      inNamespace('apis/discovery.k8s.io/v1', 'endpointslices/stoker-link'),
      { endpoints: [{ addresses: ['10.0.0.7'], targetRef: { name: 'c-1' } }] },
    ],
    [inNamespace('api/v1', 'pods/c-1'), { status: { podIP: '10.0.0.7' } }],
    ...['stoker-slot-keys', 'stoker-link-tls', 'controller-keys', 'router-keys'].map(
      (name) => [inNamespace('api/v1', `secrets/${name}`), {}] as const,
    ),
    [inNamespace('api/v1', 'configmaps/stoker-link-ca'), {}],
    [inNamespace('apis/stoker.dev/v1alpha1', 'pools'), { items: [pool()] }],
    [
      inNamespace('apis/stoker.dev/v1alpha1', 'models'),
      { items: [{ metadata: { name: 'm' }, spec: {}, status: { conditions: ready } }] },
    ],
    ['/api/v1/nodes', { items: [node('4')] }],
    [inNamespace('api/v1', 'persistentvolumeclaims'), { items: [] }],
    [inNamespace('api/v1', 'pods'), { items: [{ metadata: { name: 'router-1' }, status: { conditions: ready } }] }],
    [METRICS, 'stoker_attempts_total{model="m",end="Answered"} 5\n'],
  ]);
  fake = { answers, denied: new Set(), calls: [] };
});

const api: ObjectApi = {
  namespace: NS,
  async send(call) {
    fake.calls.push(call);
    const path = call.path.split('?')[0] ?? '';
    if (path.endsWith('accessreviews')) {
      const { resourceAttributes: asked } = (call.body as { spec: { resourceAttributes: Record<string, string> } })
        .spec;
      const allowed = !fake.denied.has(`${asked.verb} ${asked.resource}`);
      return { status: 201, body: { status: { allowed } }, warnings: [] };
    }
    const found = fake.answers.get(path);
    const body = typeof found === 'function' ? found() : found;
    if (body === undefined) return { status: 404, body: { message: 'not found' }, warnings: [] };
    if (typeof body === 'number') return { status: body, body: { message: `you get ${body}` }, warnings: [] };
    return { status: 200, body, warnings: [] };
  },
  close: async () => {},
};

async function run(): Promise<{ findings: Finding[]; exitCode: number | undefined; bad: string[] }> {
  const { io, printed } = terminal();
  await examine(io, api, { output: 'json', clock: systemClock });
  const { findings, ok } = JSON.parse(printed.out) as { findings: Finding[]; ok: boolean };
  assert.equal(ok, printed.exitCode === undefined);
  const bad = findings
    .filter(({ state }) => state !== 'ok')
    .map(({ state, check, message }) => `${state} ${check}: ${message}`);
  for (const { state, remedy } of findings)
    if (state === 'fail' || state === 'warn') assert.ok(remedy, 'says what to do');
  return { findings, exitCode: printed.exitCode, bad };
}

test('a cluster where all is well: every line is ok, and the exit code is 0', async () => {
  const { bad, exitCode, findings } = await run();
  assert.deepEqual(bad, []);
  assert.equal(exitCode, undefined);
  assert.ok(findings.length >= 16, `${findings.length} lines`);
});

test('it writes nothing and never asks for the data of a Secret', async () => {
  await run();
  for (const { method, path, headers } of fake.calls) {
    if (method !== 'GET') assert.match(path, /accessreviews$/);
    if (path.includes('/secrets/')) assert.match(headers?.accept ?? '', /as=PartialObjectMetadata/);
  }
});

const trouble: readonly { name: string; change: () => void; says: RegExp; exitCode?: number }[] = [
  {
    name: 'an old server',
    change: () => fake.answers.set('/version', { major: '1', minor: '29', gitVersion: 'v1.29.0' }),
    says: /^fail version: This is Kubernetes v1\.29\.0/,
  },
  {
    name: 'no kinds',
    change: () => fake.answers.delete('/openapi/v3/apis/stoker.dev/v1alpha1'),
    says: /^fail kinds: The cluster does not know Pool, Model/,
  },
  {
    name: 'no namespace',
    change: () => fake.answers.delete(`/api/v1/namespaces/${NS}`),
    says: /^fail namespace: There is no namespace llm/,
  },
  {
    name: 'a right that the controller lacks',
    change: () => fake.denied.add('create pods'),
    says: /^fail rights of the controller: stoker-controller may not: create pods\.$/,
  },
  {
    name: 'a right that the caller lacks',
    change: () => fake.denied.add('delete models'),
    says: /^warn your rights: You may not: delete models\.stoker\.dev\.$/,
    exitCode: 0,
  },
  {
    name: 'no Deployment',
    change: () => fake.answers.set(inNamespace('apis/apps/v1', 'deployments'), { items: [deployment('router')] }),
    says: /^fail controller: There is no Deployment of a controller in llm/,
  },
  {
    name: 'half a router',
    change: () =>
      fake.answers.set(inNamespace('apis/apps/v1', 'deployments'), {
        items: [deployment('controller'), deployment('router', 1)],
      }),
    says: /^warn router: stoker-router: 1 of 2 replicas/,
    exitCode: 0,
  },
  {
    name: 'a router that ended with a sentence',
    change: () => {
      fake.answers.set(inNamespace('apis/apps/v1', 'deployments'), {
        items: [deployment('controller'), deployment('router', 1)],
      });
      const message = '{"level":30}\nstoker router: The API keys file is not usable.\n';
      const containerStatuses = [{ state: { waiting: {} }, lastState: { terminated: { message } } }];
      fake.answers.set(inNamespace('api/v1', 'pods'), {
        items: [{ metadata: { name: 'router-1' }, status: { conditions: ready, containerStatuses } }],
      });
    },
    says: /^warn router: .* One ended and said: stoker router: The API keys file is not usable\.$/,
    exitCode: 0,
  },
  {
    name: 'a Lease that nobody renews',
    change: () =>
      fake.answers.set(inNamespace('apis/coordination.k8s.io/v1', 'leases/stoker-controller'), {
        spec: { holderIdentity: 'c-1', leaseDurationSeconds: 1, renewTime: 't' },
      }),
    says: /^fail leader: c-1 holds the Lease and did not renew it for 1 s/,
  },
  {
    name: 'no leader ever',
    change: () => fake.answers.delete(inNamespace('apis/coordination.k8s.io/v1', 'leases/stoker-controller')),
    says: /^fail leader: No controller ever led/,
  },
  {
    name: 'a link that leads nowhere',
    change: () =>
      fake.answers.set(inNamespace('apis/discovery.k8s.io/v1', 'endpointslices/stoker-link'), { endpoints: [] }),
    says: /^fail link: Nobody is behind the Service/,
  },
  {
    name: 'a link that leads to a Pod that is gone',
    change: () => fake.answers.delete(inNamespace('api/v1', 'pods/c-1')),
    says: /^fail link: .* of c-1, a Pod that is gone/,
  },
  {
    name: 'a Secret that is not there',
    change: () => fake.answers.delete(inNamespace('api/v1', 'secrets/router-keys')),
    says: /^fail secret: router-keys is missing/,
  },
  {
    name: 'a Secret that may not be read',
    change: () => fake.answers.set(inNamespace('api/v1', 'secrets/router-keys'), 403),
    says: /^skip secret: you get 403/,
    exitCode: 0,
  },
  {
    name: 'nodes without the accelerator',
    change: () => fake.answers.set('/api/v1/nodes', { items: [node('1')] }),
    says: /^fail nodes for gpus: 1 of 1 nodes can be used; they have room for 0 slots of 2 nvidia\.com\/gpu/,
  },
  {
    name: 'nodes for some of the slots',
    change: () => fake.answers.set('/api/v1/nodes', { items: [node('2')] }),
    says: /^warn nodes for gpus: .* room for 1 slots/,
    exitCode: 0,
  },
  {
    name: 'a taint that is not tolerated',
    change: () =>
      fake.answers.set('/api/v1/nodes', {
        items: [node('4', { taints: [{ key: 'gpu', effect: 'NoSchedule' }] })],
      }),
    says: /^fail nodes for gpus: 0 of 1 nodes can be used/,
  },
  {
    name: 'a storage class that is not there',
    change: () => {
      fake.answers.set(inNamespace('api/v1', 'persistentvolumeclaims'), {
        items: [{ metadata: { name: 'cache' }, spec: { storageClassName: 'fast' }, status: { phase: 'Pending' } }],
      });
      fake.answers.set('/apis/storage.k8s.io/v1/storageclasses', { items: [] });
    },
    says: /^fail storage: cache wants the storage class fast/,
  },
  {
    name: 'a volume claim that a Pool names and that is not there',
    change: () =>
      fake.answers.set(inNamespace('apis/stoker.dev/v1alpha1', 'pools'), {
        items: [pool({ weights: { claimName: 'models' } })],
      }),
    says: /^fail storage: The Pool gpus names the volume claim models, which is not there\.$/,
  },
  {
    name: 'a Pool in trouble',
    change: () =>
      fake.answers.set(inNamespace('apis/stoker.dev/v1alpha1', 'pools'), {
        items: [
          {
            ...pool(),
            status: { conditions: [{ type: 'Ready', status: 'False', reason: 'Unschedulable', message: 'No node.' }] },
          },
        ],
      }),
    says: /^fail Pool gpus: Unschedulable: No node\.$/,
  },
  {
    name: 'a Pool with fewer slots than instances that never sleep',
    change: () => {
      const short = { type: 'MinAwakePossible', status: 'False', reason: 'TooFewSlots', message: '5 and 2.' };
      fake.answers.set(inNamespace('apis/stoker.dev/v1alpha1', 'pools'), {
        items: [{ ...pool(), status: { conditions: [...ready, short] } }],
      });
    },
    says: /^warn Pool gpus: TooFewSlots: 5 and 2\.$/,
    exitCode: 0,
  },
  {
    name: 'a path that is closed',
    change: () => fake.answers.set(METRICS, 'stoker_attempts_total{model="m",end="Unreached"} 3\n'),
    says: /^fail routers to slots: 0 requests reached a slot, 3 did not/,
  },
  {
    name: 'a path that nobody used',
    change: () => fake.answers.set(METRICS, ''),
    says: /^skip routers to slots: No request was sent to a slot yet/,
    exitCode: 0,
  },
];

for (const { name, change, says, exitCode = 1 } of trouble) {
  test(`${name} is the only thing that is said to be wrong`, async () => {
    change();
    const found = await run();
    assert.equal(found.bad.length, 1, found.bad.join('\n'));
    assert.match(found.bad[0] ?? '', says);
    assert.equal(found.exitCode ?? 0, exitCode);
  });
}

test('a taint is tolerated, and labels choose nodes', async () => {
  const tolerations = [{ key: 'gpu', operator: 'Exists' }];
  fake.answers.set(inNamespace('apis/stoker.dev/v1alpha1', 'pools'), {
    items: [pool({ pod: { tolerations, nodeSelector: { zone: 'a' } } })],
  });
  fake.answers.set('/api/v1/nodes', { items: [node('4', { taints: [{ key: 'gpu', effect: 'NoSchedule' }] })] });
  assert.deepEqual((await run()).bad, []);
});

test('people get a line for each, with what to do under it, and a count', async () => {
  fake.denied.add('create pods');
  const { io, printed } = terminal();
  await examine(io, api, { output: 'table', clock: systemClock });
  assert.match(printed.out, /^ok {4}version: Kubernetes v1\.34\.1\.$/m);
  assert.match(printed.out, /^fail {2}rights of the controller: .*\n {6}Install the chart/m);
  assert.match(printed.out, /\d+ ok, 0 warnings, 1 failures\n$/);
  assert.equal(printed.exitCode, 1);
});

test('a server that does not answer is one failure; kinds that a server does not know are absent', async () => {
  const { io, printed } = terminal();
  const dead: ObjectApi = { ...api, send: () => Promise.reject(new NoAnswerError('https://x does not answer.')) };
  await examine(io, dead, { output: 'table', clock: systemClock });
  assert.match(printed.out, /^fail {2}server: https:\/\/x does not answer\./);
  assert.equal(printed.exitCode, 1);
  const local = terminal({ environment: { STOKER_DATA_DIR: '/nowhere' } });
  const embedded: ObjectApi = {
    ...api,
    send: (call) =>
      call.path === '/apis/apps/v1' ? Promise.reject(new CommandError('does not know this kind')) : api.send(call),
  };
  await examine(local.io, embedded, { output: 'table', clock: systemClock });
  assert.match(local.printed.out, /^skip {2}parts: No Stoker was found here/m);
  assert.doesNotMatch(local.printed.out, /nodes for/);
});

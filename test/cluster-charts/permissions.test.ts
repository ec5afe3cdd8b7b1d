// What the chart allows the controller is what the controller does: every call of its sources is allowed, and nothing is
// allowed that no call needs.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { kinds } from '../../src/api/kinds.ts';
import { LINK_SERVICE } from '../../src/api/link.ts';
import { AUTHORITY_SECRET } from '../../src/controller/link-identity.ts';
import { SEED_SECRET } from '../../src/controller/slot-keys.ts';
import { objectOf, type RenderedObject, renderChart } from '../support/helm.ts';

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

const objects = renderChart();
const role = objectOf(objects, 'Role', 'stoker-controller');
const source = (path: string) => new URL(`../../src/${path}`, import.meta.url);

type Grant = `${string} ${string}`;

/** `verb group/resource`, one for each verb of each resource. */
function grantsOf(rules: readonly Rule[]): Set<Grant> {
  return new Set(
    rules.flatMap(({ apiGroups, resources, verbs }) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((resource) => verbs.map((verb): Grant => `${verb} ${group}/${resource}`)),
      ),
    ),
  );
}

function resourceOf(kind: keyof typeof kinds): string {
  const { apiVersion, plural } = kinds[kind];
  return `${apiVersion.includes('/') ? apiVersion.split('/')[0] : ''}/${plural}`;
}

const verbOfCall: Readonly<Record<string, (resource: string) => Grant>> = {
  read: (resource) => `get ${resource}`,
  create: (resource) => `create ${resource}`,
  patch: (resource) => `patch ${resource}`,
  patchStatus: (resource) => `patch ${resource}/status`,
  remove: (resource) => `delete ${resource}`,
};

/** The calls to the cluster that name their kind, as src/controller and the Lease of src/kube/lease-store.ts write them. */
function grantsOfCalls(): Set<Grant> {
  const calls = /\b(?:cluster|client)\.(read|create|patch|patchStatus|remove)\(\s*kinds\.(\w+)/g;
  const texts = [
    ...readdirSync(source('controller')).map((name) => readFileSync(join(source('controller').pathname, name), 'utf8')),
    readFileSync(source('kube/lease-store.ts'), 'utf8'),
  ];
  return new Set(
    texts.flatMap((text) =>
      [...text.matchAll(calls)].map(([, call = '', kind = '']): Grant => {
        const grant = verbOfCall[call];
        assert.ok(grant !== undefined);
        return grant(resourceOf(kind as keyof typeof kinds));
      }),
    ),
  );
}

/** Calls whose kind is a parameter or whose form the pattern above does not see, with the place that makes them. */
const otherGrants: Readonly<Record<Grant, string>> = {
  // src/main/controller.ts: what is watched. A reflector gets, lists and watches.
  'get stoker.dev/pools': 'watched',
  'list stoker.dev/pools': 'watched',
  'watch stoker.dev/pools': 'watched',
  'get stoker.dev/models': 'watched',
  'list stoker.dev/models': 'watched',
  'watch stoker.dev/models': 'watched',
  'get stoker.dev/modelrevisions': 'watched',
  'list stoker.dev/modelrevisions': 'watched',
  'watch stoker.dev/modelrevisions': 'watched',
  'get /pods': 'watched',
  'list /pods': 'watched',
  'watch /pods': 'watched',
  // src/controller/status.ts: finalizers and status, of the kind that is given.
  'patch stoker.dev/pools': 'finalizers',
  'patch stoker.dev/models': 'finalizers',
  'patch stoker.dev/models/status': 'status',
  'patch stoker.dev/pools/status': 'status',
  'patch stoker.dev/modelrevisions/status': 'status',
  // Owner references that block deletion.
  'update stoker.dev/pools/finalizers': 'ownerReferences',
  'update stoker.dev/models/finalizers': 'ownerReferences',
  // src/controller/owned-child.ts: PodDisruptionBudgets of Models and NetworkPolicies of Pools.
  'get policy/poddisruptionbudgets': 'owned child',
  'create policy/poddisruptionbudgets': 'owned child',
  'patch policy/poddisruptionbudgets': 'owned child',
  'get networking.k8s.io/networkpolicies': 'owned child',
  'create networking.k8s.io/networkpolicies': 'owned child',
  'patch networking.k8s.io/networkpolicies': 'owned child',
  'delete networking.k8s.io/networkpolicies': 'owned child that nobody wants any more',
  'update stoker.dev/modelrevisions/finalizers': 'ownerReferences',
  // src/kube/event-recorder.ts.
  'create /events': 'events',
  'patch /events': 'events',
  // src/kube/lease-store.ts.
  'get coordination.k8s.io/leases': 'the Lease',
  'patch coordination.k8s.io/leases': 'the Lease',
  'create coordination.k8s.io/leases': 'the Lease',
};

describe('the permissions of the chart', () => {
  it('have no wildcard, in no role', () => {
    const tested = renderChart({ set: ['tests.simulatedModel.enabled=true'] });
    const roles = [...tested, ...renderChart({ chart: 'stoker-crds' })].filter(({ kind }) => /Role$/.test(kind));
    assert.ok(roles.length >= 4);
    for (const { metadata, rules } of roles) {
      for (const rule of rules as Rule[]) {
        for (const list of [rule.apiGroups, rule.resources, rule.verbs]) {
          assert.ok(!list.some((word) => word.includes('*')), metadata.name);
        }
      }
    }
  });

  it('are what the sources of the controller call, and no more', () => {
    const needed = new Set<Grant>([...grantsOfCalls(), ...(Object.keys(otherGrants) as Grant[])]);
    assert.ok(grantsOfCalls().size >= 6, 'the calls were found');
    assert.deepEqual([...grantsOf(role.rules)].sort(), [...needed].sort());
  });

  it('read and write single objects by name, and no others', () => {
    const named = (resource: string, verb: string) =>
      (role.rules as Rule[])
        .filter(({ resources, verbs }) => resources.includes(resource) && verbs.includes(verb))
        .flatMap(({ resourceNames }) => resourceNames ?? ['everything']);
    assert.deepEqual(named('secrets', 'get').sort(), [AUTHORITY_SECRET, SEED_SECRET].sort());
    // One for each Model, by names that no chart knows.
    assert.deepEqual(named('configmaps', 'patch'), ['everything']);
    assert.deepEqual(named('endpointslices', 'patch'), [LINK_SERVICE]);
    assert.deepEqual(named('leases', 'patch'), ['stoker-controller']);
  });

  it('cover CapacityBuffers where the chart is told so, and not before', () => {
    const may = (set: readonly string[]) =>
      (objectOf(renderChart({ set }), 'Role', 'stoker-controller').rules as Rule[])
        .filter(({ resources }) => resources.includes('capacitybuffers') || resources.includes('podtemplates'))
        .map(({ resources, verbs }) => [...resources, ...verbs].join(' '));
    assert.deepEqual(may([]), []);
    assert.deepEqual(may(['rbac.capacityBuffers=true']), [
      'capacitybuffers get create patch delete',
      'podtemplates get create patch delete',
    ]);
  });

  it('reach beyond the namespace by one binding, which can be left out', () => {
    const wide = (all: readonly RenderedObject[]) =>
      all.filter(({ kind }) => kind === 'ClusterRoleBinding' || kind === 'ClusterRole');
    assert.deepEqual(
      wide(objects).map(({ metadata, roleRef }) => [metadata.name, roleRef.name]),
      [['stoker-auth-delegator-llm', 'system:auth-delegator']],
    );
    assert.deepEqual(wide(renderChart({ set: ['rbac.createAuthDelegatorBinding=false'] })), []);
  });

  it('bind to the account in the release namespace', () => {
    const binding = objectOf(renderChart({ namespace: 'team-a' }), 'RoleBinding', 'stoker-controller');
    assert.deepEqual(binding.subjects, [{ kind: 'ServiceAccount', name: 'stoker-controller', namespace: 'team-a' }]);
  });
});

describe('the admission policies of the chart', () => {
  it('exempt the controller of their own namespace, but for the one that holds it alone', () => {
    const policies = renderChart({ namespace: 'team-a', set: ['admissionPolicies.exemptUsers[0]=backup'] }).filter(
      ({ kind }) => kind === 'ValidatingAdmissionPolicy',
    );
    assert.equal(policies.length, 5);
    const controller = 'system:serviceaccount:team-a:stoker-controller';
    for (const { spec, metadata } of policies) {
      const isAboutIt = metadata.name === 'stoker-team-a-configmaps';
      assert.deepEqual(
        spec.matchConditions.map(({ expression }: { expression: string }) => expression),
        [
          isAboutIt
            ? `request.userInfo.username == "${controller}"`
            : `!(request.userInfo.username in ["${controller}","backup"])`,
        ],
        metadata.name,
      );
    }
  });

  it('refuse by default, in their namespace alone, and only warn when told so', () => {
    const actions = (set: readonly string[]) =>
      renderChart({ set })
        .filter(({ kind }) => kind === 'ValidatingAdmissionPolicyBinding')
        .map(({ spec }) => {
          assert.deepEqual(spec.matchResources.namespaceSelector.matchLabels, { 'kubernetes.io/metadata.name': 'llm' });
          return spec.validationActions.join();
        });
    assert.deepEqual([...new Set(actions([]))], ['Deny']);
    assert.deepEqual([...new Set(actions(['admissionPolicies.action=Audit']))], ['Audit,Warn']);
    assert.equal(actions(['admissionPolicies.requireDigest=true']).length, 6);
    assert.deepEqual(actions(['admissionPolicies.enabled=false']), []);
  });

  it('say in a sentence what to do', () => {
    for (const { kind, spec } of renderChart({ set: ['admissionPolicies.requireDigest=true'] })) {
      if (kind !== 'ValidatingAdmissionPolicy') continue;
      for (const { message } of spec.validations) assert.match(message, /^[A-Z].{20,}\.$/);
    }
  });
});

// What the Deployments of the chart run: only settings that the programs have, the `restricted` level, and selectors that
// find the Pods they are meant for.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { LINK_AUDIENCE, LINK_CA_CONFIG_MAP, LINK_CA_KEY } from '../../src/api/link.ts';
import { type ManifestObject, parseManifest } from '../../src/api/manifest.ts';
import type { Pool } from '../../src/api/pool.ts';
import { type ProcessName, parseSettings, settingsOf } from '../../src/api/settings.ts';
import { renderNetworkPolicy } from '../../src/controller/slot-network.ts';
import { renderSlotPod } from '../../src/controller/slot-pod.ts';
import { PROGRESS_PORT } from '../../src/controller/stager-pod.ts';
import { routerPart } from '../../src/main/router.ts';
import { objectOf, type RenderedObject, renderChart } from '../support/helm.ts';

type Labels = Readonly<Record<string, string>>;

const objects = renderChart({
  set: ['tests.simulatedModel.enabled=true', 'controller.adminToken.existingSecret=admin'],
});
const pool: Pool = {
  apiVersion: 'stoker.dev/v1alpha1',
  kind: 'Pool',
  metadata: { name: 'p', uid: 'u' },
  spec: {
    accelerator: { resourceName: 'stoker.dev/cpu', countPerSlot: 1, className: 'cpu' },
    slots: { min: 1, max: 1 },
    sleepersPerSlotMax: 1,
    changesPerSlotHourMax: 60,
    maxDrainSeconds: 1,
  },
};
const slot = renderSlotPod(pool, 1, { linkUrl: 'ws://stoker-link', serviceAccount: 'stoker-slot', release: '0.1.0' });
const slotLabels = slot.metadata.labels as Labels;

function podLabels(component: string): Labels {
  if (component === 'slot') return slotLabels;
  if (component === 'test') return objectOf(objects, 'Pod', 'stoker-test').metadata.labels ?? {};
  return objectOf(objects, 'Deployment', `stoker-${component}`).spec.template.metadata.labels;
}

/** Components whose Pods a selector finds. */
function findSelected(selector: Labels): string[] {
  return ['controller', 'router', 'test', 'slot'].filter((component) =>
    Object.entries(selector).every(([key, value]) => podLabels(component)[key] === value),
  );
}

function podSpecs(): [string, RenderedObject['spec']][] {
  return objects.flatMap(({ kind, metadata, spec }): [string, RenderedObject['spec']][] => {
    if (kind === 'Deployment') return [[metadata.name, spec.template.spec]];
    return kind === 'Pod' ? [[metadata.name, spec]] : [];
  });
}

/** What the controller makes for the Pool of what the chart tells it. */
function renderPolicyOfPool(rendered: readonly RenderedObject[]): RenderedObject {
  const { env } = objectOf(rendered, 'Deployment', 'stoker-controller').spec.template.spec.containers[0];
  const told = (variable: string) => env.find(({ name }: { name: string }) => name === variable).value as string;
  const releaseLabels = Object.fromEntries(
    told('STOKER_RELEASE_LABELS')
      .split(',')
      .map((label) => label.split('=')),
  );
  const variables = ['STOKER_DNS_TO', 'STOKER_DNS_PORTS'].map((name) => [name, told(name)]);
  const { dnsTo = [], dnsPorts = [] } = parseSettings('controller', {}, Object.fromEntries(variables));
  return renderNetworkPolicy(pool, { linkPort: 8083, releaseLabels, dnsTo, dnsPorts }) as unknown as RenderedObject;
}

const policyOfPool = renderPolicyOfPool(objects);

interface Egress {
  readonly ports: readonly { readonly port: number; readonly protocol: string }[];
  readonly to?: readonly object[];
}

/** The one rule of a policy that leads to this port. */
function egressTo(policy: RenderedObject, port: number): Egress {
  const found = (policy.spec.egress as Egress[]).filter(({ ports }) => ports.some((one) => one.port === port));
  assert.equal(found.length, 1, `${policy.metadata.name} has one rule for port ${port}`);
  return found[0] ?? assert.fail();
}

describe('the Pods of the chart', () => {
  it('keep to the level restricted, with a read-only root', () => {
    assert.equal(podSpecs().length, 3);
    for (const [name, spec] of podSpecs()) {
      assert.equal(spec.securityContext.runAsNonRoot, true, name);
      assert.equal(spec.securityContext.seccompProfile.type, 'RuntimeDefault', name);
      for (const { securityContext, resources } of spec.containers) {
        assert.equal(securityContext.allowPrivilegeEscalation, false, name);
        assert.equal(securityContext.readOnlyRootFilesystem, true, name);
        assert.deepEqual(securityContext.capabilities, { drop: ['ALL'] }, name);
        assert.ok(resources.requests.memory !== undefined && resources.limits.memory !== undefined, name);
      }
    }
  });

  it('mount a token of the API server only where one is used', () => {
    const mounted = podSpecs().filter(([, spec]) => spec.automountServiceAccountToken !== false);
    assert.deepEqual(mounted.map(([name]) => name).sort(), ['stoker-controller', 'stoker-test']);
    for (const account of objects.filter(({ kind }) => kind === 'ServiceAccount')) {
      assert.equal(account.automountServiceAccountToken, false, account.metadata.name);
    }
  });

  for (const process of ['controller', 'router'] as const satisfies ProcessName[]) {
    it(`give the ${process} only variables that it takes, with values that it accepts`, () => {
      const [container] = objectOf(objects, 'Deployment', `stoker-${process}`).spec.template.spec.containers;
      const known = new Set<string>(settingsOf(process).map(([, setting]) => setting.variable));
      const variables = container.env.map(({ name }: { name: string }) => name);
      assert.equal(new Set(variables).size, variables.length);
      for (const name of variables) assert.ok(known.has(name), `${name} is a setting of the ${process}`);
      const told: Readonly<Record<string, string>> = { STOKER_POD_IP: '10.0.0.7' };
      const values = container.env.map(({ name, value }: { name: string; value?: string }) => [
        name,
        value ?? told[name] ?? 'llm',
      ]);
      parseSettings(process, {}, Object.fromEntries(values));
      assert.deepEqual(container.command, ['stoker', process]);
    });
  }

  it('use the ports that the programs listen on', () => {
    const portsOf = (name: string) =>
      objectOf(objects, 'Deployment', name).spec.template.spec.containers[0].ports.map(
        ({ name: port, containerPort }: { name: string; containerPort: number }) => [port, containerPort],
      );
    const defaults = (process: ProcessName) => parseSettings(process, {}, {});
    assert.deepEqual(portsOf('stoker-router'), [
      ['http', defaults('router').port],
      ['admin', defaults('router').adminPort],
    ]);
    assert.deepEqual(portsOf('stoker-controller'), [
      ['link', defaults('controller').linkPort],
      ['admin', defaults('controller').adminPort],
    ]);
  });

  it('let a router that goes finish what runs, and end before the kubelet ends it', () => {
    const graceOf = (set: readonly string[]) => {
      const { terminationGracePeriodSeconds, containers } = objectOf(
        renderChart({ set }),
        'Deployment',
        'stoker-router',
      ).spec.template.spec;
      const [{ env, lifecycle }] = containers;
      const { value } = env.find(({ name }: { name: string }) => name === 'STOKER_DRAIN_SECONDS');
      const { stopMsMax } = routerPart(parseSettings('router', {}, { STOKER_DRAIN_SECONDS: value }));
      const sleepSeconds = lifecycle?.preStop.sleep.seconds ?? 0;
      const leftMs = 1000 * (terminationGracePeriodSeconds - sleepSeconds) - stopMsMax;
      assert.ok(leftMs > 0, `${terminationGracePeriodSeconds} s of grace are enough`);
      return Number(value);
    };
    assert.equal(graceOf([]), 110);
    assert.equal(graceOf(['router.terminationGracePeriodSeconds=3600', 'router.preStopSleepSeconds=0']), 3595);
    assert.equal(graceOf(['router.terminationGracePeriodSeconds=9']), 0);
  });

  it('show the router a token for the link, and no other, beside what the link is trusted by', () => {
    const { volumes } = objectOf(objects, 'Deployment', 'stoker-router').spec.template.spec;
    const tokens = volumes.flatMap(({ projected }: { projected?: { sources: object[] } }) => projected?.sources ?? []);
    assert.deepEqual(tokens, [
      { serviceAccountToken: { audience: LINK_AUDIENCE, expirationSeconds: 3600, path: 'token' } },
      { configMap: { name: LINK_CA_CONFIG_MAP, items: [{ key: LINK_CA_KEY, path: LINK_CA_KEY }] } },
    ]);
  });

  it('run as the accounts that the controller expects', () => {
    const accountOf = (name: string) => objectOf(objects, 'Deployment', name).spec.template.spec.serviceAccountName;
    assert.equal(accountOf('stoker-router'), 'stoker-router');
    assert.equal(accountOf('stoker-controller'), 'stoker-controller');
    objectOf(objects, 'ServiceAccount', slot.spec.serviceAccountName ?? '');
  });
});

describe('the selectors of the chart', () => {
  it('of Services, Deployments and disruption budgets find one component', () => {
    const table: readonly (readonly [string, string, string])[] = [
      ['Service', 'stoker', 'router'],
      ['Service', 'stoker-router-metrics', 'router'],
      ['Service', 'stoker-controller-metrics', 'controller'],
      ['Deployment', 'stoker-router', 'router'],
      ['Deployment', 'stoker-controller', 'controller'],
      ['PodDisruptionBudget', 'stoker-router', 'router'],
      ['PodDisruptionBudget', 'stoker-controller', 'controller'],
    ];
    for (const [kind, name, component] of table) {
      const { selector } = objectOf(objects, kind, name).spec;
      assert.deepEqual(findSelected(selector.matchLabels ?? selector), [component], `${kind} ${name}`);
    }
    assert.equal(objectOf(objects, 'Service', 'stoker-link').spec.selector, undefined);
  });

  it('of network policies let in who dials, and nobody else', () => {
    // With what the controller writes for the Pool.
    const all = [...objects, policyOfPool];
    const entering = (component: string, port: string | number): string[] => {
      const policies = all.filter(
        ({ kind, spec }) => kind === 'NetworkPolicy' && findSelected(spec.podSelector.matchLabels).includes(component),
      );
      assert.equal(policies.length, component === 'slot' ? 2 : 1, component);
      const rules = policies
        .flatMap(({ spec }) => spec.ingress)
        .filter((rule: { ports: { port: string | number }[] }) => rule.ports.some((one) => one.port === port));
      return rules.flatMap((rule: { from?: { podSelector: { matchLabels: Labels } }[] }) =>
        rule.from === undefined
          ? ['everybody']
          : rule.from.flatMap(({ podSelector }) => findSelected(podSelector.matchLabels)),
      );
    };
    assert.deepEqual(entering('controller', 'link'), ['router', 'slot']);
    assert.deepEqual(entering('slot', 8000), ['router']);
    assert.deepEqual(entering('slot', 8001), ['everybody']);
    assert.deepEqual(entering('router', 'http'), ['everybody']);
    for (const component of ['controller', 'router']) assert.deepEqual(entering(component, 'admin'), ['everybody']);
  });

  it('of network policies let a slot out to the controller and to names alone', () => {
    assert.deepEqual(objectOf(objects, 'NetworkPolicy', 'stoker-slot-metrics').spec.egress, undefined);
    const reached = (policyOfPool.spec.egress as Egress[]).map(({ ports, to = ['everybody'] }) => [
      ...ports.map(({ port }) => port),
      ...to.flatMap((peer) =>
        typeof peer === 'object' && 'podSelector' in peer
          ? findSelected((peer.podSelector as { matchLabels: Labels }).matchLabels)
          : [peer],
      ),
    ]);
    assert.deepEqual(reached, [
      [53, 53, { namespaceSelector: {} }],
      [8083, 'controller'],
    ]);
  });

  it('of network policies let everybody ask for names in the cluster, or where the values say', () => {
    const resolver = [{ namespaceSelector: {} }, { ipBlock: { cidr: '169.254.20.10/32' } }];
    const table: readonly (readonly [readonly string[], object[] | undefined])[] = [
      [[], [{ namespaceSelector: {} }]],
      [[`networkPolicy.dnsTo=${JSON.stringify(resolver)}`], resolver],
      [['networkPolicy.dnsTo=[]'], undefined],
    ];
    for (const [setJson, to] of table) {
      const rendered = renderChart({ setJson });
      const own = ['controller', 'router', 'stagers'].map((name) =>
        objectOf(rendered, 'NetworkPolicy', `stoker-${name}`),
      );
      for (const policy of [...own, renderPolicyOfPool(rendered)]) {
        const rule = egressTo(policy, 53);
        assert.deepEqual(rule.to, to, policy.metadata.name);
        assert.deepEqual(
          rule.ports.map(({ protocol }) => protocol),
          ['UDP', 'TCP'],
        );
      }
    }
  });

  it('of network policies let names be asked for on the ports that the values say', () => {
    const rendered = renderChart({ setJson: ['networkPolicy.dnsPorts=[53,5353]'] });
    const own = ['controller', 'router', 'stagers'].map((name) =>
      objectOf(rendered, 'NetworkPolicy', `stoker-${name}`),
    );
    for (const policy of [...own, renderPolicyOfPool(rendered)]) {
      const ports = egressTo(policy, 5353).ports.map(({ port, protocol }) => `${port}/${protocol}`);
      assert.deepEqual(ports, ['53/UDP', '53/TCP', '5353/UDP', '5353/TCP'], policy.metadata.name);
    }
  });

  it('of network policies let the router, and it alone, out to remote models', () => {
    const to = [{ ipBlock: { cidr: '203.0.113.0/24' } }];
    const routerOf = (setJson: readonly string[]) =>
      objectOf(renderChart({ setJson }), 'NetworkPolicy', 'stoker-router');
    assert.deepEqual(egressTo(routerOf([]), 443), { ports: [{ port: 443, protocol: 'TCP' }] });
    const narrow = routerOf([
      `networkPolicy.upstreamsTo=${JSON.stringify(to)}`,
      'networkPolicy.upstreamPorts=[443,8443]',
    ]);
    assert.deepEqual(egressTo(narrow, 8443), {
      ports: [443, 8443].map((port) => ({ port, protocol: 'TCP' })),
      to,
    });
    const closed = routerOf(['networkPolicy.upstreamPorts=[]']);
    assert.deepEqual(
      (closed.spec.egress as Egress[]).map(({ ports }) => ports[0]?.port),
      [53, 8083, 8000],
    );
  });
});

describe('helm test', () => {
  const testPodOf = (...set: readonly string[]) => {
    const rendered = renderChart({ set });
    const script = objectOf(rendered, 'ConfigMap', 'stoker-test').data;
    const role = rendered.find(({ kind, metadata }) => kind === 'Role' && metadata.name === 'stoker-test');
    return { spec: objectOf(rendered, 'Pod', 'stoker-test').spec, script, rules: role?.rules };
  };

  it('may by default try what it would make, look at the Lease, and nothing more', () => {
    const { spec, script, rules } = testPodOf();
    assert.deepEqual(rules, [
      { apiGroups: ['stoker.dev'], resources: ['pools', 'models'], verbs: ['create'] },
      {
        apiGroups: ['coordination.k8s.io'],
        resources: ['leases'],
        resourceNames: ['stoker-controller'],
        verbs: ['get'],
      },
    ]);
    assert.equal(spec.serviceAccountName, 'stoker-test');
    assert.equal(script['objects.yaml'], undefined);
  });

  it('has no token where nobody may make Roles', () => {
    const { spec, rules } = testPodOf('rbac.create=false');
    assert.equal(rules, undefined);
    assert.equal(spec.automountServiceAccountToken, false);
    assert.ok(!spec.containers[0].env.some(({ name }: { name: string }) => name.startsWith('KUBE')));
  });

  const weightsIn = (made: ManifestObject | undefined) => {
    assert.ok(made !== undefined);
    return (made.object as unknown as RenderedObject).spec.version.weights;
  };

  it('makes a model that the rules accept: simulated, or the tiny one of the image', () => {
    const weightsOf = (value: string) => {
      const { objects: made, errors } = parseManifest(testPodOf(value).script['objects.yaml'], value);
      assert.deepEqual(errors, []);
      assert.deepEqual(
        made.map(({ kind, object }) => `${kind} ${object.metadata.name}`),
        ['Pool helm-test', 'Model helm-test'],
      );
      return weightsIn(made[1]);
    };
    assert.deepEqual(Object.keys(weightsOf('tests.simulatedModel.enabled=true')), ['simulated']);
    const [demo] = parseManifest(readFileSync('manifests/kind/model.yaml', 'utf8'), 'kind').objects;
    assert.deepEqual(weightsOf('tests.demoModel.enabled=true'), weightsIn(demo));
  });
});

describe('stagers', () => {
  const rendered = renderChart({
    set: [
      'rbac.readSecrets={hub}',
      'networkPolicy.sourcePorts={443,9000}',
      'networkPolicy.sourcesTo[0].ipBlock.cidr=10.0.0.0/8',
    ],
  });

  it('have an account without a token, and may leave the cluster where the values say', () => {
    assert.equal(objectOf(rendered, 'ServiceAccount', 'stoker-stager').automountServiceAccountToken, false);
    const { spec } = objectOf(rendered, 'NetworkPolicy', 'stoker-stagers');
    assert.deepEqual(spec.podSelector.matchLabels, {
      'app.kubernetes.io/name': 'stoker',
      'app.kubernetes.io/component': 'stager',
    });
    const sources = {
      ports: [
        { port: 443, protocol: 'TCP' },
        { port: 9000, protocol: 'TCP' },
      ],
      to: [{ ipBlock: { cidr: '10.0.0.0/8' } }],
    };
    assert.deepEqual(spec.egress.at(-1), sources);
    assert.deepEqual(objectOf(rendered, 'NetworkPolicy', 'stoker-controller').spec.egress.at(-2), sources);
  });

  it('are asked by the controller alone how far they are', () => {
    const stagerPolicy = objectOf(rendered, 'NetworkPolicy', 'stoker-stagers').spec;
    const controllerPolicy = objectOf(rendered, 'NetworkPolicy', 'stoker-controller').spec;
    const ports = [{ port: PROGRESS_PORT, protocol: 'TCP' }];
    const peer = (selector: object) => [{ podSelector: selector }];
    assert.deepEqual(stagerPolicy.ingress, [{ ports, from: peer(controllerPolicy.podSelector) }]);
    assert.deepEqual(controllerPolicy.egress.at(-1), { ports, to: peer(stagerPolicy.podSelector) });
  });

  it('have their credentials read by name alone', () => {
    const { rules } = objectOf(rendered, 'Role', 'stoker-controller');
    const reading = rules.filter((rule: { resourceNames?: string[] }) => rule.resourceNames?.includes('hub') === true);
    assert.deepEqual(reading, [{ apiGroups: [''], resources: ['secrets'], resourceNames: ['hub'], verbs: ['get'] }]);
  });
});

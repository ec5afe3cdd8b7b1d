import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { parse } from 'yaml';
import { minorVersions } from '../../scripts/kube-schemas/schema-set.ts';
import { chartMatrix, everything, gateway, stokerMatrix } from '../support/chart-matrix.ts';
import { lintChart, objectOf, type RenderOptions, refusalOf, renderChart, renderText } from '../support/helm.ts';

describe('the charts', () => {
  for (const [name, options] of Object.entries(chartMatrix)) {
    // `helm lint` cannot be told of kinds that a cluster has beside those of Kubernetes.
    if (options.apiVersions !== undefined) continue;
    it(`${name} has no lint`, () => {
      for (const minor of minorVersions) {
        const { status, output } = lintChart({ ...options, kubeVersion: `${minor}.0` });
        assert.equal(status, 0, `Kubernetes ${minor}: ${output}`);
      }
    });
  }

  for (const [name, options] of Object.entries(stokerMatrix)) {
    for (const minor of minorVersions) {
      it(`renders with ${name} for ${minor}`, () => {
        const objects = renderChart({ ...options, kubeVersion: `${minor}.0` });
        const names = objects.map(({ apiVersion, kind, metadata }) => `${apiVersion} ${kind} ${metadata.name}`);
        assert.equal(new Set(names).size, names.length, 'no object is there twice');
        assert.ok(names.length >= 6);
      });
    }
  }

  it('render the same every time', () => {
    assert.equal(renderText(everything), renderText(everything));
  });

  it('use the asked registry, and the digest before the tag', () => {
    const image = (options: RenderOptions) =>
      objectOf(renderChart(options), 'Deployment', 'stoker-router').spec.template.spec.containers[0].image;
    const digest = `sha256:${'b'.repeat(64)}`;
    assert.equal(image({}), 'stoker.dev/stoker:0.1.0');
    assert.equal(image({ set: ['image.tag=0.2.0'] }), 'stoker.dev/stoker:0.2.0');
    assert.equal(image({ set: ['image.tag=0.2.0', `image.digest=${digest}`] }), `stoker.dev/stoker@${digest}`);
    assert.equal(image({ set: ['global.imageRegistry=r.example:5000'] }), 'r.example:5000/stoker:0.1.0');
  });

  it('leave the replicas to the autoscaler when there is one', () => {
    assert.equal(objectOf(renderChart(), 'Deployment', 'stoker-router').spec.replicas, 2);
    assert.equal('replicas' in objectOf(renderChart(everything), 'Deployment', 'stoker-router').spec, false);
  });

  it('give what is wanted beside, with templates rendered', () => {
    objectOf(renderChart(everything), 'ConfigMap', 'stoker-more');
  });

  it('say what is wrong with bad values', () => {
    const table: readonly (readonly [RenderOptions, RegExp])[] = [
      [{ set: ['router.replica=3'] }, /additional properties 'replica' not allowed/],
      [{ set: ['unknown=1'] }, /additional properties 'unknown' not allowed/],
      [{ set: ['router.replicas=0'] }, /\/router\/replicas/],
      [{ set: ['router.replicas=two'] }, /got string, want integer/],
      [{ set: ['image.digest=sha256:12'] }, /\/image\/digest/],
      [{ set: ['image.tag=latest'] }, /image\.tag cannot be latest: .* Name a release, or set image\.digest\./],
      [{ set: ['logLevel=verbose'] }, /value must be one of 'debug', 'info', 'warn', 'error', 'silent'/],
      [{ set: ['router.apiKeys.existingSecret='] }, /existingSecret/],
      [{ setJson: ['networkPolicy.dnsTo=[{"ipBlocks":{}}]'] }, /\/networkPolicy\/dnsTo\/0.*'ipBlocks' not allowed/],
      [{ set: ['networkPolicy.upstreamPorts={0}'] }, /\/networkPolicy\/upstreamPorts\/0/],
      [{ set: ['tests.demoModel.enabled=true', 'tests.simulatedModel.enabled=true'] }, /choose one of them/],
      [{ set: ['admissionPolicies.action=Warn'] }, /value must be one of 'Audit', 'Deny'/],
      [{ set: ['bindAddress=localhost'] }, /\/bindAddress/],
      [{ setJson: ['router.extraEnv=[{"name":"STOKER_HOST","value":"::"}]'] }, /\/router\/extraEnv\/0\/name/],
      [
        { setJson: ['router.podLabels={"app.kubernetes.io/name":"other"}'] },
        /invalid propertyName 'app\.kubernetes\.io\/name'/,
      ],
      [{ set: ['router.podDisruptionBudget.maxUnavailable=half'] }, /maxUnavailable/],
      [
        { set: ['monitoring.serviceMonitor.enabled=true'] },
        /monitoring\.serviceMonitor\.enabled needs the operator of Prometheus .* Install it first/,
      ],
      [{ set: ['httpRoute.enabled=true'] }, /httpRoute\.enabled needs the Gateway API/],
      [{ set: ['httpRoute.enabled=true'], apiVersions: [gateway] }, /at least one Gateway in httpRoute\.parentRefs/],
      [{ set: ['ingress.enabled=true'] }, /at least one entry in ingress\.hosts/],
      [{ set: ['router.preStopSleepSeconds=120'] }, /must be longer than router\.preStopSleepSeconds/],
      [
        { set: ['router.autoscaling.enabled=true', 'router.autoscaling.minReplicas=11'] },
        /larger than router\.autoscaling\.maxReplicas/,
      ],
      [{ set: ['router.autoscaling.enabled=true', 'router.autoscaling.targetCpuPercent=0'] }, /no figure to scale by/],
      [{ kubeVersion: '1.29.9' }, /requires kubeVersion: >=1\.30\.0-0/],
      [{ chart: 'stoker-crds', set: ['keeep=true'] }, /additional properties 'keeep' not allowed/],
      [{ chart: 'models', setJson: ['models={"Bad_Name":{}}'] }, /Bad_Name/],
    ];
    for (const [options, sentence] of table) assert.match(refusalOf(options), sentence);
  });
});

describe('stoker-crds', () => {
  const folder = new URL('../../charts/stoker-crds/definitions/', import.meta.url);

  it('installs the definitions as they were generated, and keeps them when it goes', () => {
    const objects = renderChart({ chart: 'stoker-crds' });
    const definitions = objects.filter(({ kind }) => kind === 'CustomResourceDefinition');
    const files = readdirSync(folder).filter((name) => name.endsWith('.yaml'));
    assert.equal(definitions.length, files.length);
    for (const file of files) {
      const written = parse(readFileSync(new URL(file, folder), 'utf8'));
      const installed = objectOf(definitions, 'CustomResourceDefinition', written.metadata.name);
      assert.deepEqual(installed.spec, written.spec);
      assert.equal(installed.metadata.annotations?.['helm.sh/resource-policy'], 'keep');
    }
  });

  it('installs what the chart stoker installs with crds.enabled', () => {
    for (const [own, there] of [
      [['commonLabels.team=ml'], ['crds.enabled=true', 'commonLabels.team=ml']],
      [
        ['keep=false', 'rbac.aggregate=false'],
        ['crds.enabled=true', 'crds.keep=false', 'crds.aggregate=false'],
      ],
    ]) {
      const asThere = (objects: ReturnType<typeof renderChart>) =>
        objects.map(({ metadata, ...rest }) => {
          const labels = { ...metadata.labels, 'helm.sh/chart': 'either' };
          return { ...rest, metadata: { ...metadata, labels } };
        });
      const whole = renderChart({ set: there ?? [] });
      const without = renderChart({ set: (there ?? []).filter((pair) => !pair.startsWith('crds.')) });
      const names = new Set(without.map(({ kind, metadata }) => `${kind} ${metadata.name}`));
      const kinds = whole.filter(({ kind, metadata }) => !names.has(`${kind} ${metadata.name}`));
      const byName = (objects: ReturnType<typeof renderChart>) =>
        asThere(objects).sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
      assert.ok(kinds.length >= 3);
      assert.deepEqual(byName(kinds), byName(renderChart({ chart: 'stoker-crds', set: own ?? [] })));
    }
  });

  it('lets them go when told so', () => {
    const objects = renderChart({ chart: 'stoker-crds', set: ['keep=false', 'rbac.aggregate=false'] });
    assert.ok(objects.every(({ metadata }) => metadata.annotations?.['helm.sh/resource-policy'] === undefined));
    assert.ok(objects.every(({ kind }) => kind === 'CustomResourceDefinition'));
  });

  it('does not put the definitions where helm never upgrades them', () => {
    assert.ok(!readdirSync(new URL('../', folder)).includes('crds'));
  });
});

describe('models', () => {
  it('makes Pools and Models with the spec as it was given', () => {
    const model = { servedName: 'm', version: { weights: { file: { path: '/m.gguf' } }, contextLength: 1_048_576 } };
    const objects = renderChart({
      chart: 'models',
      setJson: [`models=${JSON.stringify({ m: model })}`, 'pools={"gpus":{"slots":{"min":1,"max":4}}}'],
    });
    assert.deepEqual(objectOf(objects, 'Model', 'm').spec, model);
    assert.deepEqual(objectOf(objects, 'Pool', 'gpus').spec, { slots: { min: 1, max: 4 } });
  });
});

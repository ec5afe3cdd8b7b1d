// Every object that the charts render, with all the values of the matrix, is one that each supported version of Kubernetes
// knows: kinds, fields, types. By the schemas that Kubernetes publishes; rules that a server has in code alone are the
// business of the cluster tests.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { type MinorVersion, minorVersions } from '../../scripts/kube-schemas/schema-set.ts';
import { chartMatrix } from '../support/chart-matrix.ts';
import { objectOf, type RenderedObject, renderChart, renderText } from '../support/helm.ts';
import { type KubeJudge, loadKubeJudge } from '../support/kube-schemas.ts';

const judges = new Map<MinorVersion, KubeJudge>(minorVersions.map((minor) => [minor, loadKubeJudge(minor)]));

function judgeOf(minor: MinorVersion): KubeJudge {
  const judge = judges.get(minor);
  assert.ok(judge !== undefined);
  return judge;
}

describe('what the charts render is what Kubernetes knows', () => {
  for (const minor of minorVersions) {
    it(`of ${minor}`, (t) => {
      const judge = judgeOf(minor);
      const objects = Object.values(chartMatrix).flatMap((options) =>
        renderChart({ ...options, kubeVersion: `${minor}.0` }),
      );
      const judgements = objects.map((object) => judge(object));
      assert.deepEqual([...new Set(judgements.flatMap(({ faults }) => faults))], []);
      const unjudged = judgements.flatMap((one) => one.unjudged ?? []);
      const judgedCount = objects.length - unjudged.length;
      assert.ok(judgedCount >= 150, `${judgedCount} objects are not all that there is`);
      t.diagnostic(
        `Kubernetes ${minor}: ${judgedCount} objects judged, ${unjudged.length} skipped, which are not of Kubernetes: ${[...new Set(unjudged)].sort().join(', ')}`,
      );
    });
  }
});

describe('what the charts render is YAML that everybody reads the same', () => {
  const read = (text: string, version: '1.1' | '1.2') =>
    parseAllDocuments(text, { version }).map((document) => document.toJS() as unknown);

  it('yes and on are text in our parser and true in that of Kubernetes', () => {
    assert.notDeepEqual(read('team: on', '1.1'), read('team: on', '1.2'));
  });

  for (const [name, options] of Object.entries(chartMatrix)) {
    it(name, () => {
      const text = renderText(options);
      assert.deepEqual(read(text, '1.1'), read(text, '1.2'));
    });
  }
});

describe('the schemas find what is wrong', () => {
  const objects = renderChart();
  const deployment = objectOf(objects, 'Deployment', 'stoker-router');
  const network = objects.find(({ kind }) => kind === 'NetworkPolicy');
  const definition = renderChart({ chart: 'stoker-crds' }).find(({ kind }) => kind === 'CustomResourceDefinition');

  const container = (changed: RenderedObject) => changed.spec.template.spec.containers[0];
  type Damage = readonly [RenderedObject | undefined, (copy: RenderedObject) => void, RegExp];
  const damages: Readonly<Record<string, Damage>> = {
    'an unknown field': [deployment, (copy) => (container(copy).imagePolicy = 'Never'), /unknown field .*imagePolicy$/],
    'a field at the wrong place': [
      deployment,
      (copy) => (copy.spec.containers = []),
      /unknown field spec\.containers$/,
    ],
    'an unknown field of the metadata': [
      deployment,
      (copy) => Object.assign(copy.metadata, { label: {} }),
      /unknown field metadata\.label$/,
    ],
    'a label that is a number': [
      deployment,
      (copy) => (copy.spec.template.metadata.labels.team = 7),
      /labels\.team.* must be of type string: "integer"/,
    ],
    'a number as text': [deployment, (copy) => (copy.spec.replicas = '2'), /must be of type integer: "string"/],
    'nothing where a map should be': [
      deployment,
      (copy) => (copy.spec.template.spec.nodeSelector = null),
      /nodeSelector in body must be of type object: "null"/,
    ],
    'a number that is too large': [deployment, (copy) => (copy.spec.replicas = 2 ** 40), /less than or equal to/],
    'a quantity with an unknown unit': [
      deployment,
      (copy) => (container(copy).resources.limits.memory = '1Gb'),
      /limits\.memory in body should match/,
    ],
    'a missing field': [deployment, (copy) => delete container(copy).name, /\.name: Required value/],
    'a variable that is there twice': [
      deployment,
      (copy) => container(copy).env.push(container(copy).env[0]),
      /env\[\d+\]: Duplicate value/,
    ],
    'a kind that is no more': [
      deployment,
      (copy) => Object.assign(copy, { apiVersion: 'extensions/v1beta1' }),
      /there is no such kind/,
    ],
    'a port of the wrong type': [
      network,
      (copy) => (copy.spec.ingress = [{ ports: [{ port: true }] }]),
      /must be of type integer or string: "boolean"/,
    ],
    'a misspelled keyword deep in a definition': [
      definition,
      (copy) => (copy.spec.versions[0].schema.openAPIV3Schema.properties.spec.maxLenght = 3),
      /unknown field .*maxLenght$/,
    ],
  };

  for (const [name, [object, damage, sentence]] of Object.entries(damages)) {
    it(name, () => {
      for (const minor of minorVersions) {
        assert.ok(object !== undefined);
        assert.deepEqual(judgeOf(minor)(object).faults, []);
        const copy = structuredClone(object);
        damage(copy);
        const { faults } = judgeOf(minor)(copy);
        assert.ok(
          faults.some((fault) => sentence.test(fault)),
          `Kubernetes ${minor} says: ${faults.join('; ')}`,
        );
      }
    });
  }

  it('a field that came with a later version', () => {
    const copy = structuredClone(deployment);
    container(copy).lifecycle = { stopSignal: 'SIGTERM' };
    const refusing = minorVersions.filter((minor) => judgeOf(minor)(copy).faults.length > 0);
    assert.deepEqual(refusing, ['1.30', '1.31', '1.32']);
  });
});

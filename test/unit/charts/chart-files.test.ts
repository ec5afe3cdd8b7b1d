// What holds of the charts without rendering them: one release number, values that are closed and documented, and
// alerts and graphs over metrics that exist.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { parse, stringify } from 'yaml';
import { parseManifest } from '../../../src/api/manifest.ts';
import { metricTable } from '../../../src/telemetry/metrics.ts';

const read = (path: string) => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');
const packageVersion = (JSON.parse(read('package.json')) as { version: string }).version;

interface Schema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: unknown;
}

type Values = Readonly<Record<string, unknown>>;

function isMap(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Paths of values that the schema does not list, and of listed ones that the values leave out. */
function findStrangers(schema: Schema, values: Values, path = ''): string[] {
  const listed = schema.properties ?? {};
  return [...new Set([...Object.keys(listed), ...Object.keys(values)])].flatMap((key) => {
    const here = `${path}/${key}`;
    const [one, value] = [listed[key], values[key]];
    if (one === undefined) return [`${here} is not in the schema`];
    if (!(key in values))
      return schema.additionalProperties === false && !optional.has(key) ? [`${here} has no default`] : [];
    return one.properties !== undefined && isMap(value) ? findStrangers(one, value, here) : [];
  });
}

/** Allowed by the schema without a default: what Kubernetes has none for, and what Helm itself gives to subcharts. */
const optional = new Set(['claims', 'global']);

function findOpen(schema: Schema, path = ''): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, one]) => {
    const here = `${path}/${key}`;
    const isOpen = one.properties !== undefined && one.additionalProperties !== false && here !== '/global';
    return [...(isOpen ? [here] : []), ...findOpen(one, here)];
  });
}

describe('the charts', () => {
  for (const chart of ['stoker', 'stoker-crds', 'models']) {
    it(`${chart} has the number of this release, and a lower bound for Kubernetes`, () => {
      const about = parse(read(`charts/${chart}/Chart.yaml`));
      assert.equal(about.appVersion, packageVersion);
      assert.equal(about.version, packageVersion);
      assert.equal(about.kubeVersion, '>=1.30.0-0');
    });

    it(`${chart} knows each of its values, and no others`, () => {
      const schema = JSON.parse(read(`charts/${chart}/values.schema.json`)) as Schema;
      assert.equal(schema.additionalProperties, false);
      assert.deepEqual(findOpen(schema), []);
      assert.deepEqual(findStrangers(schema, parse(read(`charts/${chart}/values.yaml`))), []);
    });
  }

  describe('what the chart tells a catalogue', () => {
    const { annotations } = parse(read('charts/stoker/Chart.yaml')) as {
      annotations: Readonly<Record<string, string>>;
    };
    const told = (key: string) =>
      parse(annotations[`artifacthub.io/${key}`] ?? '') as Readonly<Record<string, string>>[];

    it('are the images of this release, both of them', () => {
      const { image, slots } = parse(read('charts/stoker/values.yaml'));
      assert.deepEqual(
        told('images').map((one) => one.image),
        [image, slots.image].map(({ repository }) => `${image.registry}/${repository}:${packageVersion}`),
      );
    });

    it('are our kinds, with examples that the rules accept', () => {
      const definitions = new URL('../../../charts/stoker-crds/definitions/', import.meta.url);
      const named = readdirSync(definitions).map((name) => `${name.replace('.yaml', '')}.stoker.dev`);
      assert.deepEqual(
        told('crds')
          .map((one) => one.name)
          .sort(),
        named.sort(),
      );
      const text = (told('crdsExamples') as object[]).map((one) => stringify(one)).join('---\n');
      const { objects, errors } = parseManifest(text, 'Chart.yaml');
      assert.deepEqual(errors, []);
      assert.deepEqual(
        objects.map(({ kind }) => kind),
        ['Pool', 'Model'],
      );
    });

    it('are the changes, each of a kind that it knows', () => {
      assert.ok(told('changes').length > 0);
      for (const { kind = '', description = '' } of told('changes')) {
        assert.match(kind, /^(added|changed|deprecated|removed|fixed|security)$/);
        assert.match(description, /\.$/);
      }
    });
  });

  it('render without chance, time and cluster', () => {
    const folder = 'charts/stoker/templates/';
    const files = readdirSync(new URL(`../../../${folder}`, import.meta.url), { recursive: true, encoding: 'utf8' });
    const templates = files.filter((name) => /\.(yaml|tpl)$/.test(name));
    assert.ok(templates.length > 12);
    for (const name of templates) {
      assert.doesNotMatch(read(folder + name), /\b(rand[A-Z]\w*|now|lookup|uuidv4|genCA|genSelfSignedCert)\b/, name);
    }
  });
});

const metrics = Object.values(metricTable) as readonly {
  name: string;
  kind: string;
  labels: Readonly<Record<string, unknown>>;
}[];
/** Labels that the scraper adds. */
const scraped = new Set(['namespace', 'pod', 'component', 'pool', 'le']);

/** Every metric of a PromQL text, with the labels between its braces. */
function findSelectors(query: string): { name: string; labels: string[] }[] {
  return [...query.matchAll(/\b(stoker_\w+)(?:\{([^}]*)\})?/g)].map(([, name = '', inside = '']) => ({
    name,
    labels: [...inside.matchAll(/(\w+)(?:=~|!~|!=|=)/g)].map(([, label = '']) => label),
  }));
}

function requireKnown(query: string): void {
  const selectors = findSelectors(query);
  assert.ok(selectors.length > 0, query);
  for (const { name, labels } of selectors) {
    const metric = metrics.find((one) =>
      one.kind === 'histogram' ? new RegExp(`^${one.name}_(bucket|count|sum)$`).test(name) : one.name === name,
    );
    assert.ok(metric !== undefined, `${name} is a metric`);
    for (const label of labels) assert.ok(scraped.has(label) || label in metric.labels, `${name} has ${label}`);
  }
  const grouped = [...query.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list = '']) =>
    list.split(',').map((word) => word.trim()),
  );
  for (const label of grouped) {
    const isKnown = scraped.has(label) || metrics.some((metric) => label in metric.labels);
    assert.ok(isKnown, `${label} is a label in ${query}`);
  }
}

function requireListed(query: string): void {
  for (const [, name = '', label = '', words = ''] of query.matchAll(
    /\b(stoker_\w+)\{[^}]*?\b(outcome|role)=~?"([^"]*)"/g,
  )) {
    const values = metrics.find((one) => one.name === name)?.labels[label];
    assert.ok(Array.isArray(values));
    for (const word of words.split('|')) assert.ok(values.includes(word), `${name} has ${label}="${word}"`);
  }
}

describe('alerts and graphs', () => {
  interface Alert {
    readonly alert: string;
    readonly expr: string;
    readonly labels: { readonly severity: string };
    readonly annotations: Readonly<Record<'summary' | 'description', string>>;
  }
  const alerts = parse(read('charts/stoker/files/alerts.yaml')).groups.flatMap(
    ({ rules }: { rules: Alert[] }) => rules,
  ) as Alert[];

  it('ask for metrics and labels that exist', () => {
    assert.ok(alerts.length >= 6);
    for (const { expr } of alerts) {
      requireKnown(expr);
      requireListed(expr);
    }
    const dashboard = JSON.parse(read('charts/stoker/files/dashboard.json')) as {
      panels: { targets: { expr: string }[] }[];
    };
    const queries = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
    assert.ok(queries.length >= 12);
    for (const query of queries) requireKnown(query);
  });

  it('fire for what never happened, and for what happened once', () => {
    const counters = metrics.filter(({ kind }) => kind !== 'gauge').map(({ name }) => name);
    for (const { alert, expr } of alerts) {
      const text = expr.replaceAll(/\s+/g, ' ');
      // What lacks is no series, and not 0.
      for (const [, name = ''] of text.matchAll(/\b(?:rate|increase)\((stoker_\w+)[^)]*\)\)? *(?:==|<)/g)) {
        assert.fail(`${alert} asks whether ${name} stands still, which has no series before its first count`);
      }
      for (const [, name = ''] of text.matchAll(/\bincrease\((stoker_\w+)[^)]*\)\)? *> *0(?![.\d])/g)) {
        assert.match(text, new RegExp(`unless [^>]*${name}\\{[^}]*\\} offset`), `${alert} sees the first ${name}`);
      }
      for (const [, name = ''] of text.matchAll(/\babsent\((stoker_\w+)/g)) {
        assert.ok(!counters.includes(name), `${alert}: ${name} may lack where all is well`);
      }
    }
  });

  it('look at their own namespace, and say what to do', () => {
    for (const { alert, expr, labels, annotations } of alerts) {
      for (const { labels: used } of findSelectors(expr)) assert.ok(used.includes('namespace'), alert);
      assert.match(labels.severity, /^(warning|critical)$/);
      assert.match(annotations.summary, /\.$/, alert);
      assert.match(annotations.description, /\.$/, alert);
    }
  });
});

// Every helm command of the guides, as far as it goes without a cluster: the chart renders with the values it names, and
// the objects that other commands of the guides speak of are among them.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { findCommands, readGuides } from '../support/guide-blocks.ts';
import { helm, type RenderedObject, refusalOf, renderChart } from '../support/helm.ts';

interface HelmCommand {
  readonly verb: string;
  readonly chart: string;
  readonly flags: readonly string[];
}

const apiVersions = ['monitoring.coreos.com/v1', 'gateway.networking.k8s.io/v1'];
const commands = readGuides().flatMap((guide) => findCommands(guide).map((line) => ({ guide: guide.name, line })));

/** Splits as a shell does, as far as the guides go: words, and words in single quotes. */
function splitWords(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');
}

/** Undefined for commands of helm that take no chart. */
function parseHelm(line: string): HelmCommand | undefined {
  const [program, verb = '', ...words] = splitWords(line);
  if (program !== 'helm' || !['install', 'upgrade', 'template'].includes(verb)) return undefined;
  const chart = words.find((word) => word.startsWith('charts/'));
  assert.ok(chart !== undefined, line);
  const flags = words
    .slice(words.indexOf(chart) + 1)
    .filter((word) => !['--wait', '--reset-then-reuse-values'].includes(word));
  return { verb, chart, flags };
}

describe('the commands of the guides', () => {
  it('render the charts', () => {
    const parsed = commands.flatMap(({ line }) => parseHelm(line) ?? []);
    assert.ok(parsed.length >= 10);
    for (const { chart, flags } of parsed) {
      const kube = flags.includes('--kube-version') ? [] : ['--kube-version', '1.34.0'];
      const more = apiVersions.flatMap((version) => ['--api-versions', version]);
      const { status, output } = helm('template', 'stoker', chart, ...flags, ...kube, ...more);
      assert.equal(status, 0, `${chart} ${flags.join(' ')}: ${output}`);
    }
  });

  // What `--reuse-values` gives to a newer chart are the defaults of the older one: a map that came since is not there.
  it('upgrade with the defaults of the newer chart', () => {
    const asOfOlder = refusalOf({ setJson: ['networkPolicy=null'] });
    assert.match(asOfOlder, /nil pointer/);
    const upgrades = commands.filter(({ line }) => line.startsWith('helm upgrade stoker '));
    assert.ok(upgrades.length >= 5);
    for (const { guide, line } of upgrades) {
      assert.ok(splitWords(line).includes('--reset-then-reuse-values'), `${guide}: ${line}`);
    }
  });

  it('speak of Deployments, Services, Secrets and accounts that the chart has', () => {
    const objects = renderChart();
    const has = (kind: string, name: string) =>
      objects.some((object: RenderedObject) => object.kind.toLowerCase() === kind && object.metadata.name === name);
    const spoken = commands.flatMap(({ line }) =>
      [...line.matchAll(/\b(deployment|service)[ /]([a-z][a-z-]*)/g)].map(([, kind = '', name = '']) => ({
        line,
        kind,
        name,
      })),
    );
    assert.ok(spoken.length >= 1);
    for (const { line, kind, name } of spoken) assert.ok(has(kind, name), line);
    const parts = commands.flatMap(({ line }) => /app\.kubernetes\.io\/component=(\S+)/.exec(line)?.[1] ?? []);
    assert.deepEqual([...new Set(parts)].sort(), ['controller', 'router']);
    for (const part of parts) assert.ok(has('deployment', `stoker-${part}`), part);
    const accounts = commands.flatMap(({ line }) => /--serviceaccount=llm:(\S+)/.exec(line)?.[1] ?? []);
    assert.ok(accounts.length > 0);
    for (const name of accounts) assert.ok(has('serviceaccount', name), name);
  });

  it('render the values of manifests/kind', () => {
    const { status, output } = helm(
      'template',
      'stoker',
      'charts/stoker',
      '-f',
      'manifests/kind/values.yaml',
      '--kube-version',
      '1.34.0',
    );
    assert.equal(status, 0, output);
    assert.match(output, /imagePullPolicy: Never/);
    assert.match(output, /resourceName: stoker\.dev\/cpu/);
  });
});

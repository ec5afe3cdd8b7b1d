// Renders our charts with a real helm, without a cluster. Finds helm in the folder that STOKER_CLUSTER_TOOLS names, in
// .cache/cluster-tools, or in the PATH. Never talks to a cluster and never writes below charts/.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';

export interface RenderedObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  // biome-ignore lint/suspicious/noExplicitAny: a test reads whatever a chart wrote, of any kind.
  readonly [field: string]: any;
}

export interface RenderOptions {
  readonly chart?: string;
  /** As for --set. */
  readonly set?: readonly string[];
  readonly setJson?: readonly string[];
  readonly apiVersions?: readonly string[];
  readonly kubeVersion?: string;
  readonly namespace?: string;
}

const root = fileURLToPath(new URL('../../', import.meta.url));

function helmPath(): string {
  const folders = [
    process.env.STOKER_CLUSTER_TOOLS,
    join(root, '.cache/cluster-tools'),
    join(root, '.cache/cluster-tools/bin'),
    ...(process.env.PATH ?? '').split(delimiter),
  ];
  const found = folders
    .filter((folder) => folder !== undefined)
    .map((folder) => join(folder, 'helm'))
    .find(existsSync);
  assert.ok(
    found !== undefined,
    'There is no helm. Put it into the PATH, or name its folder with STOKER_CLUSTER_TOOLS.',
  );
  return found;
}

export function helm(...args: readonly string[]): { readonly status: number | null; readonly output: string } {
  const { status, stdout, stderr } = spawnSync(helmPath(), args, { cwd: root, encoding: 'utf8', timeout: 30_000 });
  return { status, output: status === 0 ? stdout : stderr };
}

/** What `helm lint` and `helm template` both understand. */
function flagsOf({ set = [], setJson = [], ...options }: RenderOptions): string[] {
  return [
    ...['--namespace', options.namespace ?? 'llm', '--kube-version', options.kubeVersion ?? '1.34.0'],
    ...set.flatMap((pair) => ['--set', pair]),
    ...setJson.flatMap((pair) => ['--set-json', pair]),
  ];
}

function argsOf(options: RenderOptions): string[] {
  const { apiVersions = [] } = options;
  return [
    ...['template', 'stoker', `charts/${options.chart ?? 'stoker'}`],
    ...flagsOf(options),
    ...apiVersions.flatMap((version) => ['--api-versions', version]),
  ];
}

export function lintChart(options: RenderOptions): ReturnType<typeof helm> {
  const { status, output } = helm('lint', '--strict', `charts/${options.chart ?? 'stoker'}`, ...flagsOf(options));
  return { status, output };
}

/** The text that helm renders. Fails the test with helm's own words when it does not. */
export function renderText(options: RenderOptions = {}): string {
  const { status, output } = helm(...argsOf(options));
  assert.equal(status, 0, output);
  return output;
}

/** The objects that helm renders. A key that is there twice fails the test, as it does at a server that applies. */
export function renderChart(options: RenderOptions = {}): RenderedObject[] {
  return parseAllDocuments(renderText(options)).flatMap((document) => {
    assert.deepEqual(document.errors, []);
    const object = document.toJS() as RenderedObject | null;
    return object === null ? [] : [object];
  });
}

/** What helm says when it refuses to render. Fails the test when it renders. */
export function refusalOf(options: RenderOptions): string {
  const { status, output } = helm(...argsOf(options));
  assert.notEqual(status, 0, 'helm rendered what it should refuse');
  return output;
}

export function objectOf(objects: readonly RenderedObject[], kind: string, name: string): RenderedObject {
  const found = objects.find((object) => object.kind === kind && object.metadata.name === name);
  assert.ok(found !== undefined, `there is a ${kind} ${name}`);
  return found;
}

// Builds the programs of the cluster tests from the Go module proxy, once, into .cache/cluster-tools, as any Go program
// is built: `node scripts/cluster-tools/build.ts [kubectl|api|all]`. Prints the folder; all else goes to standard error. Each
// program appears under its name only when it is whole, so an interrupted build goes on where it was.
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheFolder, findTools, refuseOldEtcd } from './find.ts';
import { installable, kubernetesPrograms, type Tool, type ToolSet, toolSets, versions } from './versions.ts';

const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;
const environment: NodeJS.ProcessEnv = {
  ...process.env,
  CGO_ENABLED: '0',
  GOFLAGS: '-mod=mod',
  GOTOOLCHAIN: 'auto',
  GOWORK: 'off',
};

function say(text: string): void {
  process.stderr.write(`cluster-tools: ${text}\n`);
}

/** Runs a program to its end and returns what it printed. Throws with what it said when it fails. */
function run(program: string, args: readonly string[], folder: string, changes: NodeJS.ProcessEnv = {}): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    cwd: folder,
    env: { ...environment, ...changes },
    encoding: 'utf8',
    maxBuffer: OUTPUT_BYTES_MAX,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if (error !== undefined) throw new Error(`${program} cannot be run: ${error.message}`);
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${status}:\n${stderr.slice(-4000)}`);
  return stdout;
}

/** Go comes from the machine, or from its distribution. */
function ensureGo(): string {
  const script = fileURLToPath(new URL('../ensure-go.sh', import.meta.url));
  const { status, stdout } = spawnSync(script, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  if (status === 0) return stdout.trim();
  throw new Error(
    'There is no Go to build with. Install Go 1.21 or newer, or name a folder with ready programs in STOKER_CLUSTER_TOOLS.',
  );
}

/** Builds one main package into the cache. The last step is a rename, so a half-written file never has the name. */
function build(tool: Tool, module: string, main: string, flags: string): void {
  const startedMs = performance.now();
  const partial = join(cacheFolder, `.${tool}.partial`);
  run('go', ['build', '-ldflags', flags, '-o', partial, main], module);
  renameSync(partial, join(cacheFolder, tool));
  say(`built ${tool} in ${Math.round((performance.now() - startedMs) / 1000)} s`);
}

interface ModuleInfo {
  readonly Dir: string;
  readonly GoMod: string;
}

function download(module: string, folder: string): ModuleInfo {
  return JSON.parse(run('go', ['mod', 'download', '-json', module], folder)) as ModuleInfo;
}

/** A module of our own that imports the main packages: neither Kubernetes nor etcd can be `go install`ed, because their
 * go.mod replaces modules by folders of their own tree. */
function makeModule(folder: string, imports: readonly string[]): void {
  mkdirSync(folder);
  run('go', ['mod', 'init', 'stoker.example/cluster-tools'], folder);
  const lines = imports.map((path) => `\t_ "${path}"`).join('\n');
  writeFileSync(join(folder, 'tools.go'), `//go:build tools\n\npackage tools\n\nimport (\n${lines}\n)\n`);
}

function buildKubernetes(tools: readonly Tool[], workspace: string): void {
  const { kubernetes } = versions;
  const folder = join(workspace, 'kubernetes');
  makeModule(
    folder,
    tools.map((tool) => `k8s.io/kubernetes/cmd/${tool}`),
  );
  run('go', ['mod', 'edit', '-require', `k8s.io/kubernetes@v${kubernetes}`], folder);
  const replaced = readFileSync(download(`k8s.io/kubernetes@v${kubernetes}`, folder).GoMod, 'utf8');
  // Each staging module is published as v0.<minor>.<patch>.
  const published = `v0.${kubernetes.replace(/^1\./, '')}`;
  for (const [, name] of replaced.matchAll(/^\s*(k8s\.io\/\S+) => \.\/staging\//gm)) {
    run('go', ['mod', 'edit', '-replace', `${name}=${name}@${published}`], folder);
  }
  run('go', ['mod', 'tidy'], folder);
  const [, minor] = kubernetes.split('.');
  const about = 'k8s.io/component-base/version';
  const flags = `-s -w -X ${about}.gitVersion=v${kubernetes} -X ${about}.gitMajor=1 -X ${about}.gitMinor=${minor}`;
  for (const tool of tools) build(tool, folder, `k8s.io/kubernetes/cmd/${tool}`, flags);
}

function buildEtcd(workspace: string): void {
  const folder = join(workspace, 'etcd');
  makeModule(folder, ['go.etcd.io/etcd/server/v3']);
  run('go', ['get', `go.etcd.io/etcd/server/v3@v${versions.etcd}`], folder);
  run('go', ['mod', 'tidy'], folder);
  build('etcd', folder, 'go.etcd.io/etcd/server/v3', '-s -w');
}

/** Built through `go install`, which takes the module's own go.mod as it is. */
function install(tool: Tool, module: string, workspace: string): void {
  const startedMs = performance.now();
  const bin = join(workspace, 'bin');
  run('go', ['install', '-ldflags', '-s -w', module], workspace, { GOBIN: bin, GOFLAGS: '' });
  const partial = join(cacheFolder, `.${tool}.partial`);
  copyFileSync(join(bin, tool), partial);
  renameSync(partial, join(cacheFolder, tool));
  say(`built ${tool} in ${Math.round((performance.now() - startedMs) / 1000)} s`);
}

/** kwok does nothing without its stages. They are in its module as folders of a kustomization. */
function collectKwokStages(workspace: string): void {
  const { Dir: module } = download(`sigs.k8s.io/kwok@v${versions.kwok}`, workspace);
  const folders = ['node/fast', 'node/heartbeat-with-lease', 'pod/fast'].map((path) =>
    join(module, 'kustomize/stage', path),
  );
  const files = folders.flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => name.endsWith('.yaml') && basename(name) !== 'kustomization.yaml')
      .map((name) => readFileSync(join(folder, name), 'utf8')),
  );
  writeFileSync(join(cacheFolder, 'kwok-stages.yaml'), files.map((text) => `---\n${text}`).join(''));
}

function buildMissing(missing: readonly Tool[]): void {
  const workspace = mkdtempSync(join(tmpdir(), 'stoker-tools-'));
  try {
    const programs = kubernetesPrograms.filter((tool) => missing.includes(tool));
    if (missing.includes('etcd')) buildEtcd(workspace);
    if (programs.length > 0) buildKubernetes(programs, workspace);
    for (const [tool, module] of Object.entries(installable) as [Tool, string][]) {
      if (missing.includes(tool)) install(tool, module, workspace);
    }
    if (missing.includes('kwok-stages.yaml')) collectKwokStages(workspace);
  } finally {
    rmSync(workspace, { recursive: true, force: true });
  }
}

function ensure(set: ToolSet): string {
  const found = findTools(set, process.env);
  if (found.missing.length === 0) return found.folder;
  if (found.folder !== cacheFolder) {
    throw new Error(
      `STOKER_CLUSTER_TOOLS names ${found.folder}, which lacks ${found.missing.join(', ')}. Unset it to have everything built.`,
    );
  }
  environment.PATH = [ensureGo(), process.env.PATH ?? ''].join(delimiter);
  say(`building ${found.missing.join(', ')} into .cache/cluster-tools (some minutes, once)`);
  mkdirSync(cacheFolder, { recursive: true });
  buildMissing(found.missing);
  return cacheFolder;
}

const [asked = 'api'] = process.argv.slice(2);
try {
  if (!Object.hasOwn(toolSets, asked))
    throw new Error(`"${asked}" is no set of programs: it is kubectl, helm, api or all`);
  const folder = ensure(asked as ToolSet);
  if (existsSync(join(folder, 'etcd'))) refuseOldEtcd(folder);
  process.stdout.write(`${folder}\n`);
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}

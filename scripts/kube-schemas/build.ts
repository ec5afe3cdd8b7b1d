// Makes the schemas of all supported versions of Kubernetes, once, into .cache/kube-schemas, from the OpenAPI documents in
// the module of Kubernetes: `node scripts/kube-schemas/build.ts`. Each file appears under its name only when it is whole.
// Prints the folder; all else goes to standard error.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { convertDocuments, type OpenApiDocument } from './convert.ts';
import { type MinorVersion, minorVersions, schemaFile, schemaFolder, schemaReleases } from './schema-set.ts';

const DOWNLOAD_MS_MAX = 300_000;

function say(text: string): void {
  process.stderr.write(`kube-schemas: ${text}\n`);
}

function findGo(): string {
  const script = fileURLToPath(new URL('../ensure-go.sh', import.meta.url));
  const { status, stdout } = spawnSync(script, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  if (status === 0) return stdout.trim();
  throw new Error('There is no Go to fetch the schemas with. Install Go 1.21 or newer.');
}

/** The folder of the module in Go's own cache, fetched and verified by Go where it is not there. */
function download(module: string, go: string): string {
  // Outside the repository, so that no go.mod of anybody is asked.
  const { status, stdout, stderr, error } = spawnSync(join(go, 'go'), ['mod', 'download', '-json', module], {
    cwd: tmpdir(),
    env: { ...process.env, GOFLAGS: '', GOWORK: 'off', PATH: [go, process.env.PATH ?? ''].join(delimiter) },
    encoding: 'utf8',
    timeout: DOWNLOAD_MS_MAX,
  });
  if (error !== undefined) throw new Error(`go cannot be run, or took too long: ${error.message}`);
  if (status !== 0) throw new Error(`go mod download ${module} ended with ${status}:\n${stdout}${stderr}`);
  return (JSON.parse(stdout) as { Dir: string }).Dir;
}

function make(minor: MinorVersion, go: string): void {
  const folder = join(download(`k8s.io/kubernetes@v${schemaReleases[minor]}`, go), 'api/openapi-spec/v3');
  const documents = readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as OpenApiDocument);
  const set = convertDocuments(documents);
  const partial = `${schemaFile(minor)}.partial`;
  writeFileSync(partial, JSON.stringify(set));
  renameSync(partial, schemaFile(minor));
  say(`made the schemas of ${Object.keys(set.kinds).length} kinds of ${schemaReleases[minor]}`);
}

try {
  mkdirSync(schemaFolder, { recursive: true });
  const missing = minorVersions.filter((minor) => !existsSync(schemaFile(minor)));
  const go = missing.length === 0 ? '' : findGo();
  for (const minor of missing) make(minor, go);
  process.stdout.write(`${schemaFolder}\n`);
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}

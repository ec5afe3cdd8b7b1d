// Runs the end-to-end tests: `npm run test:e2e [-- FILE…]`. Installs and builds what is not there yet: packages of the
// distribution, the programs of a cluster, our images. Uses the cluster that STOKER_E2E_KUBECONFIG names, when there is
// one. Exits as the tests do.
import { spawn, spawnSync } from 'node:child_process';
import { delimiter } from 'node:path';
import { fileURLToPath } from 'node:url';

const repository = fileURLToPath(new URL('..', import.meta.url));
const ALL_FILES = 'test/e2e/**/*.test.ts';
const TEST_MS_MAX = 900_000;

/** What it printed; undefined when it failed, which it has said by then. */
function prepare(program: string, ...args: string[]): string | undefined {
  const { status, stdout } = spawnSync(program, args, {
    cwd: repository,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return status === 0 ? stdout.trim() : undefined;
}

function refuse(why: string): number {
  process.stderr.write(`test-e2e: ${why}\n`);
  return 1;
}

async function main(): Promise<number> {
  const isGiven = Boolean(process.env.STOKER_E2E_KUBECONFIG);
  if (!isGiven && process.getuid?.() !== 0) {
    return refuse(
      'a node needs root. Run it as root, or name a cluster in STOKER_E2E_KUBECONFIG (docs/guides/kind.md).',
    );
  }
  if (!isGiven && prepare('scripts/ensure-node-packages.sh') === undefined) return 1;
  const tools = prepare(process.execPath, 'scripts/cluster-tools/build.ts', 'all');
  const go = isGiven ? '' : prepare('scripts/ensure-go.sh');
  if (tools === undefined || go === undefined) return 1;
  const files = process.argv.slice(2);
  const args = ['--test', '--test-concurrency=1', `--test-timeout=${TEST_MS_MAX}`, '--test-reporter=spec'];
  const child = spawn(process.execPath, [...args, ...(files.length === 0 ? [ALL_FILES] : files)], {
    cwd: repository,
    stdio: 'inherit',
    env: { ...process.env, PATH: [tools, process.env.PATH ?? '', go].join(delimiter) },
  });
  // Ctrl-C reaches the tests, too. Here it is only waited for their end.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  return new Promise((resolve) => child.once('close', (code) => resolve(code ?? 1)));
}

process.exitCode = await main();

// Runs the cluster tests: `npm run test:cluster [-- FILE…]`. Builds the programs when they are not there, starts one control
// plane for all files (or uses the cluster that STOKER_CLUSTER_KUBECONFIG names), and ends it afterwards. Exits as the
// tests do.
import { spawn, spawnSync } from 'node:child_process';
import { delimiter } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startTestPlane } from '../test/support/cluster/test-cluster.ts';

const repository = fileURLToPath(new URL('..', import.meta.url));
const ALL_FILES = 'test/cluster/**/*.test.ts';
/** A soak says how long it is. */
const TEST_MS_MAX = 120_000 + Number(process.env.STOKER_SOAK_SECONDS ?? 0) * 1000;

/** The folder of the programs; undefined when they could not be built, which has been said by then. */
function buildTools(): string | undefined {
  // helm renders the policies of the chart.
  const [folder] = ['api', 'helm'].map((set) => {
    const { status, stdout } = spawnSync(process.execPath, ['scripts/cluster-tools/build.ts', set], {
      cwd: repository,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    return status === 0 ? stdout.trim() : undefined;
  });
  return folder;
}

function runTests(kubeconfig: string, tools: string): Promise<number> {
  const files = process.argv.slice(2);
  const args = ['--test', '--test-concurrency=1', `--test-timeout=${TEST_MS_MAX}`, '--test-reporter=spec'];
  const child = spawn(process.execPath, [...args, ...(files.length === 0 ? [ALL_FILES] : files)], {
    cwd: repository,
    stdio: 'inherit',
    // The kubectl of the cluster's own version.
    env: {
      ...process.env,
      STOKER_CLUSTER_KUBECONFIG: kubeconfig,
      PATH: [tools, process.env.PATH ?? ''].join(delimiter),
    },
  });
  // Ctrl-C reaches the tests, too. Here it is only waited for their end.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  return new Promise((resolve) => child.once('close', (code) => resolve(code ?? 1)));
}

async function main(): Promise<number> {
  const tools = buildTools();
  if (tools === undefined) return 1;
  const { STOKER_CLUSTER_KUBECONFIG: given } = process.env;
  if (given) return runTests(given, tools);
  const plane = await startTestPlane();
  try {
    return await runTests(plane.kubeconfig, tools);
  } finally {
    await plane.stop();
  }
}

process.exitCode = await main();

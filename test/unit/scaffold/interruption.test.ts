import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { until } from '../../support/until.ts';

const folder = mkdtempSync(join(tmpdir(), 'stoker-interrupted-'));
const fixture = join(import.meta.dirname, '../../support/cluster/interrupted-fixture.ts');
after(() => rmSync(folder, { recursive: true, force: true }));

/** Under the runner, as the tests on a real node run. */
async function startUnderRunner(name: string): Promise<{ runner: ChildProcess; file: string; pid: number }> {
  const file = join(folder, name);
  const { NODE_TEST_CONTEXT: _, ...environment } = process.env;
  const env = { ...environment, STOKER_TEST_FILE: file };
  const runner = spawn(process.execPath, ['--test', fixture], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  runner.stdout.resume();
  runner.stderr.resume();
  await until(() => existsSync(file) && /^pid \d+$/.test(readFileSync(file, 'utf8')), 'the test to run');
  return { runner, file, pid: Number(readFileSync(file, 'utf8').slice(4)) };
}

for (const signal of ['SIGTERM', 'SIGINT', 'SIGKILL'] as const) {
  test(`a runner that gets ${signal}: what its test had started is taken down, and the process ends`, async () => {
    const { runner, file, pid } = await startUnderRunner(signal);
    runner.kill(signal);
    await until(() => readFileSync(file, 'utf8') === 'taken down', 'it to be taken down');
    await until(() => !existsSync(`/proc/${pid}`), 'its process to end');
  });
}

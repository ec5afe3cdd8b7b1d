// Ctrl-C at any moment of the start of `stoker up`: it ends soon, nothing is left, and the next start has the folder.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { descendants, isRunning } from '../support/process-tree.ts';
import { root } from '../support/running-stoker.ts';
import { until } from '../support/until.ts';

const base = mkdtempSync(join(tmpdir(), 'stoker-interrupt-'));
after(() => rmSync(base, { recursive: true, force: true }));

const FREE_PORTS = ['--port', '0', '--admin-port', '0', '--api-port', '0', '--link-port', '0'];

/** Files that show how far a start has come, in their order. */
const milestones = ['lock', 'logs/local-api.log', 'private/node.kubeconfig', 'logs/controller.log', 'logs/router.log'];

for (const milestone of milestones) {
  test(`an interrupt when ${milestone} is there`, { timeout: 60_000 }, async () => {
    const dataDir = join(base, milestone.replaceAll('/', '-'));
    const child = spawn(process.execPath, ['bin/stoker.js', 'up', '--data-dir', dataDir, ...FREE_PORTS], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const exited = once(child, 'exit');
    let printed = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        printed += text;
      });
    }
    await until(() => existsSync(join(dataDir, milestone)), milestone, 30_000);
    const family = descendants(child.pid ?? -1);
    child.kill('SIGINT');
    const [code] = await exited;
    assert.equal(code, 0, printed);
    await until(() => !family.some(isRunning), 'every process of it is gone');
    assert.doesNotMatch(printed, /stoker up:|Error/);
    assert.ok(!existsSync(join(dataDir, 'lock')), 'the folder is free again');
  });
}

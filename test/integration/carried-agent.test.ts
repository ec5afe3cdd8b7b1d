// The scripts that bring the agent into an engine's image: run for real, with a program in the place of ours.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { root } from '../support/running-stoker.ts';

describe('the carried agent', { timeout: 60_000 }, () => {
  let folder: string;
  let carried: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'stoker-carried-'));
    carried = join(folder, 'carried');
    const app = join(folder, 'app');
    for (const name of ['pino', 'node-llama-cpp']) mkdirSync(join(app, 'node_modules', name), { recursive: true });
    mkdirSync(join(app, 'dist'));
    cpSync(join(root, 'bin'), join(app, 'bin'), { recursive: true });
    writeFileSync(join(app, 'package.json'), '{"type":"module"}');
    writeFileSync(
      join(app, 'bin/stoker.js'),
      'console.log(JSON.stringify([process.argv.slice(2), process.env.STOKER_IMAGE_LIBRARY_PATH]))',
    );
    const PATH = `${join(process.execPath, '..')}:/usr/bin:/bin`;
    const run = spawnSync('/bin/sh', [join(app, 'bin/carry-agent.sh'), app, carried], { env: { PATH } });
    assert.equal(run.status, 0, String(run.stderr));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const run = (what: string, environment: Readonly<Record<string, string>> = {}) => {
    const log = join(folder, 'termination-log');
    const env = { PATH: '/usr/bin:/bin', STOKER_TERMINATION_LOG: log, ...environment };
    const { status, stdout } = spawnSync('/bin/sh', [join(carried, 'run.sh'), what], { env, encoding: 'utf8' });
    return { status, stdout, said: existsSync(log) ? readFileSync(log, 'utf8') : '' };
  };

  test('comes with Node and what it needs, and without the built-in engine', () => {
    assert.ok(existsSync(join(carried, 'node')));
    assert.ok(existsSync(join(carried, 'app/node_modules/pino')));
    assert.ok(!existsSync(join(carried, 'app/node_modules/node-llama-cpp')));
    assert.deepEqual(run('check'), { status: 0, stdout: '', said: '' });
  });

  test('runs under its own Node, and remembers the library path of the image', () => {
    const { status, stdout } = run('agent', { LD_LIBRARY_PATH: '/usr/local/cuda/lib64' });
    assert.equal(status, 0);
    assert.deepEqual(JSON.parse(stdout), [['agent'], '/usr/local/cuda/lib64']);
  });

  test('refuses an image that cannot run it, with what to do', () => {
    writeFileSync(join(carried, 'node'), '#!/bin/sh\necho "version GLIBC_2.34 not found" >&2\nexit 1\n');
    chmodSync(join(carried, 'node'), 0o755);
    const { status, said } = run('check');
    assert.equal(status, 1);
    assert.match(said, /needs a Linux image with glibc 2\.34 or newer.*GLIBC_2\.34 not found/);
  });
});

// The commands as programs, against a whole Stoker of their own: what they print, how they end, and what a restart keeps.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type RunningStoker, root, startStoker } from '../support/running-stoker.ts';

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const dataDir = mkdtempSync(join(tmpdir(), 'stoker-commands-'));

function stoker(...args: readonly string[]): Promise<Ended> {
  const { KUBECONFIG: _, ...rest } = process.env;
  const options = { cwd: root, env: { ...rest, STOKER_DATA_DIR: dataDir }, timeout: 60_000 };
  return new Promise((resolve) => {
    const child = execFile(process.execPath, ['bin/stoker.js', ...args], options, (_error, out, err) => {
      resolve({ code: child.exitCode ?? -1, out, err });
    });
    child.stdin?.end();
  });
}

describe('the commands', { timeout: 180_000 }, () => {
  let running: RunningStoker;
  before(async () => {
    running = await startStoker({ dataDir });
  });
  after(async () => {
    assert.deepEqual(await running.stop(), []);
    rmSync(dataDir, { recursive: true, force: true });
  });

  test('chat asks once, shows the hold beside the answer, and gives JSON to programs', async () => {
    const asked = await stoker('chat', 'demo', 'What is a load balancer?', '--max-tokens', '40');
    assert.equal(asked.code, 0, asked.err);
    assert.match(asked.out, /^[A-Z][^\n]+\n$/);
    assert.match(asked.err, /demo is starting/);
    const { text, usage } = JSON.parse((await stoker('chat', 'demo', 'Hello!', '-o', 'json')).out);
    assert.ok(text.length > 0 && usage.total_tokens > 0);
  });

  test('an error is one sentence and exit code 1', async () => {
    const unknown = await stoker('chat', 'nobody', 'Hello');
    assert.deepEqual([unknown.code, unknown.out], [1, '']);
    assert.match(unknown.err, /^stoker: .*nobody.*\n$/);
    assert.equal((await stoker('frobnicate')).code, 1);
    assert.equal((await stoker('get', 'model', 'nobody')).code, 1);
  });

  test('get shows the columns of the server, explain says why', async () => {
    assert.match((await stoker('get', 'models')).out, /^NAME .*RUNG.*\ndemo +True +/);
    const list = JSON.parse((await stoker('get', 'pods', '-o', 'json')).out);
    assert.equal(list.items.length, 1);
    assert.match((await stoker('explain', 'scale', 'demo')).out, /^demo: .*\n\nTERM +VALUE +MEANING\n/);
  });

  test('apply makes and leaves alone; what the server refuses is told with its place', async () => {
    const file = join(dataDir, 'pool.yaml');
    const pool = (max: number) =>
      `apiVersion: stoker.dev/v1alpha1\nkind: Pool\nmetadata: {name: other}\nspec:\n  accelerator: {resourceName: stoker.dev/cpu, countPerSlot: 1, className: cpu}\n  slots: {min: 0, max: ${max}}\n`;
    writeFileSync(file, pool(1));
    assert.equal((await stoker('apply', '-f', file)).out, 'pool/other created\n');
    assert.equal((await stoker('apply', '-f', file)).out, 'pool/other unchanged\n');
    writeFileSync(file, pool(2));
    assert.equal((await stoker('apply', '-f', file)).out, 'pool/other configured\n');
    writeFileSync(file, pool(-1));
    const refused = await stoker('apply', '-f', file);
    assert.equal(refused.code, 1);
    assert.match(refused.err, /pool\.yaml:6: spec\.slots\.max: /);
  });

  test('model add serves a file of the person, and delete takes it away', async () => {
    const file = join(dataDir, 'mine.gguf');
    copyFileSync(join(root, 'models/stoker-demo-1m.gguf'), file);
    const added = await stoker('model', 'add', 'mine', file);
    assert.equal(added.code, 0, added.err);
    assert.match((await stoker('chat', 'mine', 'Hello!')).out, /^\S/);
    assert.equal((await stoker('delete', 'model', 'mine')).out, 'model/mine deleted\n');
    assert.match((await stoker('chat', 'mine', 'Hello!')).err, /mine/);
  });

  test('a restart keeps what is there, answers soon, and does not bring a deleted demo back', async () => {
    assert.deepEqual(await running.stop(), []);
    running = await startStoker({ dataDir });
    assert.match(running.screen(), /demo +Staged/);
    const startedMs = performance.now();
    assert.equal((await stoker('chat', 'demo', 'Hello!')).code, 0);
    assert.ok(performance.now() - startedMs < 15_000, 'the slot of the last run finds the controller');
    assert.equal((await stoker('delete', 'model', 'demo')).code, 0);
    await running.stop();
    running = await startStoker({ dataDir });
    assert.match(running.screen(), /There is no model yet\./);
  });
});

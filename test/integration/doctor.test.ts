// `stoker doctor` through its front door on the Stoker of one machine: well while it runs, and a failure once it is gone.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { type RunningStoker, root, startStoker } from '../support/running-stoker.ts';

interface Ended {
  readonly code: number;
  readonly out: string;
}

describe('stoker doctor on one machine', { timeout: 120_000 }, () => {
  let stoker: RunningStoker;
  let isStopped = false;
  before(async () => {
    stoker = await startStoker();
  });
  after(async () => {
    if (!isStopped) await stoker.stop();
    rmSync(stoker.dataDir, { recursive: true, force: true });
  });

  const doctor = (...args: readonly string[]): Promise<Ended> =>
    new Promise((resolve) => {
      const env = { PATH: process.env.PATH, STOKER_DATA_DIR: stoker.dataDir };
      const child = execFile(
        process.execPath,
        ['bin/stoker.js', 'doctor', ...args],
        { cwd: root, env },
        (_, out, err) => resolve({ code: child.exitCode ?? -1, out: out + err }),
      );
    });

  test('everything is well, for people and for programs', async () => {
    const { code, out } = await doctor();
    assert.equal(code, 0, out);
    for (const line of [/^ok +version: /m, /^ok +kinds: /m, /^ok +router: /m, /^ok +controller: /m, /^ok +leader: /m])
      assert.match(out, line);
    assert.match(out, /, 0 failures\n$/);
    const { ok, findings } = JSON.parse((await doctor('-o', 'json')).out);
    assert.equal(ok, true);
    assert.ok(findings.length >= 5);
  });

  test('once it is gone, that is said, with exit code 1', async () => {
    isStopped = true;
    await stoker.stop();
    const { code, out } = await doctor();
    assert.equal(code, 1, out);
    assert.match(out, /^stoker: No Stoker was found here: .* Start one with `npm start`/);
  });
});

// `stoker stage` as a process of its own: it is killed in the middle, started again, and goes on; what is wrong ends it with a
// sentence and exit code 1.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { type FileSet, fileSetDigest } from '../../src/api/file-set.ts';
import { type FakeSource, madeBytes, sha256Of, startFakeSource } from '../support/fake-source.ts';

const MIB = 1024 * 1024;
const bytes = madeBytes(40 * MIB);
const program = join(import.meta.dirname, '../../src/main/stoker.ts');
let source: FakeSource;
let folder: string;

beforeEach(async () => {
  source = await startFakeSource();
  folder = mkdtempSync(join(tmpdir(), 'stoker-stage-'));
  source.contents.set('/model.gguf', bytes);
});
afterEach(async () => {
  await source.close();
  rmSync(folder, { recursive: true, force: true });
});

const setOf = (change: object = {}): FileSet => ({
  source: 'Http',
  files: [
    {
      path: 'model.gguf',
      url: `${source.url}/model.gguf`,
      sizeBytes: bytes.length,
      sha256: sha256Of(bytes),
      ...change,
    },
  ],
});

function start(set: FileSet) {
  const env = {
    PATH: process.env.PATH ?? '',
    STOKER_STAGE_FILES: JSON.stringify(set),
    STOKER_STAGE_TOKEN: 'not-shown',
  };
  const child = spawn(process.execPath, [program, 'stage', '--folder', folder], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (piece: Buffer) => {
      text += piece.toString();
    });
  const ended = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
  return { child, ended, text: () => text };
}

describe('stoker stage', () => {
  test('goes on after SIGKILL', async () => {
    // One of the last two ranges never comes: the process is killed when the others are there.
    source.faults.push({ type: 'none' }, { type: 'silent' });
    const first = start(setOf());
    const log = join(folder, '.partial', fileSetDigest(setOf().files), '.chunks-0');
    for (;;) {
      const lines = await readFile(log, 'utf8').catch(() => '');
      if (lines.split('\n').length >= 4) break;
      await new Promise((resolve) => setImmediate(resolve));
    }
    first.child.kill('SIGKILL');
    await first.ended;
    source.faults.length = 0;
    const before = source.sentBytes();
    const second = start(setOf());
    assert.equal(await second.ended, 0, second.text());
    assert.ok(source.sentBytes() - before <= 16 * MIB, `${source.sentBytes() - before} bytes were sent again`);
    const staged = join(folder, fileSetDigest(setOf().files), 'model.gguf');
    assert.ok(readFileSync(staged).equals(bytes));
  });

  test('says why it failed, and shows no credential', async () => {
    const run = start(setOf({ sha256: 'a'.repeat(64) }));
    assert.equal(await run.ended, 1);
    assert.match(run.text(), /stoker stage: model.gguf came with sha256 .* is pinned/);
    assert.doesNotMatch(run.text(), /not-shown/);
    source.constant = { type: 'status', status: 403 };
    const refused = start(setOf());
    assert.equal(await refused.ended, 1);
    assert.match(refused.text(), /refuses access \(403\). Name a Secret/);
  });

  test('a list that leads out of the folder is refused', async () => {
    const run = start(setOf({ path: '../model.gguf' }));
    assert.equal(await run.ended, 1);
    assert.match(run.text(), /The list of files cannot be used: files.0.path must be a path/);
  });
});

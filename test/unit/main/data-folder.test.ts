// The data folder: private files, tokens made once, and a lock that outlives no process.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { lockDataFolder, openDataFolder, readOrMakeToken } from '../../../src/main/data-folder.ts';

const base = mkdtempSync(join(tmpdir(), 'stoker-folder-'));
after(() => rmSync(base, { recursive: true, force: true }));

test('a token is made once, with mode 0600', () => {
  const path = join(base, 'token');
  const first = readOrMakeToken(path);
  assert.equal(readOrMakeToken(path), first);
  assert.ok(first.length >= 43);
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

test('the lock refuses a second holder until it is released', () => {
  const folder = openDataFolder(join(base, 'one'));
  const release = lockDataFolder(folder);
  assert.throws(() => lockDataFolder(folder), /Another Stoker \(process \d+\) uses the data folder .*--data-dir/);
  release();
  lockDataFolder(folder)();
});

test('the lock of a process that is gone is taken, also when its pid lives again', () => {
  const folder = openDataFolder(join(base, 'two'));
  writeFileSync(join(folder.path, 'lock'), JSON.stringify({ pid: process.pid, startTicks: '1' }));
  const release = lockDataFolder(folder);
  assert.equal(JSON.parse(readFileSync(join(folder.path, 'lock'), 'utf8')).pid, process.pid);
  release();
  writeFileSync(join(folder.path, 'lock'), 'not json');
  lockDataFolder(folder)();
});

test('a folder that cannot be made says so and names the flag', () => {
  const file = join(base, 'file');
  writeFileSync(file, '');
  assert.throws(() => openDataFolder(join(file, 'below')), /cannot be made[\s\S]*--data-dir/);
});

// Callers from other machines always need a key: one is made when the person named none.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, test } from 'node:test';
import { parseSettings } from '../../../src/api/settings.ts';
import { chooseApiKeysFile } from '../../../src/main/api-keys-file.ts';
import { openDataFolder } from '../../../src/main/data-folder.ts';

const base = mkdtempSync(join(tmpdir(), 'stoker-keys-'));
after(() => rmSync(base, { recursive: true, force: true }));
const folder = openDataFolder(base);
const choose = (flags: Record<string, unknown>) => chooseApiKeysFile(parseSettings('up', flags, {}), folder);

test('on loopback nobody needs a key', () => {
  assert.deepEqual(choose({}), { file: undefined, madeKey: undefined });
  assert.deepEqual(choose({ host: 'localhost' }), { file: undefined, madeKey: undefined });
});

test('a file that was named is used, wherever Stoker listens', () => {
  for (const host of ['127.0.0.1', '0.0.0.0']) {
    assert.deepEqual(choose({ host, apiKeysFile: 'keys' }), { file: resolve('keys'), madeKey: undefined });
  }
});

test('beyond loopback a key is made once, in a file for its owner alone', () => {
  const first = choose({ host: '0.0.0.0' });
  const { file = '', madeKey = '' } = first;
  assert.ok(madeKey.length >= 43);
  assert.equal(readFileSync(file, 'utf8'), `${madeKey}\n`);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.deepEqual(choose({ host: '0.0.0.0' }), { file, madeKey: undefined });
});

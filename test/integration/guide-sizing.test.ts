// The commands of docs/guides/sizing.md, as they are printed there.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { findBlocks, findCommands, readGuides } from '../support/guide-blocks.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'stoker-sizing-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const guide = readGuides().find(({ name }) => name === 'sizing.md');
assert.ok(guide !== undefined);
const commands = findCommands(guide);

test('the guide has commands, and the file of its example', () => {
  assert.ok(commands.length >= 4 && commands.every((line) => line.startsWith('npx stoker simulate ')), commands.join());
  const [example = ''] = findBlocks(guide, 'csv');
  assert.equal(readFileSync(join(root, 'docs/guides/sizing.csv'), 'utf8'), example);
});

for (const command of commands) {
  test(command, () => {
    const page = join(folder, 'report.html');
    const words = command.replace('report.html', page).split(' ').slice(2);
    const { status, stdout, stderr } = spawnSync(process.execPath, ['bin/stoker.js', ...words], {
      cwd: root,
      encoding: 'utf8',
      timeout: 50_000,
    });
    assert.equal(status, 0, stderr);
    const asked = (words[words.indexOf('--policy') + 1] ?? '').split(',');
    const rows = stdout.split('\n').map((line) => line.split(/[ -]/)[0]);
    for (const policy of asked) assert.ok(rows.includes(policy.split('-')[0]), `${policy}: ${stdout}`);
    if (command.includes('--html')) assert.match(readFileSync(page, 'utf8'), /<svg/);
  });
}

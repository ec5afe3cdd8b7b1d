// The commands of docs/guides/warm-pools.md, as they are printed there, and what the page says of their figures.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { findCommands, readGuides } from '../support/guide-blocks.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const guide = readGuides().find(({ name }) => name === 'warm-pools.md');
assert.ok(guide !== undefined);
const commands = findCommands(guide);

/** The column of the only row, without its unit. */
function figureOf(command: string, column: string): number {
  const words = command.split(' ').slice(2);
  const { status, stdout, stderr } = spawnSync(process.execPath, ['bin/stoker.js', ...words], {
    cwd: root,
    encoding: 'utf8',
    timeout: 50_000,
  });
  assert.equal(status, 0, stderr);
  const [header = '', row = ''] = stdout.split('\n');
  const at = header.indexOf(column);
  assert.ok(at > 0, header);
  return Number.parseFloat(row.slice(at));
}

test('the guide compares wakes, headroom and sleepers, each in two commands', () => {
  assert.equal(commands.length, 6);
  assert.ok(commands.every((line) => line.startsWith('npx stoker simulate ')));
});

test('a faster wake brings more requests in time', () => {
  const [fast = '', slow = ''] = commands.filter((line) => line.includes('--load spikes'));
  assert.ok(figureOf(fast, 'WITHIN') > figureOf(slow, 'WITHIN') + 5);
});

test('more headroom brings more requests in time, and costs more', () => {
  const [economy = '', strict = ''] = commands.filter((line) => line.includes('--headroom'));
  assert.ok(figureOf(strict, 'WITHIN') > figureOf(economy, 'WITHIN') + 1);
  assert.ok(figureOf(strict, 'AWAKE') > figureOf(economy, 'AWAKE') + 1);
});

test('sleepers turn starts into wakes', () => {
  const [few = '', many = ''] = commands.filter((line) => line.includes('--sleepers-per-slot'));
  assert.ok(figureOf(few, 'STARTED') > 10);
  assert.ok(figureOf(many, 'STARTED') < 1);
  assert.ok(figureOf(many, 'WOKEN') > figureOf(few, 'WOKEN'));
});

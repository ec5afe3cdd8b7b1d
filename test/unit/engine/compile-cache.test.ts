// Folders for what engines compile: one for each revision, and the longest unused go.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { createCompileCache } from '../../../src/engine/compile-cache.ts';
import { createManualClock } from '../../../src/lib/clock.ts';
import { silentLog } from '../../../src/lib/log.ts';

const DAY_MS = 86_400_000;

describe('what engines compile', () => {
  let root: string;
  let folder: string;
  const clock = createManualClock();
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'stoker-compiled-'));
    folder = join(root, 'class-h100-user-7');
  });
  afterEach(() => {
    rmSync(root, { recursive: true, force: true });
  });

  const cache = () => createCompileCache({ folder: join(root, 'class-h100'), userId: 7, clock, log: silentLog });
  const use = (revision: string) => cache().variablesFor(`uid/${revision}/1`);

  test('has a folder of its user for each revision, which every library is told', async () => {
    const first = await use('big-0123456789');
    assert.equal(first.VLLM_CACHE_ROOT, join(folder, 'big-0123456789/vllm'));
    assert.ok(Object.values(first).every((path) => path.startsWith(join(folder, 'big-0123456789'))));
    assert.deepEqual(await use('big-0123456789'), first, 'another start of the same finds it');
    const other = await use('big-9876543210');
    assert.notEqual(other.VLLM_CACHE_ROOT, first.VLLM_CACHE_ROOT);
    assert.deepEqual(readdirSync(folder).sort(), ['big-0123456789', 'big-9876543210']);
  });

  test('keeps the sixteen that were used last, and never one of the last day', async () => {
    const old = Array.from({ length: 20 }, (_, at) => `m-${String(at).padStart(10, '0')}`);
    for (const name of old) await use(name);
    assert.equal(readdirSync(folder).length, 20, 'another slot may be reading them');
    for (const [at, name] of old.entries()) {
      const usedAt = new Date(clock.wallMs() - 2 * DAY_MS - at * 1000);
      utimesSync(join(folder, name), usedAt, usedAt);
    }
    writeFileSync(join(folder, 'not ours'), '');
    await use('new-0000000000');
    const left = readdirSync(folder);
    assert.equal(left.length, 16 + 1);
    assert.ok(left.includes('not ours') && left.includes('new-0000000000'));
    assert.ok(left.includes(old[0] ?? '') && !left.includes(old[19] ?? ''), 'the longest unused went');
  });

  test('a use makes it young again', async () => {
    await use('a-0000000000');
    const before = statSync(join(folder, 'a-0000000000')).mtimeMs;
    clock.advance(DAY_MS);
    await use('a-0000000000');
    assert.ok(statSync(join(folder, 'a-0000000000')).mtimeMs >= before + DAY_MS);
  });

  test('what cannot be kept costs no start, and nothing is made of a name that is none', async () => {
    writeFileSync(join(root, 'file'), '');
    const broken = createCompileCache({ folder: join(root, 'file', 'below'), userId: 7, clock, log: silentLog });
    assert.deepEqual(await broken.variablesFor('uid/a-0000000000/1'), {});
    assert.deepEqual(await use('..'), {});
    assert.deepEqual(await cache().variablesFor('alone'), {});
  });
});

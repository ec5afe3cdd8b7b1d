// Log files rotate at their bound and never keep more than two.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { LOG_FILE_BYTES_MAX, openRotatingFile } from '../../../src/main/log-file.ts';

test('a file past its bound becomes the older one', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'stoker-log-'));
  const path = join(folder, 'part.log');
  const block = Buffer.alloc(512 * 1024, 'x');
  // Closed each time, so that what was written is on the disk and nothing is dropped.
  for (let written = 0; written < 3 * LOG_FILE_BYTES_MAX; written += 2 * block.length) {
    const file = openRotatingFile(path);
    file.write(block);
    file.write(block);
    await file.close();
  }
  assert.deepEqual(readdirSync(folder).sort(), ['part.log', 'part.log.1']);
  assert.ok(statSync(`${path}.1`).size <= LOG_FILE_BYTES_MAX + 2 * block.length);
  rmSync(folder, { recursive: true, force: true });
});

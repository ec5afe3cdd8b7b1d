import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openIncarnations } from '../../../src/agent/incarnations.ts';
import { silentLog } from '../../../src/lib/log.ts';

test('incarnations: counted per revision and pod, and kept', async () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'stoker-incarnations-'));
  const open = (podUid: string) => openIncarnations({ stateDir, podUid, log: silentLog });
  const first = await open('pod-1');
  assert.equal(first.latest('a'), 0);
  assert.equal(first.take('a'), 1);
  assert.equal(first.take('a'), 2);
  assert.equal(first.take('b'), 1);
  await first.keep();
  const again = await open('pod-1');
  assert.equal(again.latest('a'), 2);
  assert.equal(again.take('a'), 3);
  assert.equal((await open('pod-2')).take('a'), 1);
  rmSync(stateDir, { recursive: true });
});

test('incarnations: a folder that cannot be written costs only the memory', async () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'stoker-incarnations-'));
  writeFileSync(join(stateDir, 'incarnations'), 'a file where the folder should be');
  const counts = await openIncarnations({ stateDir, podUid: 'pod-1', log: silentLog });
  assert.equal(counts.take('a'), 1);
  await counts.keep();
  assert.equal(counts.take('a'), 2);
  rmSync(stateDir, { recursive: true });
});

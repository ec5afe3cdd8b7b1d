// The file of API keys is read again when it changes, and never makes things worse.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { createManualClock } from '../../../src/lib/clock.ts';
import type { LogFields } from '../../../src/lib/log.ts';
import { watchApiKeys } from '../../../src/main/api-keys-watch.ts';
import type { ApiKeys } from '../../../src/router/api-keys.ts';
import { until } from '../../support/until.ts';

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'stoker-keys-'));
  path = join(folder, 'keys');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test('a key that was added or taken away is known soon; a file that is no use changes nothing', async () => {
  const clock = createManualClock();
  const lines: LogFields[] = [];
  const keep = (fields: LogFields) => void lines.push(fields);
  let keys: ApiKeys | undefined;
  let changes = 0;
  await writeFile(path, 'sk-alpha-12345\n');
  const watch = watchApiKeys({
    ...{ path, clock, text: 'sk-alpha-12345\n' },
    log: { debug: keep, info: keep, warn: keep, error: keep },
    onChange(next) {
      keys = next;
      changes += 1;
    },
  });
  await writeFile(path, 'sk-beta-12345\n');
  clock.advance(2000);
  await until(() => changes === 1, 'the new keys');
  assert.equal(keys?.tenantOf('Bearer sk-beta-12345'), 'default');
  assert.equal(keys?.tenantOf('Bearer sk-alpha-12345'), undefined);
  for (const spoil of [() => writeFile(path, '# none\n'), () => rm(path)]) {
    await spoil();
    const before = lines.length;
    clock.advance(2000);
    await until(() => lines.length > before, 'a complaint');
    assert.equal(typeof lines.at(-1)?.why, 'string');
    assert.doesNotMatch(JSON.stringify(lines), /sk-/);
  }
  assert.equal(changes, 1);
  watch.cancel();
  assert.equal(clock.pendingTimers(), 0);
});

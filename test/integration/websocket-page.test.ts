// The client on docs/reference/websocket.md is run as it stands there, against a router.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { parseApiKeysFile } from '../../src/router/api-keys.ts';
import { startFakeSlot } from '../support/fake-slot.ts';
import { startRouter } from '../support/running-router.ts';

const page = new URL('../../docs/reference/websocket.md', import.meta.url);

test('the client on the page prints the answer of a model that has to wake', async (t) => {
  const code = /```js\n([\s\S]*?)```/.exec(await readFile(page, 'utf8'))?.[1] ?? '';
  assert.ok(code.split('\n').length <= 21, 'it has at most 20 lines');
  const folder = await mkdtemp(join(tmpdir(), 'stoker-page-'));
  t.after(() => rm(folder, { recursive: true }));
  const file = join(folder, 'chat.mjs');
  await writeFile(file, code);
  const slot = await startFakeSlot();
  const keys = parseApiKeysFile('sk-alpha-12345');
  assert.ok(keys.ok);
  const router = await startRouter({ apiKeys: keys.value });
  t.after(async () => {
    await router.close();
    await slot.close();
  });
  router.table({ warmth: [{ rung: 'Asleep', etaMs: 1000 }] });
  slot.onCall = (call) => call.stream('Good ', 'morning');
  const url = `${router.url.replace('http', 'ws')}/v1/chat/completions`;
  const run = promisify(execFile)(process.execPath, [file, url, 'Hello!', 'sk-alpha-12345']);
  await router.demanded((demand) => demand.queued === 1, 'the client is held');
  // Long enough for the first news: the estimate is above half a second, so that it comes after a quarter of one.
  await new Promise<void>((resolve) => run.child.stderr?.once('data', () => resolve()));
  router.table({ endpoints: [{ address: slot.address }] });
  const { stdout, stderr } = await run;
  assert.equal(stdout, 'Good morning');
  assert.match(stderr, /^stoker model demo is waking/);
  assert.match(stderr, /closed: 1005/);
});

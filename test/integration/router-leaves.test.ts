// The router's real process on SIGTERM: answers that run may go on as long as the setting says, and are then cut with the truth
// (DESIGN §14.7).
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { Pool } from 'undici';
import { delay, systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { createHub } from '../../src/link/hub.ts';
import type { Hub, RouterSession } from '../../src/ports/link.ts';
import { type FakeSlot, startFakeSlot } from '../support/fake-slot.ts';
import { type RecordedHandlers, recordingHandlers } from '../support/link-messages.ts';
import { wholeTable } from '../support/running-router.ts';
import { root } from '../support/running-stoker.ts';
import { until } from '../support/until.ts';

/** What a router gives when nothing is set, and what it may not do when something is. */
const DEFAULT_MS = 8000;
const START_MS_MAX = 30_000;

const question = JSON.stringify({ model: 'demo', stream: true, messages: [{ role: 'user', content: 'Hello!' }] });

describe('a router that is asked to end', { timeout: 90_000 }, () => {
  let folder: string;
  let hub: Hub;
  let handlers: RecordedHandlers;
  let slot: FakeSlot;
  let child: ReturnType<typeof spawn> | undefined;
  let pool: Pool | undefined;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'stoker-leaves-'));
    writeFileSync(join(folder, 'token'), 'token');
    handlers = recordingHandlers();
    const own = { host: '127.0.0.1', port: 0, epoch: 1, release: '0.1.0', clock: systemClock, log: silentLog };
    hub = createHub(own, handlers);
    slot = await startFakeSlot();
  });
  afterEach(async () => {
    await pool?.destroy();
    if (child?.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    await slot.close();
    await hub.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** A router with one answer that has begun, and the text of that answer. */
  async function startAsked(drainSeconds: number) {
    const { port } = await hub.start();
    const flags = ['--link-url', `ws://127.0.0.1:${port}`, '--link-token-file', join(folder, 'token'), '--port', '0'];
    const started = spawn(process.execPath, [join(root, 'bin/stoker.js'), 'router', ...flags, '--admin-port', '0'], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      env: { PATH: process.env.PATH, STOKER_DRAIN_SECONDS: `${drainSeconds}`, STOKER_LOG_LEVEL: 'error' },
    });
    child = started;
    const [{ facts }] = (await once(started, 'message')) as [{ facts: { url: string } }];
    await until(() => handlers.opened.length > 0, 'the router to come', START_MS_MAX);
    (handlers.opened[0] as RouterSession).send(wholeTable({ endpoints: [{ address: slot.address }] }, 1));
    slot.onCall = (call) => call.content('one');
    pool = new Pool(facts.url);
    const headers = { 'content-type': 'application/json' };
    const answer = await pool.request({ method: 'POST', path: '/v1/chat/completions', headers, body: question });
    assert.equal(answer.statusCode, 200);
    await until(() => slot.calls.length > 0, 'the request to reach the slot');
    return { process: started, gone: once(started, 'exit'), text: answer.body.text() };
  }

  test('an answer that runs longer than a short stop ends whole, and the router then goes at once', async () => {
    const asked = await startAsked(60);
    asked.process.kill('SIGTERM');
    await delay(systemClock, DEFAULT_MS + 500);
    slot.calls[0]?.content('two');
    slot.calls[0]?.finish();
    const text = await asked.text;
    assert.match(text, /two[\s\S]*\[DONE\]/);
    assert.doesNotMatch(text, /"error"/);
    assert.deepEqual(await asked.gone, [0, null]);
  });

  test('an answer that does not end is cut truthfully when the time is over', async () => {
    const asked = await startAsked(1);
    const beganMs = systemClock.nowMs();
    asked.process.kill('SIGTERM');
    assert.match(await asked.text, /data: \{"error":.*"draining"/);
    assert.deepEqual(await asked.gone, [0, null]);
    const tookMs = systemClock.nowMs() - beganMs;
    assert.ok(tookMs >= 900 && tookMs < DEFAULT_MS, `${tookMs} ms`);
  });
});

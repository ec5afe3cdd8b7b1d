// The agent's real process on SIGTERM: it says that it leaves, accepts until routers have let go, drains to its grace, cuts what
// is left with the truth, and leaves no engine behind (DESIGN §14.7).
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { Pool } from 'undici';
import { SLOT_HEADERS } from '../../src/api/data-path.ts';
import type { AgentReport, Launch } from '../../src/api/link.ts';
import { findMembers } from '../../src/engine/proc.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { createHub } from '../../src/link/hub.ts';
import type { AgentSession, Hub } from '../../src/ports/link.ts';
import { slotKey } from '../support/fake-hub.ts';
import { type RecordedHandlers, recordingHandlers } from '../support/link-messages.ts';
import { podUid, readFrames, slotRequest } from '../support/running-agent.ts';
import { root } from '../support/running-stoker.ts';
import { until } from '../support/until.ts';

const GRACE_SECONDS = 4;
const START_MS_MAX = 30_000;

const launch: Launch = {
  engine: 'Sim',
  servedName: 'slow',
  revision: 'slow-1',
  contextLength: 8192,
  concurrency: 4,
  sleep: 'Level1',
  drainMs: 60_000,
  simulated: { profile: 'Size7B', seed: 1 },
  // Streams begin and never end by themselves.
  simulation: { speedPercent: 10_000, faults: [{ kind: 'HangMidStream', chanceBasisPoints: 10_000 }] },
};

const question = JSON.stringify({
  model: 'slow',
  stream: true,
  max_tokens: 100,
  stream_options: { include_usage: true },
  messages: [{ role: 'user', content: 'Tell me a very long story.' }],
});

describe('an agent that is asked to end', { timeout: 90_000 }, () => {
  let folder: string;
  let hub: Hub;
  let handlers: RecordedHandlers;
  let child: ReturnType<typeof spawn>;
  let pool: Pool;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'stoker-leaves-'));
    handlers = recordingHandlers();
    hub = createHub(
      { host: '127.0.0.1', port: 0, epoch: 1, release: '0.1.0', clock: systemClock, log: silentLog },
      handlers,
    );
    const { port } = await hub.start();
    writeFileSync(join(folder, 'token'), 'token');
    const portsFile = join(folder, 'ports.json');
    child = spawn(process.execPath, [join(root, 'bin/stoker.js'), 'agent'], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: {
        PATH: process.env.PATH,
        STOKER_POD_UID: podUid,
        STOKER_POD_NAME: 'slot-1',
        STOKER_LINK_URL: `ws://127.0.0.1:${port}`,
        STOKER_LINK_TOKEN_FILE: join(folder, 'token'),
        STOKER_DRAIN_SECONDS: `${GRACE_SECONDS}`,
        STOKER_BIND_HOST: '127.0.0.1',
        STOKER_DATA_PORT: '0',
        STOKER_ADMIN_PORT: '0',
        STOKER_DATA_DIR: folder,
        STOKER_PORTS_FILE: portsFile,
        STOKER_LOG_LEVEL: 'error',
      },
    });
    await until(() => handlers.fromAgents.length > 0, 'the first report', START_MS_MAX);
    pool = new Pool(`http://127.0.0.1:${(JSON.parse(readFileSync(portsFile, 'utf8')) as { data: number }).data}`);
    const session = handlers.opened.at(-1) as AgentSession;
    session.send({
      type: 'target',
      epoch: 1,
      seq: 1,
      instances: [{ model: 'slow', revision: 'slow-1', rung: 'Awake', launch }],
      keys: [{ version: 1, key: slotKey }],
    });
    await until(() => instance()?.rung === 'Awake' && instance()?.probed === true, 'it to be awake', START_MS_MAX);
  });
  afterEach(async () => {
    await pool?.destroy();
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    await hub.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const latest = () => handlers.fromAgents.at(-1) as AgentReport | undefined;
  const instance = () => latest()?.instances[0];
  const ask = async () => {
    const answer = await pool.request(slotRequest(instance()?.id ?? '', { body: question }));
    return { status: answer.statusCode, refusal: answer.headers[SLOT_HEADERS.refusal], body: answer.body };
  };

  test('accepts until routers have let go, drains to its grace, cuts with the truth and leaves nothing', async () => {
    const first = await ask();
    assert.equal(first.status, 200);
    const gone = once(child, 'exit');
    const beganMs = systemClock.nowMs();
    child.kill('SIGTERM');
    await until(() => latest()?.terminating === true, 'it to say that it leaves');
    assert.equal(instance()?.rung, 'Awake');
    // A router that has not heard of it yet.
    const second = await ask();
    assert.equal(second.status, 200);
    (handlers.opened.at(-1) as AgentSession).send({ type: 'withdrawn', epoch: 1, seq: 2 });
    await until(() => instance()?.rung === 'Draining', 'it to drain');
    const third = await ask();
    assert.equal(third.refusal, 'Draining');
    for (const { body } of [first, second]) {
      const frames = readFrames(await body.text());
      assert.ok(frames.some(({ kind }) => kind === 'content'));
      const last = frames.at(-1);
      assert.equal(last?.kind, 'error', JSON.stringify(last));
      assert.ok(!frames.some(({ data }) => data === '[DONE]'));
    }
    assert.deepEqual(await gone, [0, null]);
    const tookMs = systemClock.nowMs() - beganMs;
    assert.ok(tookMs >= GRACE_SECONDS * 1000 - 100, `the grace was used: ${tookMs} ms`);
    assert.deepEqual(await findMembers({ instance: `${podUid}/slow-1/1` }), []);
  });

  test('with routers that do not let go it goes on serving as long as it may, and ends all the same', async () => {
    const gone = once(child, 'exit');
    const beganMs = systemClock.nowMs();
    child.kill('SIGTERM');
    await until(() => latest()?.terminating === true, 'it to say that it leaves');
    assert.deepEqual(await gone, [0, null]);
    assert.ok(systemClock.nowMs() - beganMs >= GRACE_SECONDS * 1000 - 100);
    assert.equal(latest()?.instances.length, 0);
  });
});

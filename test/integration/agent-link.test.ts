// The agent over a real link: a hub's target becomes an awake instance, and the hub hears of it; a lost session changes nothing.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createAgent } from '../../src/agent/agent.ts';
import type { AgentReport } from '../../src/api/link.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { createRng } from '../../src/lib/rng.ts';
import { createHub } from '../../src/link/hub.ts';
import { createAgentSpoke } from '../../src/link/spoke.ts';
import type { AgentSession } from '../../src/ports/link.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { createFakeEngine } from '../support/fake-engine.ts';
import { slotKey, wanted } from '../support/fake-hub.ts';
import { recordingHandlers } from '../support/link-messages.ts';
import { podUid } from '../support/running-agent.ts';
import { until } from '../support/until.ts';

test('an agent obeys and reports over a real link', { timeout: 30_000 }, async () => {
  const handlers = recordingHandlers();
  const hub = createHub(
    { host: '127.0.0.1', port: 0, epoch: 3, release: '0.1.0', clock: systemClock, log: silentLog },
    handlers,
  );
  const { port } = await hub.start();
  const fake = createFakeEngine();
  const stateDir = mkdtempSync(join(tmpdir(), 'stoker-agent-'));
  const common = { clock: systemClock, rng: createRng(3), log: silentLog };
  const agent = createAgent({
    podUid,
    podName: 'slot-1',
    release: '0.1.0',
    connectLink: (given, hello) =>
      createAgentSpoke({ url: () => `ws://127.0.0.1:${port}`, token: async () => 'token', hello, ...common }, given),
    engines: fake.engines,
    stateDir,
    bindHost: '127.0.0.1',
    dataPort: 0,
    adminPort: 0,
    metrics: createMetrics(),
    ...common,
  });
  const { dataPort } = await agent.start();
  const rungs = () => (handlers.fromAgents.at(-1) as AgentReport | undefined)?.instances.map((seen) => seen.rung);
  const session = () => handlers.opened.at(-1) as AgentSession;
  await until(() => handlers.fromAgents.length > 0, 'the first report');
  assert.equal(session().hello.dataPort, dataPort);
  session().send({
    type: 'target',
    epoch: 3,
    seq: 1,
    instances: [wanted('a', 'Awake')],
    keys: [{ version: 1, key: slotKey }],
  });
  await until(() => rungs()?.[0] === 'Awake', 'an awake instance');
  session().close('a test');
  await until(() => handlers.opened.length === 2, 'a second session');
  assert.deepEqual(session().hello.fence, { epoch: 3, seq: 1 });
  await until(() => rungs()?.[0] === 'Awake', 'the same instance');
  assert.equal(fake.processes.length, 1);
  session().send({ type: 'target', epoch: 3, seq: 2, instances: [], keys: [] });
  await until(() => rungs()?.length === 0, 'no instance');
  const stopped = agent.stop(1000);
  await stopped;
  assert.equal((handlers.fromAgents.at(-1) as AgentReport).terminating, true);
  await hub.stop();
  await fake.close();
  rmSync(stateDir, { recursive: true });
});

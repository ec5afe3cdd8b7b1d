// Slot keys change again and again under load: a real controller, router and agent over real sockets, with a scripted engine.
// The controller's clock is fast, so that hours of it pass; nobody who asks notices anything.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { request } from 'undici';
import { type Agent, createAgent } from '../../src/agent/agent.ts';
import { SLOT_HEADERS } from '../../src/api/data-path.ts';
import { kinds } from '../../src/api/kinds.ts';
import { deriveSlotKey, SEED_SECRET } from '../../src/controller/slot-keys.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { createRng } from '../../src/lib/rng.ts';
import { createAgentSpoke, createRouterSpoke } from '../../src/link/spoke.ts';
import { createRouter, type Router } from '../../src/router/router.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { chunk, createFakeEngine, type FakeEngine, openEvents, usageChunk } from '../support/fake-engine.ts';
import { createFastClock } from '../support/fast-clock.ts';
import { createLinkWorld, type LinkWorld } from '../support/link-world.ts';
import { until } from '../support/until.ts';

/** What the controller waits for requests under way is then 2.5 s of ours. */
const FACTOR = 2;
/** A change takes as long as the messages do; the next one begins after it. */
const ROTATION_MS = 2000;
const CALLERS = 8;
const CHANGES = 3;

describe('slot keys that change under load', { timeout: 60_000 }, () => {
  const common = { clock: systemClock, rng: createRng(5), log: silentLog };
  const stateDir = mkdtempSync(join(tmpdir(), 'stoker-keys-'));
  let world: LinkWorld;
  let engine: FakeEngine;
  let agent: Agent;
  let router: Router;
  let slot: { readonly name: string; readonly podUid: string };
  let ports: { readonly api: number; readonly data: number };
  const agentMetrics = createMetrics();
  /** What the agent was told to accept, one after the other. */
  const told: string[] = [];

  before(async () => {
    world = await createLinkWorld({ clock: createFastClock(FACTOR), slotKeyRotationMs: ROTATION_MS });
    world.pool('default');
    world.model('demo', { scaling: { minAwake: 1 } });
    engine = createFakeEngine();
    engine.behaviour.chat = ({ response }) => {
      openEvents(response);
      const frames = [
        chunk({ role: 'assistant', content: '' }),
        chunk({ content: 'Hi' }),
        chunk({}, 'stop'),
        usageChunk,
      ];
      response.end(`${frames.join('')}data: [DONE]\n\n`);
    };
    slot = await world.takeSlot();
    agent = createAgent({
      ...{ podUid: slot.podUid, podName: slot.name, release: 'test', engines: engine.engines, stateDir },
      ...{ bindHost: '127.0.0.1', dataPort: 0, adminPort: 0, metrics: agentMetrics },
      connectLink(handlers, hello) {
        const onMessage: typeof handlers.onMessage = (message) => {
          if (message.type === 'target') told.push(message.keys.map((key) => key.version).join());
          handlers.onMessage(message);
        };
        return createAgentSpoke({ ...world.dial(slot.name), ...common, hello }, { ...handlers, onMessage });
      },
      ...common,
    });
    router = createRouter({
      ...{ name: 'router-1', release: 'test', host: '127.0.0.1', port: 0, adminPort: 0, metrics: createMetrics() },
      connectLink: (handlers, hello) => createRouterSpoke({ ...world.dial('router'), ...common, hello }, handlers),
      ...common,
    });
    const [{ dataPort }, { port }] = await Promise.all([agent.start(), router.start()]);
    ports = { api: port, data: dataPort };
  });
  after(async () => {
    await router.stop(0);
    await agent.stop(0);
    await world.stop();
    await engine.close();
    rmSync(stateDir, { recursive: true, force: true });
  });

  const secret = () => world.cluster.get(kinds.Secret, SEED_SECRET);
  const decode = (entry: string) => Buffer.from(secret()?.data?.[entry] ?? '', 'base64');
  const version = () => Number(decode('version').toString());
  const askSlot = async (key: string) => {
    const answer = await request(`http://127.0.0.1:${ports.data}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: '{}',
    });
    await answer.body.dump();
    return String(answer.headers[SLOT_HEADERS.refusal]);
  };

  async function ask(): Promise<void> {
    const answer = await request(`http://127.0.0.1:${ports.api}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'demo', stream: true, messages: [{ role: 'user', content: 'Hello!' }] }),
    });
    const text = await answer.body.text();
    assert.equal(answer.statusCode, 200, text);
    assert.match(text, /Hi[\s\S]*data: \[DONE\]\n\n$/);
    assert.equal(answer.headers['x-stoker-attempts'] ?? '1', '1');
  }

  test('no request is lost, and the first key no longer opens the slot', async () => {
    await ask();
    const first = deriveSlotKey(decode('seed'), slot.podUid, 1);
    const lastVersion = version() + CHANGES;
    let asked = 0;
    /** Both keys of a change, of those that the slot went through. */
    const overlaps = () => new Set(told.filter((versions) => versions.includes(','))).size;
    const caller = async () => {
      while (version() < lastVersion || overlaps() < 2) {
        await ask();
        asked += 1;
      }
    };
    await Promise.all(Array.from({ length: CALLERS }, caller));
    assert.ok(asked > 100, `only ${asked} requests`);
    const refusals = /stoker_agent_refusals_total\{reason="StaleKey"\} (\d+)/.exec(await agentMetrics.render());
    assert.equal(refusals?.[1] ?? '0', '0', 'a router showed a key that was dropped');
    await until(async () => (await askSlot(first)) === 'StaleKey', 'the first key to be dropped');
    const newest = () => deriveSlotKey(decode('seed'), slot.podUid, version());
    await until(async () => (await askSlot(newest())) !== 'StaleKey', 'the newest key to be accepted');
    await ask();
  });
});

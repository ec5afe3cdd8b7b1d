// An agent on free ports with a state folder of its own, joined to a fake hub. For tests of the agent.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Pool } from 'undici';
import { type Agent, createAgent } from '../../src/agent/agent.ts';
import type { AgentLimits } from '../../src/agent/limits.ts';
import { SLOT_HEADERS } from '../../src/api/data-path.ts';
import type { Engines } from '../../src/engine/engines.ts';
import { type Clock, systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { createRng } from '../../src/lib/rng.ts';
import { createMetrics, type Metrics } from '../../src/telemetry/metrics.ts';
import { createFakeHub, type FakeHub, slotKey } from './fake-hub.ts';

export interface RunningAgent {
  readonly agent: Agent;
  readonly hub: FakeHub;
  readonly metrics: Metrics;
  readonly stateDir: string;
  readonly dataPort: number;
  readonly adminPort: number;
  readonly pool: Pool;
  close(): Promise<void>;
}

export const podUid = '6f3c1f8e-0000-4000-8000-000000000001';

export async function startAgent(options: {
  engines: Engines;
  clock?: Clock;
  limits?: Partial<AgentLimits>;
  stateDir?: string;
}): Promise<RunningAgent> {
  const stateDir = options.stateDir ?? mkdtempSync(join(tmpdir(), 'stoker-agent-'));
  const hub = createFakeHub();
  const metrics = createMetrics();
  const agent = createAgent({
    podUid,
    podName: 'slot-1',
    release: '0.1.0',
    connectLink: hub.connect,
    engines: options.engines,
    stateDir,
    bindHost: '127.0.0.1',
    dataPort: 0,
    adminPort: 0,
    clock: options.clock ?? systemClock,
    rng: createRng(7),
    log: silentLog,
    metrics,
    ...(options.limits === undefined ? {} : { limits: options.limits }),
  });
  const { dataPort, adminPort } = await agent.start();
  const pool = new Pool(`http://127.0.0.1:${dataPort}`);
  hub.open();
  return {
    agent,
    hub,
    metrics,
    stateDir,
    dataPort,
    adminPort,
    pool,
    async close() {
      await pool.destroy();
      await agent.stop(0);
      if (options.stateDir === undefined) rmSync(stateDir, { recursive: true, force: true });
    },
  };
}

/** A request as a router sends it. */
export function slotRequest(
  instance: string,
  changes: { headers?: Record<string, string>; body?: string; path?: string } = {},
) {
  return {
    method: 'POST',
    path: changes.path ?? '/v1/chat/completions',
    headers: {
      authorization: `Bearer ${slotKey}`,
      'content-type': 'application/json',
      [SLOT_HEADERS.instance]: instance,
      [SLOT_HEADERS.responseId]: 'chatcmpl-test',
      [SLOT_HEADERS.remainingMs]: '30000',
      ...changes.headers,
    },
    body: changes.body ?? '{"model":"x","stream":true,"messages":[]}',
  } as const;
}

export interface Frame {
  readonly number: number;
  readonly kind: string;
  readonly data: string;
}

/** Parses canonical frames; throws when bytes are left over or a number is missing. */
export function readFrames(text: string): Frame[] {
  const blocks = text.split('\n\n');
  if (blocks.pop() !== '') throw new Error(`the stream ends inside a frame: ${text.slice(-200)}`);
  return blocks.map((block, index) => {
    const match = /^: (\d+) (\w+)\ndata: ([^\n]*)$/.exec(block);
    if (match === null) throw new Error(`not a canonical frame: ${block}`);
    if (Number(match[1]) !== index + 1) throw new Error(`frame ${match[1]} at place ${index + 1}`);
    return { number: index + 1, kind: match[2] ?? '', data: match[3] ?? '' };
  });
}

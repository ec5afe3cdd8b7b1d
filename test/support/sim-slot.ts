// Simulated engines as an agent has them: real processes behind the adapter, asked over HTTP. What a test starts is stopped after
// it, and nothing of it may be left.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, beforeEach } from 'node:test';
import { request } from 'undici';
import type { SimLaunch } from '../../src/api/link.ts';
import type { Fault } from '../../src/api/simulation.ts';
import { EngineError } from '../../src/engine/engine-error.ts';
import { createEngines, type Engines } from '../../src/engine/engines.ts';
import { healthAnswerSchema } from '../../src/engine/llama/protocol.ts';
import { findMembers } from '../../src/engine/proc.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { createRng } from '../../src/lib/rng.ts';
import type { EngineProcess } from '../../src/ports/engine.ts';

export const signal = new AbortController().signal;
export const size = { profile: 'Size7B', contextLength: 1024, concurrency: 4 } as const;

export function launchOf(faults: Fault[] = [], changes: Partial<SimLaunch> = {}): SimLaunch {
  return {
    engine: 'Sim',
    servedName: 'served',
    revision: 'sim-1',
    simulated: { profile: 'Size7B', seed: 1 },
    simulation: { faults, speedPercent: 10_000 },
    contextLength: size.contextLength,
    concurrency: size.concurrency,
    sleep: 'Level1',
    drainMs: 1000,
    ...changes,
  };
}
export const ask = (content: string, more: object = {}) =>
  JSON.stringify({ model: 'served', messages: [{ role: 'user', content }], max_tokens: 20, ...more });

export async function post(engine: EngineProcess, body: string, given: AbortSignal | null = null) {
  return await request(`${engine.baseUrl}/v1/chat/completions`, {
    method: 'POST',
    headers: { ...engine.headers, 'content-type': 'application/json' },
    body,
    signal: given,
    headersTimeout: 20_000,
    bodyTimeout: 20_000,
  });
}

export async function postJson(engine: EngineProcess, body: string) {
  const answer = await post(engine, body);
  return { status: answer.statusCode, json: JSON.parse(await answer.body.text()) };
}

/** The stream's text, in the pieces it came in. */
export async function postStream(engine: EngineProcess, more: object = {}) {
  const { statusCode, body } = await post(engine, ask('Go on.', { stream: true, ...more }));
  assert.equal(statusCode, 200);
  const pieces: string[] = [];
  const error = await (async () => {
    for await (const piece of body) pieces.push(String(piece));
  })().then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return { pieces, text: pieces.join(''), error };
}

export function dataOf(text: string): string[] {
  return text.split('\n\n').flatMap((block) => (block.startsWith('data: ') ? [block.slice(6)] : []));
}

export async function health(engine: EngineProcess) {
  const answer = await request(`${engine.baseUrl}/health`, { headers: engine.headers });
  return healthAnswerSchema.parse(await answer.body.json());
}

export async function failureOf(promise: Promise<unknown>): Promise<EngineError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof EngineError, String(error));
  return error;
}
export interface SimSlot {
  /** What the slot has of accelerator memory from now on. */
  setMemory(bytes: number): void;
  start(launch?: SimLaunch): Promise<EngineProcess>;
  startLoaded(launch?: SimLaunch): Promise<EngineProcess>;
}

/** One slot for each test of the suite that calls it. */
export function useSimSlot(): SimSlot {
  const started = new Map<string, EngineProcess>();
  let serial = 0;
  let adapter: Engines['adapters']['Sim'];
  const setMemory = (simSlotBytes: number) => {
    adapter = createSimEngines({ simSlotBytes }).adapters.Sim;
  };
  beforeEach(() => setMemory(320e9));
  afterEach(async () => {
    for (const [instance, engine] of started) {
      await engine.stop(2000);
      assert.deepEqual(await findMembers({ instance }), []);
    }
    started.clear();
  });
  const start = async (launch: SimLaunch = launchOf()) => {
    serial += 1;
    const instance = `sim-${process.pid}-${serial}/engine/1`;
    const engine = await adapter.start(instance, launch, signal);
    started.set(instance, engine);
    return engine;
  };
  const startLoaded = async (launch?: SimLaunch) => {
    const engine = await start(launch);
    await engine.whenLoaded(signal);
    return engine;
  };
  return { setMemory, start, startLoaded };
}

const stateDir = mkdtempSync(join(tmpdir(), 'stoker-sim-'));
after(() => rmSync(stateDir, { recursive: true, force: true }));

export function createSimEngines(options: { readonly simSlotBytes?: number } = {}): Engines {
  return createEngines({ stateDir, threads: 1, clock: systemClock, rng: createRng(1), log: silentLog, ...options });
}

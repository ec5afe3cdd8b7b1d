// A whole Stoker with an API key for the official clients to talk to, and one model for each thing that can happen to them.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { request } from 'undici';
import { agentAddresses, readFigures } from '../chaos/census.ts';
import { findParts } from '../chaos/part-processes.ts';
import { personApi, type WrittenObject } from '../support/person-api.ts';
import { startStoker } from '../support/running-stoker.ts';

export const API_KEY = 'sk-contract-0123456789';

/** The model with the real engine; its manifest is the demo's. */
export const REAL_MODEL = 'demo';

/** Simulated models. Time runs ten times as fast as life. */
const simulated = {
  /** Answers, and calls tools when it is told to. */
  'sim-well': [],
  /** A token about every ten milliseconds. */
  'sim-slow': [{ kind: 'Slow', chanceBasisPoints: 10_000 }],
  /** Breaks off every answer. */
  'sim-cut': [{ kind: 'Cut', chanceBasisPoints: 10_000 }],
  /** One for each client, that nobody has woken yet. */
  'cold-javascript': [],
  'cold-python': [],
} as const;

export interface ServedFleet {
  /** With /v1. */
  readonly baseUrl: string;
  /** Requests of the model that ended so. */
  countOutcomes(model: string, outcome: string): Promise<number>;
  /** Requests of the model that engines are working on. */
  countInFlight(model: string): Promise<number>;
  stop(): Promise<void>;
}

export async function startServedFleet(): Promise<ServedFleet> {
  const dataDir = mkdtempSync(join(tmpdir(), 'stoker-clients-'));
  const keysFile = join(dataDir, 'keys');
  writeFileSync(keysFile, `${API_KEY}\n`);
  const stoker = await startStoker({ dataDir, args: ['--api-keys-file', keysFile] });
  const api = personApi(stoker.kubeconfig);
  await api.create(
    pool(),
    ...Object.entries(simulated).map(([name, faults]) => model(name, faults)),
    brokenModel(dataDir),
  );
  const isPinned = async (name: string) => (await api.get('Model', name)).status?.stableRevision !== undefined;
  for (const name of [...Object.keys(simulated), REAL_MODEL])
    await api.until(() => isPinned(name), `a revision of ${name}`);
  await api.close();
  const { openai, status } = stoker.addresses;
  for (const name of [REAL_MODEL, 'sim-well', 'sim-slow', 'sim-cut']) await wake(openai, name);
  return {
    baseUrl: `${openai}/v1`,
    async countOutcomes(name, outcome) {
      const figures = await readFigures(status);
      return figures?.get(`stoker_requests_total{model="${name}",outcome="${outcome}"}`) ?? 0;
    },
    async countInFlight(name) {
      const agents = agentAddresses(dataDir, findParts(stoker.process.pid ?? -1));
      const counts = await Promise.all(
        agents.map(async (address) =>
          (await readFigures(address))?.get(`stoker_agent_in_flight_requests{model="${name}"}`),
        ),
      );
      return counts.reduce<number>((sum, count) => sum + (count ?? 0), 0);
    },
    async stop() {
      const left = await stoker.stop();
      rmSync(dataDir, { recursive: true, force: true });
      if (left.length > 0) throw new Error(`processes are left: ${left.map(({ command }) => command).join('; ')}`);
    },
  };
}

const apiVersion = 'stoker.dev/v1alpha1';

/** A slot for every model, so that none has to make way. */
function pool(): WrittenObject & { spec: object } {
  const accelerator = { resourceName: 'stoker.dev/sim-gpu', countPerSlot: 1, className: 'sim' };
  const slots = { min: 5, max: 5 };
  return { apiVersion, kind: 'Pool', metadata: { name: 'sim' }, spec: { accelerator, slots } };
}

function model(name: string, faults: readonly object[]): WrittenObject & { spec: object } {
  const weights = { simulated: { profile: 'Size7B', seed: 7 } };
  const spec = {
    servedName: name,
    version: { weights, engine: { name: 'Sim' }, contextLength: 4096 },
    pools: ['sim'],
    simulation: { speedPercent: 1000, faults },
  };
  return { apiVersion, kind: 'Model', metadata: { name }, spec };
}

/** Its file is no model: it can never be woken. */
function brokenModel(dataDir: string): WrittenObject & { spec: object } {
  const path = join(dataDir, 'broken.gguf');
  writeFileSync(path, 'this is no model');
  const spec = { servedName: 'broken', version: { weights: { file: { path } } }, pools: ['default'] };
  return { apiVersion, kind: 'Model', metadata: { name: 'broken' }, spec };
}

/** Asked as any caller: held until it is awake. One that breaks off its answers is awake, too. */
async function wake(openai: string, name: string): Promise<void> {
  const response = await request(`${openai}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: name, stream: true, max_tokens: 1, messages: [{ role: 'user', content: 'Hello!' }] }),
  });
  await response.body.text();
}

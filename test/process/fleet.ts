// The fleet of the process tests: two slots on this machine, two models that stream and a third one that sleeps.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { PersonApi } from '../support/person-api.ts';
import { root } from '../support/running-stoker.ts';

/** Both stream while parts are killed; each has a slot of its own. */
export const streamingModels = ['first', 'second'] as const;
/** Wakes only when it is asked for, so that an answer from it shows that the controller works. */
export const coldModel = 'third';

/** Streams at the same time: eight of each model. */
export const LANES_EACH = 8;

const run = promisify(execFile);

/** `kind/name uid` of every object, in order. */
export async function objectNames(api: PersonApi): Promise<readonly string[]> {
  const kinds = ['Pool', 'Model', 'ModelRevision', 'Pod'];
  const lists = await Promise.all(
    kinds.map(async (kind) => (await api.list(kind)).map(({ metadata }) => `${kind}/${metadata.name} ${metadata.uid}`)),
  );
  return lists.flat().sort();
}

interface Fleet {
  readonly resource: string;
  version(seed: number): { readonly weights: object; readonly engine?: object };
}

/** The real engine with the demo model, and the simulated one with a large model at ten times its speed. */
export const fleets = {
  Llama: {
    resource: 'stoker.dev/cpu',
    version: () => ({ weights: { file: { path: join(root, 'models/stoker-demo-1m.gguf') } } }),
  },
  Sim: {
    resource: 'stoker.dev/sim-gpu',
    version: (seed) => ({ weights: { simulated: { profile: 'Size7B', seed } }, engine: { name: 'Sim' } }),
  },
} as const satisfies Record<string, Fleet>;
export type FleetName = keyof typeof fleets;

/** Puts the fleet in the place of the demo. */
export async function applyFleet(dataDir: string, name: FleetName): Promise<void> {
  const fleet = fleets[name];
  const manifest = join(dataDir, 'fleet.yaml');
  const models = [...streamingModels, coldModel].map((model, at) => renderModel(fleet, model, at + 1));
  writeFileSync(manifest, [pool(fleet), ...models].join('---\n'));
  await stoker(dataDir, 'delete', 'model', 'demo');
  if (name === 'Sim') await stoker(dataDir, 'delete', 'pool', 'default');
  const { stdout } = await stoker(dataDir, 'apply', '-f', manifest);
  assert.match(stdout, /third.*created/);
}

/** Runs a command of `stoker` against the data folder. */
export function stoker(dataDir: string, ...args: string[]) {
  return stokerWith({ STOKER_DATA_DIR: dataDir }, ...args);
}

export function stokerWith(variables: Readonly<Record<string, string>>, ...args: string[]) {
  return run(process.execPath, [join(root, 'bin/stoker.js'), ...args], {
    cwd: root,
    env: { PATH: process.env.PATH, ...variables },
    timeout: 30_000,
  });
}

function pool({ resource }: Fleet): string {
  return `apiVersion: stoker.dev/v1alpha1
kind: Pool
metadata: { name: default }
spec:
  accelerator: { resourceName: ${resource}, countPerSlot: 1, className: test }
  slots: { min: 2, max: 2 }
`;
}

function renderModel({ version }: Fleet, name: string, seed: number): string {
  return `apiVersion: stoker.dev/v1alpha1
kind: Model
metadata: { name: ${name} }
spec:
  servedName: ${name}
  version: ${JSON.stringify({ ...version(seed), contextLength: 512 })}
  scaling: { sleepAfterSeconds: 600 }
  serving: { concurrency: ${LANES_EACH} }
${version(seed).engine === undefined ? '' : '  simulation: { speedPercent: 1000 }\n'}`;
}

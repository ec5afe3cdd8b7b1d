// Every engine as the conformance suite sees it: an adapter, a launch that works, and what it can do. Engines that are not
// ours are fakes of their programs (fake-engines/); our own are the real ones.
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Launch } from '../../src/api/link.ts';
import { createEngines, type Engines } from '../../src/engine/engines.ts';
import { type Clock, systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { createRng } from '../../src/lib/rng.ts';
import type { InstalledFakes } from './fake-engines/installed.ts';

const demoModel = fileURLToPath(new URL('../../models/stoker-demo-1m.gguf', import.meta.url));

export function enginesOf(fakes: InstalledFakes, clock: Clock = systemClock): Engines {
  const { stateDir, environment } = fakes;
  // Different in each process that runs tests: they draw ports from it.
  return createEngines({ stateDir, threads: 1, clock, rng: createRng(process.pid), log: silentLog, environment });
}

const frame = {
  servedName: 'big/model',
  revision: 'big-0123456789',
  contextLength: 512,
  concurrency: 2,
  sleep: 'Level1',
  drainMs: 1000,
} as const;

/** The same with a real program first in PATH. */
export function withProgram(fakes: InstalledFakes, folder: string): InstalledFakes {
  return { ...fakes, environment: { ...fakes.environment, PATH: `${folder}:${fakes.environment.PATH ?? ''}` } };
}

/** A launch of each engine that loads and answers. */
export function launchOfEngine<E extends Launch['engine']>(
  engine: E,
  fakes: InstalledFakes,
): Extract<Launch, { engine: E }> {
  const launches: { readonly [K in Launch['engine']]: () => Extract<Launch, { engine: K }> } = {
    Llama: () => ({ engine: 'Llama', ...frame, ...pinnedDemo() }),
    Sim: () => ({
      engine: 'Sim',
      ...frame,
      simulated: { profile: 'Size7B', seed: 1 },
      simulation: { speedPercent: 10_000, faults: [] },
    }),
    Vllm: () => ({ engine: 'Vllm', ...frame, ...fakes.folder, args: [], architecture: 'LlamaForCausalLM' }),
    Sglang: () => ({ engine: 'Sglang', ...frame, ...fakes.folder, args: [], architecture: 'LlamaForCausalLM' }),
    LlamaServer: () => ({ engine: 'LlamaServer', ...frame, ...fakes.file, args: [] }),
  };
  return launches[engine]();
}

/** The GGUF file that comes with Stoker. */
export function pinnedDemo() {
  const weightsSha256 = createHash('sha256').update(readFileSync(demoModel)).digest('hex');
  return { weightsPath: demoModel, weightsSizeBytes: statSync(demoModel).size, weightsSha256 };
}

// The table of engines that an agent can run. Adding an engine is adding a row.
import { join } from 'node:path';
import type { Launch } from '../api/link.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { Rng } from '../lib/rng.ts';
import type { EngineAdapter } from '../ports/engine.ts';
import { createCompileCache } from './compile-cache.ts';
import { createFileDigests } from './file-digest.ts';
import { createGroupRecords } from './group-records.ts';
import { createLlamaAdapter } from './llama-adapter.ts';
import { createLlamaServerAdapter } from './llama-server-adapter.ts';
import type { Environment } from './process-group.ts';
import { createSglangAdapter } from './sglang-adapter.ts';
import { createSimAdapter } from './sim-adapter.ts';
import { endStaleGroups } from './stale-groups.ts';
import { createPorts } from './third-party/free-port.ts';
import { createVllmAdapter } from './vllm-adapter.ts';

export interface Engines {
  readonly adapters: Readonly<Record<Launch['engine'], EngineAdapter>>;
  /** Ends engines that an earlier agent with this state folder left behind. Resolves with their number. */
  endStale(): Promise<number>;
}

export interface EnginesOptions {
  /** Digests of verified weights and records of running process groups are kept here. */
  readonly stateDir: string;
  /** Threads of the built-in engine. */
  readonly threads: number;
  readonly clock: Clock;
  /** Ports of engines that are not ours are drawn from it. */
  readonly rng: Rng;
  readonly log: Log;
  /** Accelerator memory of the slot that simulated engines share. Unset: four accelerators of 80 GB. */
  readonly simSlotBytes?: number;
  /** Variables that an engine may need (library paths, visible devices) are taken from here by an allow-list. */
  readonly environment?: Environment;
  /** Where engines of others keep what they compile. Unset: where they do by themselves. */
  readonly compileCacheDir?: string | undefined;
}

export function createEngines(options: EnginesOptions): Engines {
  const { stateDir, threads, clock, rng, log, simSlotBytes, compileCacheDir: folder } = options;
  const records = createGroupRecords(stateDir, log);
  const digests = createFileDigests(join(stateDir, 'digests.json'));
  const own = { records, environment: options.environment ?? {}, clock };
  const compileCache =
    folder === undefined ? undefined : createCompileCache({ folder, userId: process.getuid?.() ?? 0, clock, log });
  const thirdParty = { ...own, digests, ports: createPorts(rng), compileCache };
  const slotBytes = simSlotBytes === undefined ? {} : { slotBytes: simSlotBytes };
  return {
    adapters: {
      Llama: createLlamaAdapter({ ...own, threads, digests }),
      Sim: createSimAdapter({ ...own, ...slotBytes }),
      Vllm: createVllmAdapter(thirdParty),
      Sglang: createSglangAdapter(thirdParty),
      LlamaServer: createLlamaServerAdapter(thirdParty),
    },
    endStale: () => endStaleGroups({ records, clock, log }),
  };
}

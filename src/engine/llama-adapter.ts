// The adapter of the built-in engine: one model server process per instance, which reads one GGUF file in place.
// Verifies the file before every start and wake; never decides when an instance sleeps, wakes or stops.
import type { LlamaLaunch } from '../api/link.ts';
import { assert } from '../lib/assert.ts';
import type { EngineAdapter, EngineProcess } from '../ports/engine.ts';
import type { FileDigests } from './file-digest.ts';
import type { ServerConfigInput } from './llama/config.ts';
import { renderBuild } from './llama-build.ts';
import {
  type OwnServer,
  type OwnServerContext,
  PROCESS_DRAIN_MS,
  serverEntry,
  settleOrder,
  spawnOwnServer,
} from './own-server.ts';
import { checkUnchanged, type VerifiedFile, verifyWeights } from './verify-weights.ts';

const SERVER_ENTRY = serverEntry('./llama/server-process', import.meta.url);

export interface LlamaAdapterOptions extends OwnServerContext {
  /** Threads that compute. More than the free cores makes it slower. */
  readonly threads: number;
  readonly digests: FileDigests;
  /** The program of a model server process. */
  readonly entry?: string;
}

export function createLlamaAdapter(options: LlamaAdapterOptions): EngineAdapter {
  return {
    engine: 'Llama',
    survivesSleep: (launch) => launch.sleep !== 'Never',
    async start(instance, launch, signal) {
      assert(launch.engine === 'Llama', 'an adapter is given launches of its own engine');
      const file = await verifyWeights(launch, options.digests, signal);
      signal.throwIfAborted();
      const config = (key: string) => configOf(instance, launch, { key, threads: options.threads });
      const what = { instance, entry: options.entry ?? SERVER_ENTRY, config };
      return createProcess(await spawnOwnServer(what, options, signal), file, options);
    },
  };
}

function configOf(instance: string, launch: LlamaLaunch, own: { key: string; threads: number }): ServerConfigInput {
  return {
    instance,
    modelPath: launch.weightsPath,
    servedName: launch.servedName,
    contextLength: launch.contextLength,
    concurrency: launch.concurrency,
    threads: own.threads,
    gpu: false,
    key: own.key,
    drainMs: PROCESS_DRAIN_MS,
    ...(launch.sampling === undefined ? {} : { sampling: launch.sampling }),
  };
}

function createProcess(server: OwnServer, file: VerifiedFile, { clock }: OwnServerContext): EngineProcess {
  const { client } = server;
  return {
    ...server.process,
    async sleep(level, signal) {
      await settleOrder(() => client.sleep(level, signal), 'asleep', { client, clock });
    },
    async wake(signal) {
      await checkUnchanged(file);
      await settleOrder(() => client.wake(signal), 'ready', { client, clock });
    },
    identity: async (signal) => ({ build: renderBuild(await client.build(signal)) }),
  };
}

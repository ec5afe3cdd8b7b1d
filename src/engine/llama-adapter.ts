// The adapter of the built-in engine: one model server process per instance, which reads one GGUF file in place.
// Owns the process and its key; never decides when an instance sleeps, wakes or stops.
import { randomBytes } from 'node:crypto';
import { getCompileCacheDir } from 'node:module';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Launch } from '../api/link.ts';
import type { Clock } from '../lib/clock.ts';
import { deadlineSignal } from '../lib/clock.ts';
import type { EngineAdapter, EngineProcess } from '../ports/engine.ts';
import { EngineError } from './engine-error.ts';
import type { FileDigests } from './file-digest.ts';
import type { GroupRecords } from './group-records.ts';
import type { ServerConfigInput } from './llama/config.ts';
import type { ServerState } from './llama/protocol.ts';
import { renderBuild } from './llama-build.ts';
import { createLlamaClient, type LlamaClient } from './llama-client.ts';
import { readResidentBytes } from './proc.ts';
import { type Environment, type ProcessGroup, spawnGroup } from './process-group.ts';
import { createServerLines, type ServerLines } from './server-lines.ts';
import { checkUnchanged, type VerifiedFile, verifyWeights } from './verify-weights.ts';

const SERVER_ENTRY = fileURLToPath(
  new URL(`./llama/server-process${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url),
);
/** The agent has drained or cut before it ends a process, so the process itself need not wait. */
const PROCESS_DRAIN_MS = 1000;
/** When starting is given up the process gets this long to end by itself. */
const GIVE_UP_GRACE_MS = 500;
/** A step is one bounded computation: seconds at most, also for a large model on few cores. */
const STEP_MS_MAX = 120_000;
/** How long the question "which state are you in?" may take after a call whose outcome is unknown. */
const QUERY_MS_MAX = 2000;

export interface LlamaAdapterOptions {
  /** Threads that compute. More than the free cores makes it slower. */
  readonly threads: number;
  readonly digests: FileDigests;
  readonly records: GroupRecords;
  /** What an allow-list of variables is taken from for the engine's own environment. */
  readonly environment: Environment;
  readonly clock: Clock;
  /** The program of a model server process. */
  readonly entry?: string;
}

export function createLlamaAdapter(options: LlamaAdapterOptions): EngineAdapter {
  return {
    engine: 'Llama',
    survivesSleep: (launch) => launch.sleep !== 'Never',
    async start(instance, launch, signal) {
      const file = await verifyWeights(launch, options.digests, signal);
      signal.throwIfAborted();
      const key = randomBytes(32).toString('hex');
      const lines = createServerLines();
      const group = await spawnGroup({
        instance,
        command: process.execPath,
        args: [options.entry ?? SERVER_ENTRY],
        firstLine: JSON.stringify(configOf(instance, launch, { key, threads: options.threads })),
        environment: { NODE_COMPILE_CACHE: ownCompileCache(), ...options.environment },
        onLine: lines.read,
        records: options.records,
        clock: options.clock,
      });
      void group.exited.then(lines.end);
      try {
        const port = await lines.whenListening(signal);
        return createProcess({ group, lines, file, clock: options.clock, key, port });
      } catch (error) {
        await group.stop(GIVE_UP_GRACE_MS);
        throw error;
      }
    },
  };
}

/** A process starts a fifth of a second sooner with the compiled code that we keep for ourselves. */
function ownCompileCache(): string | undefined {
  const versioned = getCompileCacheDir();
  return versioned === undefined ? undefined : dirname(versioned);
}

function configOf(instance: string, launch: Launch, own: { key: string; threads: number }): ServerConfigInput {
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

interface Started {
  readonly group: ProcessGroup;
  readonly lines: ServerLines;
  readonly file: VerifiedFile;
  readonly clock: Clock;
  readonly key: string;
  readonly port: number;
}

function createProcess({ group, lines, file, clock, key, port }: Started): EngineProcess {
  const baseUrl = `http://127.0.0.1:${port}`;
  const headers = { authorization: `Bearer ${key}` };
  const client = createLlamaClient(baseUrl, headers);
  void group.exited.then(client.close);
  return {
    pid: group.pid,
    baseUrl,
    headers,
    exited: group.exited,
    whenLoaded: lines.whenReady,
    probe: client.probe,
    async sleep(level, signal) {
      await settle(() => client.sleep(level, signal), 'asleep', { client, clock });
    },
    async wake(signal) {
      await checkUnchanged(file);
      await settle(() => client.wake(signal), 'ready', { client, clock });
    },
    async check(signal) {
      const { stepMs } = await client.health(signal);
      if (stepMs <= STEP_MS_MAX) return;
      const sentence = `The engine answers, but one step has taken ${Math.round(stepMs / 1000)} s.`;
      throw new EngineError('EngineStuck', sentence);
    },
    identity: async (signal) => ({ build: renderBuild(await client.build(signal)) }),
    memory: async () => ({ residentBytes: (await readResidentBytes(group.pid)) ?? 0 }),
    stop: group.stop,
  };
}

/** When a call's outcome is unknown the engine is asked for its state, once: the call itself is never repeated. */
async function settle(
  move: () => Promise<void>,
  wanted: ServerState,
  { client, clock }: { client: LlamaClient; clock: Clock },
): Promise<void> {
  try {
    await move();
  } catch (error) {
    if (!(error instanceof EngineError) || error.reason !== 'EngineUnreachable') throw error;
    const query = deadlineSignal(clock, QUERY_MS_MAX, { reason: error });
    const state = await client.health(query.signal).then(
      (health) => health.state,
      () => undefined,
    );
    query.cancel();
    if (state !== wanted) throw error;
  }
}

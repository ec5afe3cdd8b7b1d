// One of our own model server processes as an adapter sees it: spawned with a key of its own, followed by what it prints,
// ordered about over its HTTP. Never decides when an instance sleeps, wakes or stops, and knows no particular engine.
import { randomBytes } from 'node:crypto';
import { getCompileCacheDir } from 'node:module';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Clock, deadlineSignal } from '../lib/clock.ts';
import type { EngineProcess } from '../ports/engine.ts';
import { EngineError } from './engine-error.ts';
import type { GroupRecords } from './group-records.ts';
import type { ServerState } from './llama/protocol.ts';
import { createLlamaClient, type LlamaClient } from './llama-client.ts';
import { readResidentBytes } from './proc.ts';
import { type Environment, type ProcessGroup, spawnGroup } from './process-group.ts';
import { createServerLines, type ServerLines } from './server-lines.ts';

/** The agent has drained or cut before it ends a process, so the process itself need not wait. */
export const PROCESS_DRAIN_MS = 1000;
/** When starting is given up the process gets this long to end by itself. */
const GIVE_UP_GRACE_MS = 500;
/** A step is one bounded computation: seconds at most, also for a large model on few cores. */
const STEP_MS_MAX = 120_000;
/** How long the question "which state are you in?" may take after a call whose outcome is unknown. */
const QUERY_MS_MAX = 2000;

/** What every adapter of such a process is made with. */
export interface OwnServerContext {
  readonly records: GroupRecords;
  /** What an allow-list of variables is taken from for the engine's own environment. */
  readonly environment: Environment;
  readonly clock: Clock;
}

export interface OwnServer {
  readonly group: ProcessGroup;
  readonly lines: ServerLines;
  readonly client: LlamaClient;
  /** What the port asks of every engine process and is the same for all of ours. */
  readonly process: Omit<EngineProcess, 'sleep' | 'wake' | 'identity'>;
}

/** The program beside the module `from`, as source or as built. */
export function serverEntry(path: string, from: string): string {
  return fileURLToPath(new URL(`${path}${from.endsWith('.ts') ? '.ts' : '.js'}`, from));
}

/** Resolves once its HTTP answers. Rejects with EngineError, or with the signal's reason; nothing is left running then. */
export async function spawnOwnServer(
  what: { readonly instance: string; readonly entry: string; config(key: string): object },
  { records, environment, clock }: OwnServerContext,
  signal: AbortSignal,
): Promise<OwnServer> {
  const key = randomBytes(32).toString('hex');
  const lines = createServerLines();
  const group = await spawnGroup({
    instance: what.instance,
    command: process.execPath,
    args: [what.entry],
    firstLine: JSON.stringify(what.config(key)),
    environment: { NODE_COMPILE_CACHE: ownCompileCache(), ...environment },
    onLine: lines.read,
    records,
    clock,
  });
  void group.exited.then(lines.end);
  try {
    const port = await lines.whenListening(signal);
    return describeServer({ group, lines, key, port });
  } catch (error) {
    await group.stop(GIVE_UP_GRACE_MS);
    throw error;
  }
}

function describeServer(started: { group: ProcessGroup; lines: ServerLines; key: string; port: number }): OwnServer {
  const { group, lines, key, port } = started;
  const baseUrl = `http://127.0.0.1:${port}`;
  const headers = { authorization: `Bearer ${key}` };
  const client = createLlamaClient(baseUrl, headers);
  void group.exited.then(client.close);
  return {
    group,
    lines,
    client,
    process: {
      pid: group.pid,
      baseUrl,
      headers,
      exited: group.exited,
      whenLoaded: lines.whenReady,
      probe: client.probe,
      check: (signal) => checkStep(client, signal),
      async load(signal) {
        const { busy, queued } = await client.health(signal);
        return { running: busy, waiting: queued };
      },
      memory: async () => ({ residentBytes: (await readResidentBytes(group.pid)) ?? 0 }),
      stop: group.stop,
    },
  };
}

/** Rejects when the process does not answer, or when its computation hangs while it does. */
async function checkStep(client: LlamaClient, signal: AbortSignal): Promise<void> {
  const { stepMs } = await client.health(signal);
  if (stepMs <= STEP_MS_MAX) return;
  throw new EngineError('EngineStuck', `The engine answers, but one step has taken ${Math.round(stepMs / 1000)} s.`);
}

/** A process starts a fifth of a second sooner with the compiled code that we keep for ourselves. */
function ownCompileCache(): string | undefined {
  const versioned = getCompileCacheDir();
  return versioned === undefined ? undefined : dirname(versioned);
}

/** When a call's outcome is unknown the engine is asked for its state, once: the call itself is never repeated. */
export async function settleOrder(
  order: () => Promise<void>,
  wanted: ServerState,
  { client, clock }: { client: LlamaClient; clock: Clock },
): Promise<void> {
  try {
    await order();
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

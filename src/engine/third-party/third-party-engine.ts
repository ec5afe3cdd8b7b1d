// The process of an engine that is not ours: started by its command line, waited for by asking, ordered about over its HTTP.
// Owns its states; what is said to it lies in its dialect. Never decides when an instance sleeps, wakes or stops.
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { ThirdPartyEngine } from '../../api/engine-arguments.ts';
import { refusedFields } from '../../api/engine-fields.ts';
import { type Clock, deadlineSignal, delay } from '../../lib/clock.ts';
import type { EngineExit, EngineProcess } from '../../ports/engine.ts';
import type { CompileCache } from '../compile-cache.ts';
import { describeExit, EngineError } from '../engine-error.ts';
import type { GroupRecords } from '../group-records.ts';
import { readProcess } from '../proc.ts';
import { type Environment, type ProcessGroup, spawnGroup } from '../process-group.ts';
import type { EngineDialect } from './dialect.ts';
import { createEngineHttp, demandJson, type EngineHttp } from './engine-http.ts';
import type { Ports } from './free-port.ts';
import { readGroupBytes } from './group-memory.ts';
import { createProgressWatch } from './progress-watch.ts';
import { selectVariables } from './variables.ts';

const HOST = '127.0.0.1';
/** How often an engine that loads is asked whether it is done, and how long one such question may take. */
const ASK_EVERY_MS = 250;
const QUESTION_MS_MAX = 5000;
/** A step is one bounded computation, but a kernel that is compiled at its first use can take a minute. */
const STUCK_MS_MAX = 180_000;
/** When a start is given up the process gets this long to end by itself. */
const GIVE_UP_GRACE_MS = 2000;

export interface ThirdPartyContext {
  readonly records: GroupRecords;
  readonly environment: Environment;
  readonly clock: Clock;
  readonly ports: Ports;
  /** Missing: engines keep what they compile where they do by themselves. */
  readonly compileCache?: CompileCache | undefined;
}

export interface ThirdPartyStart {
  readonly instance: string;
  readonly engine: ThirdPartyEngine;
  readonly servedName: string;
  readonly dialect: EngineDialect;
  /** The build that is reported, when the image says it; else the engine is asked. */
  readonly build: string | undefined;
  /** Before the name of a build that the engine tells: `vllm` in `vllm:0.11.0`. */
  readonly buildPrefix: string;
}

/** Resolves once the process runs. Rejects with EngineError, or the signal's reason; nothing is left running then. */
export async function startThirdParty(
  start: ThirdPartyStart,
  context: ThirdPartyContext,
  signal: AbortSignal,
): Promise<EngineProcess> {
  const { ports, environment, records, clock, compileCache } = context;
  signal.throwIfAborted();
  const port = await ports.take();
  const key = randomBytes(32).toString('hex');
  const load = createLoadLog(start.dialect, clock);
  try {
    const { command, args, variables } = start.dialect.command({ host: HOST, port, key });
    const group = await spawnGroup({
      instance: start.instance,
      command,
      args,
      environment,
      variables: {
        ...selectVariables(environment),
        ...(await compileCache?.variablesFor(start.instance)),
        ...variables,
      },
      mixesStreams: true,
      onLine: load.read,
      records,
      clock,
    });
    const process = describeProcess({ start, context, group, load, port, key });
    if (signal.aborted) await process.stop(GIVE_UP_GRACE_MS);
    signal.throwIfAborted();
    return process;
  } catch (error) {
    ports.giveBack(port);
    throw error;
  }
}

interface LoadLog {
  read(line: string): void;
  loaded(): void;
  /** Milliseconds from the last line that told of loaded weights until the engine was up. */
  warmedMs(): number | undefined;
}

function createLoadLog(dialect: EngineDialect, clock: Clock): LoadLog {
  let weightsAtMs: number | undefined;
  let upAtMs: number | undefined;
  return {
    read(line) {
      // Each of several workers says it; the last one counts.
      if (upAtMs === undefined && dialect.saysWeightsLoaded(line)) weightsAtMs = clock.nowMs();
    },
    loaded() {
      upAtMs ??= clock.nowMs();
    },
    warmedMs: () => (weightsAtMs === undefined || upAtMs === undefined ? undefined : upAtMs - weightsAtMs),
  };
}

interface Started {
  readonly start: ThirdPartyStart;
  readonly context: ThirdPartyContext;
  readonly group: ProcessGroup;
  readonly load: LoadLog;
  readonly port: number;
  readonly key: string;
}

function describeProcess({ start, context, group, load, port, key }: Started): EngineProcess {
  const { dialect } = start;
  const baseUrl = `http://${HOST}:${port}`;
  const headers = { authorization: `Bearer ${key}` };
  const http = createEngineHttp(baseUrl, headers);
  const watch = createProgressWatch(context.clock, STUCK_MS_MAX);
  // Some engines print every argument that they were given.
  const exited = group.exited.then((exit) => ({ ...exit, lastWords: exit.lastWords.replaceAll(key, '[key]') }));
  let asleepAt: 1 | 2 | undefined;
  void exited.then(() => {
    http.close();
    context.ports.giveBack(port);
  });
  return {
    pid: group.pid,
    baseUrl,
    headers,
    refusedFields: refusedFields[start.engine],
    exited,
    async whenLoaded(signal) {
      await whenUp({ dialect, http, exited, clock: context.clock }, signal);
      await checkServes(http, { servedName: start.servedName, port }, signal);
      load.loaded();
    },
    warmedMs: load.warmedMs,
    probe: (signal) => dialect.probe(http, salt(), signal),
    async sleep(level, signal) {
      if (asleepAt !== undefined) return;
      await dialect.sleep(http, level, signal);
      asleepAt = level;
    },
    async wake(signal) {
      if (asleepAt === undefined) return;
      await dialect.wake(http, asleepAt, signal);
      asleepAt = undefined;
      watch.reset();
    },
    async check(signal) {
      if (!(await dialect.isUp(http, signal))) {
        throw new EngineError('EngineUnreachable', 'The engine says that it is not healthy.');
      }
      if (asleepAt !== undefined) return;
      const { running, waiting, steps } = await dialect.figures(http, signal);
      const stuck = watch.look({ busy: running + waiting, steps });
      if (stuck === undefined) return;
      // The figures of an idle engine can be old ones: only one that does not even answer this hangs.
      await dialect.probe(http, salt(), signal).catch(() => {
        throw stuck;
      });
      watch.reset();
    },
    async identity(signal) {
      return { build: start.build ?? `${start.buildPrefix}:${await dialect.version(http, signal)}` };
    },
    async load(signal) {
      if (asleepAt !== undefined) return { running: 0, waiting: 0 };
      const { steps: _steps, ...figures } = await dialect.figures(http, signal);
      return figures;
    },
    memory: async () => ({ residentBytes: await residentBytes(start.instance, group.pid) }),
    stop: async (graceMs) => {
      await group.stop(graceMs);
      return exited;
    },
  };
}

function salt(): string {
  return randomBytes(16).toString('hex');
}

async function residentBytes(instance: string, pid: number): Promise<number> {
  const leader = await readProcess(pid);
  return readGroupBytes({ instance, ...(leader === undefined ? {} : { leader }) });
}

interface Waiting {
  readonly dialect: EngineDialect;
  readonly http: EngineHttp;
  readonly exited: Promise<EngineExit>;
  readonly clock: Clock;
}

/** Asks until the engine is up. Its HTTP may not answer at all for minutes; only its end says that it failed. */
async function whenUp({ dialect, http, exited, clock }: Waiting, signal: AbortSignal): Promise<void> {
  const ended = new AbortController();
  void exited.then((exit) => ended.abort(new EngineError('EngineExited', describeExit(exit))));
  const parent = AbortSignal.any([signal, ended.signal]);
  for (;;) {
    const question = deadlineSignal(clock, QUESTION_MS_MAX, { reason: new Error('no answer yet'), parent });
    const isUp = await dialect.isUp(http, question.signal).catch(() => false);
    question.cancel();
    parent.throwIfAborted();
    if (isUp) return;
    await delay(clock, ASK_EVERY_MS, parent);
  }
}

const modelsSchema = z.object({ data: z.array(z.object({ id: z.string() })).max(1000) });

/** That the answers come from the process that we started, which alone knows key and name. */
async function checkServes(
  http: EngineHttp,
  { servedName, port }: { servedName: string; port: number },
  signal: AbortSignal,
): Promise<void> {
  const what = { method: 'GET', path: '/v1/models', answer: modelsSchema, refused: 'LoadFailed' } as const;
  const { data } = await demandJson(http, what, signal);
  if (data.some(({ id }) => id === servedName)) return;
  throw new EngineError(
    'LoadFailed',
    `Port ${port} answers, but does not serve ${servedName}: another program has it.`,
  );
}

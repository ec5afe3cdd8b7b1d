// One chaos run from start to stop: a Stoker of its own, the fleet, the load, the kills, then quiet, and a look at what is
// left. Gathers sentences about everything that was wrong; prints nothing.
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Agent } from 'undici';
import { delay, systemClock } from '../../src/lib/clock.ts';
import { personApi } from '../support/person-api.ts';
import { type RunningStoker, startStoker } from '../support/running-stoker.ts';
import { type Callers, startCallers } from './callers.ts';
import { agentAddresses, type Census, openFiles, readFigures, takeCensus } from './census.ts';
import { callChat } from './chat-call.ts';
import { type JudgedCall, judgeCalls, judgeResidence } from './judge.ts';
import { type Death, killAsPlanned } from './killer.ts';
import { type PartProcess, partKinds } from './part-processes.ts';
import { type ChaosModel, modelObject, planKills, planModels, poolObject, SLEEPERS_PER_SLOT, SLOTS } from './plan.ts';
import { followRouterLog, type RouterLog } from './router-log.ts';

export interface ChaosOptions {
  readonly seed: number;
  readonly durationMs: number;
  readonly dataDir: string;
  onProgress(progress: Progress): void;
}

export interface Progress {
  readonly phase: 'load' | 'quiet';
  readonly elapsedMs: number;
  readonly calls: readonly JudgedCall[];
  readonly running: number;
  readonly deaths: readonly Death[];
}

export interface ChaosReport {
  readonly calls: readonly JudgedCall[];
  readonly lines: RouterLog['lines'];
  readonly deaths: readonly Death[];
  readonly census: Census;
  /** What each model needed to be served once the kills were over. */
  readonly revivalMs: readonly number[];
  /** Why instances failed, as their agents logged it: each time, one reason. */
  readonly failures: readonly string[];
  readonly wrongs: readonly string[];
}

const LOOK_EVERY_MS = 500;
/** With every fault on, a model may need several starts, with growing pauses between them. */
const REVIVAL_MS_MAX = 120_000;
/** Time for sockets to idle out and for the last statuses to be written. */
const QUIET_MS = 8000;
/** Open files and timers at rest: what is kept alive between parts, with room. */
const OPEN_FILES_AT_REST_MAX = 120;
const atRestMax = { timer: 60, socket: 40, child: 8 } as const;
const RESIDENT_MIB_MAX = 400;

interface World extends ChaosOptions {
  readonly stoker: RunningStoker;
  readonly models: readonly ChaosModel[];
  readonly census: Census;
  readonly log: RouterLog;
  readonly deaths: Death[];
  readonly wrongs: Set<string>;
}

export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const stoker = await startStoker({ dataDir: options.dataDir });
  const world: World = {
    ...options,
    stoker,
    models: planModels(options.seed),
    census: takeCensus(stoker.process.pid ?? -1),
    log: followRouterLog(join(options.dataDir, 'logs/router.log')),
    deaths: [],
    wrongs: new Set(),
  };
  try {
    await createFleet(world);
    const callers = await underLoad(world);
    const revivalMs = await reviveAll(world);
    await lookAtRest(world);
    judgeAll(world, callers.calls);
    return {
      ...world,
      calls: callers.calls,
      lines: world.log.lines,
      revivalMs,
      failures: readFailures(options.dataDir),
      wrongs: [...world.wrongs],
    };
  } finally {
    await stop(world);
  }
}

async function createFleet({ stoker, models }: World): Promise<void> {
  const api = personApi(stoker.kubeconfig);
  await api.create(poolObject(), ...models.map(modelObject));
  const readySlots = async () => (await api.get<{ status?: { ready?: number } }>('Pool', 'chaos')).status?.ready;
  await api.until(async () => (await readySlots()) === SLOTS, `${SLOTS} slots`);
  await api.close();
}

async function underLoad(world: World): Promise<Callers> {
  const { stoker, seed, models, durationMs, deaths } = world;
  const startedMs = systemClock.nowMs();
  const callers = startCallers({ url: stoker.addresses.openai, seed, models });
  const over = new AbortController();
  const looking = watch(world, over.signal, () =>
    world.onProgress({
      phase: 'load',
      elapsedMs: systemClock.nowMs() - startedMs,
      calls: callers.calls,
      running: callers.runningCount(),
      deaths,
    }),
  );
  const plan = planKills(seed, durationMs);
  await Promise.all([
    killAsPlanned(stoker.process.pid ?? -1, plan, { deaths, signal: over.signal }),
    delay(systemClock, durationMs),
  ]);
  await callers.stop();
  over.abort(new Error('the load is over'));
  await looking;
  return callers;
}

/** Looks at processes, the log and the figures of every part until the signal aborts. */
async function watch(world: World, signal: AbortSignal, onLook: () => void): Promise<void> {
  while (!signal.aborted) {
    await lookOnce(world);
    onLook();
    await delay(systemClock, LOOK_EVERY_MS, signal).catch(() => undefined);
  }
}

async function lookOnce(world: World): Promise<readonly PartProcess[]> {
  const { census, log, wrongs, dataDir, stoker } = world;
  const parts = census.look();
  log.read();
  const addresses = [...agentAddresses(dataDir, parts), stoker.addresses.controller];
  for (const figures of await Promise.all(addresses.map(readFigures))) {
    for (const [name, value] of figures ?? [])
      if (value > 0 && mistakes.test(name)) wrongs.add(`a part counts a mistake of its own: ${name}`);
  }
  return parts;
}

const mistakes = /^stoker_(agent_double_residence_total|plan_findings_total)/;

/** Faults stay on, kills are over: every model must be served again. */
async function reviveAll(world: World): Promise<number[]> {
  const dispatcher = new Agent();
  const startedMs = systemClock.nowMs();
  const times: number[] = [];
  for (const model of world.models) {
    const beganMs = systemClock.nowMs();
    for (let turn = 1; ; turn += 1) {
      const wish = { url: world.stoker.addresses.openai, dispatcher, id: `revive-${model.name}-${turn}`, stream: true };
      const end = await callChat(
        { ...wish, model: model.name, prompt: 'Are you back?', maxTokens: 10 },
        systemClock.nowMs,
      );
      if (end.ending === 'whole') break;
      if (systemClock.nowMs() - beganMs < REVIVAL_MS_MAX) continue;
      world.wrongs.add(`${model.name} is not served ${REVIVAL_MS_MAX} ms after the kills: ${end.ending} ${end.code}`);
      break;
    }
    times.push(systemClock.nowMs() - beganMs);
    world.onProgress({ phase: 'quiet', elapsedMs: systemClock.nowMs() - startedMs, calls: [], running: 0, deaths: [] });
  }
  await dispatcher.close();
  return times;
}

async function lookAtRest(world: World): Promise<void> {
  const { census, wrongs, dataDir, stoker } = world;
  await delay(systemClock, QUIET_MS);
  const parts = await lookOnce(world);
  for (const left of census.leftBeside(parts)) wrongs.add(`process ${left.pid} (${left.kind}) belongs to nobody`);
  for (const wrong of [...judgeCounts(parts), ...judgeOpenFiles(parts)]) wrongs.add(wrong);
  const { controller, status } = stoker.addresses;
  for (const address of [controller, status, ...agentAddresses(dataDir, parts)])
    for (const wrong of await judgeResources(address)) wrongs.add(wrong);
}

function judgeCounts(parts: readonly PartProcess[]): string[] {
  return partKinds.flatMap((kind) => {
    const count = parts.filter((part) => part.kind === kind).length;
    // The demo has a slot, too.
    const most = { engine: SLOTS * (SLEEPERS_PER_SLOT + 1), agent: SLOTS + 1 }[kind as string] ?? 1;
    const isRight = kind === 'engine' ? count <= most : count === most;
    return isRight ? [] : [`there are ${count} processes of kind ${kind} at rest`];
  });
}

function judgeOpenFiles(parts: readonly PartProcess[]): string[] {
  return parts.flatMap(({ pid, kind }) => {
    const files = openFiles(pid);
    return files > OPEN_FILES_AT_REST_MAX ? [`${kind} has ${files} open files at rest`] : [];
  });
}

async function judgeResources(address: string): Promise<string[]> {
  const figures = (await readFigures(address)) ?? (await readFigures(address));
  if (figures === undefined) return [`${address} does not answer at rest`];
  return Object.entries(atRestMax).flatMap(([kind, most]) => {
    const count = figures.get(`stoker_process_resources{kind="${kind}"}`) ?? Number.POSITIVE_INFINITY;
    return count > most ? [`${address} has ${count} of kind ${kind} at rest`] : [];
  });
}

function judgeAll({ log, deaths, wrongs, census, dataDir }: World, calls: readonly JudgedCall[]): void {
  const routerDeathsMs = deaths.filter(({ kind }) => kind === 'router').map(({ atMs }) => atMs);
  const lines = new Map([...log.lines].filter(([id]) => !id.startsWith('revive-')));
  for (const wrong of [...judgeCalls(calls, { lines, routerDeathsMs }), ...judgeResidence(calls, lines)])
    wrongs.add(wrong);
  for (const [kind, { residentMiB }] of census.peaks)
    if (residentMiB > RESIDENT_MIB_MAX) wrongs.add(`${kind} held ${Math.round(residentMiB)} MiB`);
  for (const name of ['controller', 'router', 'local-api', 'local-node', 'up'])
    for (const line of readFileSync(join(dataDir, 'logs', `${name}.log`), 'utf8').split('\n'))
      if (/"level":(50|60)|AssertionError/.test(line)) wrongs.add(`${name} logged an error: ${line.slice(0, 300)}`);
}

function readFailures(dataDir: string): string[] {
  const logs = globSync('pods/*/containers/agent/output.log*', { cwd: dataDir });
  return logs.flatMap((log) =>
    readFileSync(join(dataDir, log), 'utf8')
      .split('\n')
      .flatMap((line) => (line.includes('"the instance failed"') ? [/"reason":"(\w+)"/.exec(line)?.[1] ?? ''] : [])),
  );
}

async function stop({ stoker, census, wrongs }: World): Promise<void> {
  await stoker.stop();
  for (const left of census.leftBeside([])) wrongs.add(`process ${left.pid} (${left.kind}) is left after the end`);
}

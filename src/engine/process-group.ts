// One engine's process group: spawned detached with a minimal environment, its standard input held open so that it
// notices when we are gone. Ends the whole group, and every process that carries its instance id; never anybody else.
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { type Clock, delay } from '../lib/clock.ts';
import type { EngineExit } from '../ports/engine.ts';
import { createLineReader, createTail } from './bounded-lines.ts';
import { EngineError } from './engine-error.ts';
import type { GroupRecords } from './group-records.ts';
import { findMembers, INSTANCE_VARIABLE, readProcess } from './proc.ts';

/** How much of the error output is kept for a person. */
const LAST_WORDS_BYTES_MAX = 2048;
/** How often we look whether killed processes are gone. */
const SWEEP_EVERY_MS = 50;
/** How long killed processes get to vanish; one in uninterruptible sleep can outlast any signal. */
const SWEEP_MS_MAX = 10_000;

/** Variables of our own environment that an engine may see. Everything else (tokens, keys) stays with us. */
const passedOn = [
  'PATH',
  'HOME',
  'LANG',
  'LC_ALL',
  'TZ',
  'TMPDIR',
  'LD_LIBRARY_PATH',
  'CUDA_VISIBLE_DEVICES',
  'NVIDIA_VISIBLE_DEVICES',
  'NODE_COMPILE_CACHE',
] as const;

export type Environment = Readonly<Record<string, string | undefined>>;

export interface GroupOptions {
  readonly instance: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Written to its standard input as the first line. Never in its arguments: other users can read those. */
  readonly firstLine?: string;
  readonly environment: Environment;
  /** Set besides, in the place of what our own engines get. */
  readonly variables?: Readonly<Record<string, string>>;
  /** It is not one of ours: lines and last words are looked for on both of its streams. */
  readonly mixesStreams?: boolean;
  readonly onLine: (line: string) => void;
  readonly records: GroupRecords;
  readonly clock: Clock;
}

export interface ProcessGroup {
  readonly pid: number;
  /** Resolves when the leader and every process that carries the instance id are gone. Never rejects. */
  readonly exited: Promise<EngineExit>;
  isRunning(): boolean;
  /** SIGTERM, then SIGKILL after `graceMs`. Resolves with `exited`. */
  stop(graceMs: number): Promise<EngineExit>;
}

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

/** Rejects with a sentence when the program cannot be started. */
export async function spawnGroup(options: GroupOptions): Promise<ProcessGroup> {
  const child = spawn(options.command, [...options.args], {
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: engineEnvironment(options),
  });
  const words = createTail(LAST_WORDS_BYTES_MAX);
  const left = new Promise<EngineExit>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal, lastWords: '' }));
  });
  child.stdout.on('data', createLineReader(options.onLine));
  child.stderr.on('data', (bytes: Buffer) => words.push(bytes));
  if (options.mixesStreams === true) {
    child.stdout.on('data', (bytes: Buffer) => words.push(bytes));
    child.stderr.on('data', createLineReader(options.onLine));
  }
  // The pipe breaks when the child ends; its exit says so already.
  for (const stream of [child.stdin, child.stdout, child.stderr]) stream.on('error', () => {});
  const pid = await spawned(child, options.command);
  if (options.firstLine !== undefined) child.stdin.write(`${options.firstLine}\n`);
  const startTicks = (await readProcess(pid))?.startTicks ?? '';
  const leader = { pid, startTicks };
  await options.records.add({ instance: options.instance, ...leader });
  const exited = left.then(async (exit) => {
    await sweep({ instance: options.instance, leader }, options.clock);
    await options.records.remove(options.instance);
    return { ...exit, lastWords: words.text() };
  });
  const isRunning = () => child.exitCode === null && child.signalCode === null;
  return {
    pid,
    exited,
    isRunning,
    async stop(graceMs) {
      if (isRunning()) await endLeader(pid, { graceMs, clock: options.clock, left });
      return exited;
    },
  };
}

// Two arenas: glibc's default keeps memory of many threads and an engine would grow at every reload.
const ownVariables = { MALLOC_ARENA_MAX: '2' };

function engineEnvironment({ instance, environment, variables }: GroupOptions): Record<string, string> {
  const kept: Record<string, string> = { PATH: '/usr/local/bin:/usr/bin:/bin' };
  for (const name of passedOn) {
    const value = environment[name];
    if (value !== undefined) kept[name] = value;
  }
  return { ...kept, ...(variables ?? ownVariables), [INSTANCE_VARIABLE]: instance };
}

function spawned(child: Child, command: string): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', (error) =>
      reject(new EngineError('StartFailed', `The engine ${command} could not be started: ${error.message}`)),
    );
    child.once('spawn', () => resolve(child.pid ?? 0));
  });
}

async function endLeader(
  pid: number,
  options: { graceMs: number; clock: Clock; left: Promise<unknown> },
): Promise<void> {
  signalGroup(pid, 'SIGTERM');
  const timer = options.clock.after(options.graceMs, () => signalGroup(pid, 'SIGKILL'));
  await options.left;
  timer.cancel();
}

/** Only called while the leader has not been waited for: until then its number belongs to this group. */
function signalGroup(pid: number, signal: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // The group is gone already.
  }
}

/** Ends what the leader left behind. Looks again until nothing is found, because a dying process may still fork. */
export async function sweep(
  membership: { instance: string; leader?: { pid: number; startTicks: string } },
  clock: Clock,
): Promise<void> {
  const endMs = clock.nowMs() + SWEEP_MS_MAX;
  while (clock.nowMs() < endMs) {
    const members = await findMembers(membership);
    if (members.length === 0) return;
    for (const pid of members) kill(pid);
    await delay(clock, SWEEP_EVERY_MS);
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself.
  }
}

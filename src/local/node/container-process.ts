// One run of a container: a child process in a session of its own, its standard input held open so that it notices when the
// node is gone, its output in a rotating file. When the leader ends, everything that it left behind ends with it.
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Readable, Writable } from 'node:stream';
import { type Clock, delay } from '../../lib/clock.ts';
import type { Command } from './command.ts';
import type { ContainerFolder } from './pod-folder.ts';
import { readStartTicks, sweepProcesses } from './processes.ts';
import { openRotatingLog } from './rotating-log.ts';

export interface ProcessOptions {
  readonly podUid: string;
  readonly container: string;
  readonly command: Command;
  readonly environment: Readonly<Record<string, string>>;
  readonly folder: ContainerFolder;
  readonly clock: Clock;
}

export interface ProcessExit {
  /** As a shell says it: 128 and the signal's number when a signal ended it. */
  readonly exitCode: number;
  readonly signal: number | undefined;
  /** Why it could not be started at all. */
  readonly startError: string | undefined;
}

export interface ContainerProcess {
  readonly isStarted: boolean;
  /** Resolves when the leader and all that belongs to it are gone. Never rejects. */
  readonly ended: Promise<ProcessExit>;
  terminate(): void;
  kill(): void;
}

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

/** What the leader wrote last may still be in the pipes when it is gone; this long we wait for it. */
const LAST_OUTPUT_MS_MAX = 500;
/** The exit code of a command that cannot be started, as container runtimes say it. */
const START_ERROR_CODE = 128;

export function startProcess(options: ProcessOptions): ContainerProcess {
  const child = spawnChild(options);
  if (typeof child === 'string') return neverStarted(child);
  const log = openRotatingLog(options.folder.logFile);
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  // A pipe breaks when the child ends; its exit says so already.
  for (const stream of [child.stdin, child.stdout, child.stderr, log]) stream.on('error', () => {});
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  const left = new Promise<ProcessExit>((resolve) => {
    child.once('exit', (code, signal) => resolve(describeExit(code, signal)));
    child.once('error', (error) => resolve({ ...describeExit(START_ERROR_CODE, null), startError: error.message }));
  });
  const { pid } = child;
  return {
    isStarted: pid !== undefined,
    ended: pid === undefined ? left : followToEnd(options, pid, { left, closed, child, log }),
    terminate: () => void child.kill('SIGTERM'),
    kill() {
      // Until the leader was waited for, its number names this group and no other.
      if (pid !== undefined && child.exitCode === null && child.signalCode === null) killGroup(pid);
    },
  };
}

function spawnChild({ command, environment }: ProcessOptions): Child | string {
  try {
    return spawn(command.command, [...command.args], {
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...environment },
    });
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function neverStarted(startError: string): ContainerProcess {
  const exit = { ...describeExit(START_ERROR_CODE, null), startError };
  return { isStarted: false, ended: Promise.resolve(exit), terminate() {}, kill() {} };
}

interface Running {
  readonly left: Promise<ProcessExit>;
  readonly closed: Promise<void>;
  readonly child: Child;
  readonly log: Writable;
}

async function followToEnd(
  options: ProcessOptions,
  pid: number,
  { left, closed, child, log }: Running,
): Promise<ProcessExit> {
  const { podUid, container, folder, clock } = options;
  const leader = { pid, startTicks: await readStartTicks(pid) };
  if (leader.startTicks !== '') folder.recordLeader(leader);
  const exit = await left;
  await sweepProcesses({ podUid, container, leader }, clock);
  const giveUp = new AbortController();
  const late = delay(clock, LAST_OUTPUT_MS_MAX, giveUp.signal).catch(() => undefined);
  await Promise.race([closed, late]);
  giveUp.abort();
  child.stdin.destroy();
  child.stdout.destroy();
  child.stderr.destroy();
  log.end();
  folder.forgetLeader();
  return exit;
}

function describeExit(code: number | null, signal: NodeJS.Signals | null): ProcessExit {
  const number = signal === null ? undefined : constants.signals[signal];
  return { exitCode: number === undefined ? (code ?? 0) : 128 + number, signal: number, startError: undefined };
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // The group is gone already.
  }
}

// One program of the control plane: started with a log file, ended by its handle, and never left behind. Where setpriv
// exists the kernel ends it with us, also when we are killed.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { delay, systemClock } from '../../../src/lib/clock.ts';

const STOP_MS_MAX = 3000;
const SETPRIV = ['/usr/bin/setpriv', '/bin/setpriv'].find((path) => existsSync(path));

export interface Daemon {
  readonly name: string;
  readonly pid: number;
  /** Polls until `isReady` says true. Rejects with the end of the log when the program ends first, or is late. */
  ready(isReady: () => Promise<boolean>, msMax: number): Promise<void>;
  /** SIGTERM, and SIGKILL when it does not end (`SIGKILL` at once when asked). Resolves once it is gone. */
  stop(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  log(): string;
}

export interface DaemonOptions {
  /** A command that goes before the program, such as the one that enters a network namespace. */
  readonly prefix?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

export function startDaemon(
  program: string,
  args: readonly string[],
  logFile: string,
  { prefix = [], env = process.env }: DaemonOptions = {},
): Daemon {
  const name = basename(program);
  const file = openSync(logFile, 'a');
  const guard = SETPRIV === undefined ? [] : [SETPRIV, '--pdeathsig', 'KILL', '--'];
  const [command = program, ...all] = [...guard, ...prefix, program, ...args];
  // A group of its own: Ctrl-C reaches the test alone, which then ends everything in order.
  const child = spawn(command, all, { stdio: ['ignore', file, file], detached: true, env });
  closeSync(file);
  let failure: string | undefined;
  child.once('error', (error) => {
    failure = error.message;
  });
  const gone = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  const log = () => readFileSync(logFile, 'utf8');
  return {
    name,
    pid: child.pid ?? -1,
    log,
    async ready(isReady, msMax) {
      const endMs = performance.now() + msMax;
      while (!(await isReady().catch(() => false))) {
        const end =
          failure ?? endOf(child) ?? (performance.now() > endMs ? `is not ready after ${msMax} ms` : undefined);
        if (end !== undefined) throw new Error(`${name} ${end}:\n${log().slice(-3000)}`);
        await delay(systemClock, 50);
      }
    },
    async stop(signal = 'SIGTERM') {
      if (failure !== undefined || endOf(child) !== undefined) return;
      child.kill(signal);
      const killer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
      await gone;
      clearTimeout(killer);
    },
  };
}

function endOf({ exitCode, signalCode }: ChildProcess): string | undefined {
  if (exitCode !== null) return `ended with ${exitCode}`;
  return signalCode === null ? undefined : `was ended by ${signalCode}`;
}

// One of Stoker's own processes, started as a person or a container starts it. Its log is kept, and it is ended by its
// handle.
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Facts, PartMessage } from '../../../src/main/part.ts';

export interface StokerProcess {
  readonly pid: number;
  /** Resolves once it says that it is ready; rejects with its log when it ends before. */
  readonly ready: Promise<Facts>;
  /** Resolves with its exit code, or the signal that ended it. */
  readonly gone: Promise<number | string>;
  signal(name: NodeJS.Signals): void;
  /** SIGTERM, and waits. */
  stop(): Promise<number | string>;
  log(): string;
  /** Resolves once the log has this. */
  said(text: string, msMax?: number): Promise<void>;
}

const ownEntryPoint = join(import.meta.dirname, '../../../src/main/stoker.ts');
const STOP_MS_MAX = 15_000;
const SAID_MS_MAX = 30_000;

/** `entryPoint` is that of another release. */
export function startStokerProcess(
  args: readonly string[],
  environment: NodeJS.ProcessEnv = {},
  entryPoint: string = ownEntryPoint,
): StokerProcess {
  const child = spawn(process.execPath, [entryPoint, ...args], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: { PATH: process.env.PATH, ...environment },
  });
  let log = '';
  const listeners = new Set<() => void>();
  const read = (bytes: Buffer) => {
    log += bytes.toString('utf8');
    for (const listener of listeners) listener();
  };
  child.stdout?.on('data', read);
  child.stderr?.on('data', read);
  const gone = new Promise<number | string>((resolve) =>
    child.once('close', (code, signal) => {
      resolve(code ?? signal ?? 'ended');
      for (const listener of listeners) listener();
    }),
  );
  const ready = readiness(child, () => log);
  // Whoever does not wait for it looks at `gone`.
  ready.catch(() => undefined);
  return {
    pid: child.pid ?? -1,
    ready,
    gone,
    signal: (name) => void child.kill(name),
    log: () => log,
    async stop() {
      const killer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGCONT');
        child.kill('SIGTERM');
      }
      const end = await gone;
      clearTimeout(killer);
      return end;
    },
    said(text, msMax = SAID_MS_MAX) {
      return new Promise((resolve, reject) => {
        const end = (settle: () => void) => {
          clearTimeout(timer);
          listeners.delete(look);
          settle();
        };
        const look = () => {
          if (log.includes(text)) end(resolve);
          else if (child.exitCode !== null) end(() => reject(new Error(`it ended without saying "${text}":\n${log}`)));
        };
        const timer = setTimeout(
          () => end(() => reject(new Error(`it did not say "${text}" within ${msMax} ms:\n${log.slice(-3000)}`))),
          msMax,
        );
        listeners.add(look);
        look();
      });
    },
  };
}

function readiness(child: ChildProcess, log: () => string): Promise<Facts> {
  return new Promise((resolve, reject) => {
    child.on('message', (message: PartMessage) => {
      if (message.type === 'ready') resolve(message.facts);
    });
    child.once('close', (code, signal) => reject(new Error(`it ended with ${code ?? signal}:\n${log().slice(-3000)}`)));
  });
}

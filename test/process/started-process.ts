// One process that a test starts from a line that Stoker printed, and what it printed so far.
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { root } from '../support/running-stoker.ts';

export interface StartedProcess {
  readonly pid: number;
  /** Everything that it printed. */
  printed(): string;
  /** Resolves with the first group of the pattern once it was printed; rejects when the process ends before. */
  prints(pattern: RegExp): Promise<string>;
  /** Sends the signal and waits until it is gone. */
  end(signal: 'SIGINT' | 'SIGKILL'): Promise<void>;
}

/** `line` begins with `npx stoker`. */
export function startLine(line: string, more: readonly string[] = []): StartedProcess {
  const [npx, name, ...args] = line.trim().split(' ');
  if (npx !== 'npx' || name !== 'stoker') throw new Error(`"${line}" does not start with "npx stoker"`);
  const child = spawn(process.execPath, [join(root, 'bin/stoker.js'), ...args, ...more], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return follow(child);
}

/** A script of this repository. */
export function startScript(script: string, args: readonly string[]): StartedProcess {
  return follow(
    spawn(process.execPath, [join(root, script), ...args], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] }),
  );
}

function follow(child: ChildProcess): StartedProcess {
  let text = '';
  const waiting = new Set<() => void>();
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const read = (bytes: Buffer) => {
    text += bytes.toString('utf8');
    for (const look of waiting) look();
  };
  child.stdout?.on('data', read);
  child.stderr?.on('data', read);
  return {
    pid: child.pid ?? -1,
    printed: () => text,
    prints: (pattern) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const found = pattern.exec(text);
          if (found === null) return;
          waiting.delete(look);
          resolve(found[1] ?? '');
        };
        waiting.add(look);
        void gone.then(() => reject(new Error(`it ended without printing ${pattern}: ${text}`)));
        look();
      }),
    async end(signal) {
      child.kill(signal);
      await gone;
    },
  };
}

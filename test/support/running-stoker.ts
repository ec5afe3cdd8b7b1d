// Starts a whole `stoker up` on free ports with a data folder of its own, for tests that go through the front door.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { z } from 'zod';
import { addressesSchema } from '../../src/api/addresses.ts';
import { delay, systemClock } from '../../src/lib/clock.ts';
import { descendants, isRunning, type ProcessRef } from './process-tree.ts';

export const root = join(import.meta.dirname, '../..');

/** Of a Stoker that runs all of its parts. */
const wholeAddresses = addressesSchema.required();

export interface RunningStoker {
  readonly process: ChildProcess;
  readonly dataDir: string;
  readonly addresses: z.infer<typeof wholeAddresses>;
  /** The person's token and CA for the Kubernetes API. */
  readonly kubeconfig: string;
  /** Everything that was printed so far. */
  screen(): string;
  /** Sends SIGINT and waits. Returns the processes that are still there (none, if all is well). */
  stop(): Promise<readonly ProcessRef[]>;
}

const FREE_PORTS = ['--port', '0', '--admin-port', '0', '--api-port', '0', '--link-port', '0'];

/** Resolves once the screen is complete; rejects with what was printed when it ends before. */
export async function startStoker(
  options: {
    args?: readonly string[];
    ports?: readonly string[];
    dataDir?: string;
    /** Over the variables of the test. */
    environment?: Readonly<Record<string, string>>;
  } = {},
): Promise<RunningStoker> {
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'stoker-test-'));
  const args = [
    'bin/stoker.js',
    'up',
    '--data-dir',
    dataDir,
    ...(options.ports ?? FREE_PORTS),
    ...(options.args ?? []),
  ];
  const env = { ...process.env, ...options.environment };
  const child = spawn(process.execPath, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let printed = '';
  await new Promise<void>((resolve, reject) => {
    const read = (bytes: Buffer) => {
      printed += bytes.toString('utf8');
      if (printed.includes('Ctrl-C stops everything')) resolve();
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.once('exit', (code) => reject(new Error(`stoker up ended with ${code}: ${printed}`)));
  });
  return {
    process: child,
    dataDir,
    addresses: wholeAddresses.parse(JSON.parse(readFileSync(join(dataDir, 'addresses.json'), 'utf8'))),
    kubeconfig: join(dataDir, 'kubeconfig'),
    screen: () => printed,
    stop: () => stopStoker(child, dataDir, options.dataDir === undefined),
  };
}

async function stopStoker(child: ChildProcess, dataDir: string, removeData: boolean): Promise<readonly ProcessRef[]> {
  const family = descendants(child.pid ?? -1);
  if (child.exitCode === null) {
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill('SIGINT');
    await gone;
  }
  for (let tries = 0; tries < 40 && family.some(isRunning); tries += 1) await delay(systemClock, 50);
  if (removeData) rmSync(dataDir, { recursive: true, force: true });
  return family.filter(isRunning);
}

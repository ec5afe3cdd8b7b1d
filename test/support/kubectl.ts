// Runs kubectl as a person does: with one kubeconfig, and a home and a cache of its own. Finds the kubectl on PATH or the
// one that scripts/ensure-kubectl.sh built.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface Kubectl {
  /** Throws what kubectl said unless it ended with 0. Returns what it printed. */
  ok(...args: string[]): Promise<string>;
  run(args: readonly string[], input?: string): Promise<Run>;
  /** The process, for commands that do not end by themselves. */
  start(...args: string[]): ChildProcess;
}

const built = fileURLToPath(new URL('../../.cache/bin', import.meta.url));
const RUN_MS_MAX = 30_000;

function findKubectl(): string {
  const folders = [...(process.env.PATH ?? '').split(delimiter), built];
  const path = folders.map((folder) => join(folder, 'kubectl')).find((candidate) => existsSync(candidate));
  if (path === undefined) throw new Error('There is no kubectl here. Run scripts/ensure-kubectl.sh to build one.');
  return path;
}

export function createKubectl(kubeconfig: string, home: string): Kubectl {
  const command = findKubectl();
  const environment = { PATH: process.env.PATH, HOME: home, KUBECONFIG: kubeconfig, KUBECACHEDIR: join(home, 'cache') };
  const start = (...args: string[]) => spawn(command, args, { env: environment, stdio: ['pipe', 'pipe', 'pipe'] });
  const run = (args: readonly string[], input = '') =>
    new Promise<Run>((resolve, reject) => {
      const child = start(...args);
      const timer = setTimeout(() => child.kill('SIGKILL'), RUN_MS_MAX);
      const texts = { out: '', err: '' };
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        texts.out += text;
      });
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        texts.err += text;
      });
      child.on('error', reject);
      child.on('close', (code) => {
        clearTimeout(timer);
        resolve({ code: code ?? -1, ...texts });
      });
      child.stdin.on('error', () => undefined).end(input);
    });
  return {
    start,
    run,
    async ok(...args) {
      const { code, out, err } = await run(args);
      if (code !== 0) throw new Error(`kubectl ${args.join(' ')} ended with ${code}: ${err}${out}`);
      return out;
    },
  };
}

// Runs one command of the machine to its end: the network, the container runtime, image builds. Never through a shell.
import { spawn } from 'node:child_process';

const OUTPUT_CHARS_MAX = 20_000;

export interface CommandOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly msMax?: number;
}

export class CommandError extends Error {
  override readonly name = 'CommandError';
}

/** What it printed. Throws CommandError with the end of what it said unless it ended with 0. */
export function runCommand([program = '', ...args]: readonly string[], options: CommandOptions = {}): Promise<string> {
  const { cwd, env = process.env, msMax = 60_000 } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env,
      ...(cwd === undefined ? {} : { cwd }),
    });
    const texts = { out: '', err: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      texts.out += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      texts.err = (texts.err + text).slice(-OUTPUT_CHARS_MAX);
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), msMax);
    const refuse = (why: string) =>
      reject(new CommandError(`${[program, ...args].join(' ')} ${why}:\n${(texts.err || texts.out).slice(-3000)}`));
    child.once('error', (error) => refuse(`cannot be run (${error.message})`));
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      if (code === 0) resolve(texts.out);
      else refuse(signal === null ? `ended with ${code}` : `was ended by ${signal} (it may take ${msMax} ms)`);
    });
  });
}

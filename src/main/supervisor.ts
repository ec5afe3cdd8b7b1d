// Starts the parts of `stoker up` as child processes, restarts the ones that die, and ends them in order.
// Owns the children by handle: it never signals a process that it did not start.
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { backoffDelayMs } from '../lib/backoff.ts';
import { type Clock, delay } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { Rng } from '../lib/rng.ts';
import { openRotatingFile, type RotatingFile } from './log-file.ts';
import { type Facts, type PartMessage, StartError } from './part.ts';

export interface ChildSpec {
  readonly name: string;
  /** Arguments after `stoker`. Called again at each start, with the facts of the last one, so that a port once picked is kept. */
  args(last: Facts | undefined): readonly string[];
  /** How long it may take to stop before it is killed. */
  readonly stopMsMax: number;
}

export interface Supervised {
  readonly name: string;
  /** Starts the child and resolves with its facts once it is ready; from then on it is restarted when it dies. Rejects
   * with StartError and the child's own sentence when it cannot start. Called once. */
  start(): Promise<Facts>;
  /** Asks it to stop, also while it starts, kills it when it does not, and waits until it is gone. */
  stop(): Promise<void>;
}

interface SupervisorOptions {
  /** What is started, with the arguments of the child behind its own: stokerCommand. */
  readonly program: { readonly command: string; readonly args: readonly string[] };
  readonly logFolder: string;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  /** Called when a part died by itself; it is being restarted. */
  onRestart(name: string): void;
}

const RESTART = { baseMs: 200, capMs: 10_000 };
/** A part that ran this long starts its backoff anew when it dies. */
const STEADY_MS = 30_000;
const entryPoint = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? './stoker.ts' : './stoker.js', import.meta.url),
);

/** How any process of ours is started: the same Node, the same entry point. */
export const stokerCommand = { command: process.execPath, args: [entryPoint] } as const;

/** A child that is not started yet. */
export function supervise(spec: ChildSpec, options: SupervisorOptions): Supervised {
  return new Keeper(spec, options);
}

class Keeper implements Supervised {
  readonly name: string;
  readonly #spec: ChildSpec;
  readonly #options: SupervisorOptions;
  readonly #file: RotatingFile;
  readonly #stopping = new AbortController();
  #child: ChildProcess | undefined;
  #gone: Promise<void> = Promise.resolve();
  #last: Facts | undefined;

  constructor(spec: ChildSpec, options: SupervisorOptions) {
    this.name = spec.name;
    this.#spec = spec;
    this.#options = options;
    this.#file = openRotatingFile(`${options.logFolder}/${spec.name}.log`);
  }

  async start(): Promise<Facts> {
    const facts = await this.#startOnce();
    void this.#keep();
    return facts;
  }

  /** One start, until the child says ready. */
  async #startOnce(): Promise<Facts> {
    const { name } = this.#spec;
    const { program } = this.#options;
    const child = spawn(program.command, [...program.args, ...this.#spec.args(this.#last)], {
      // A group of its own: Ctrl-C reaches the supervisor alone, which then ends the parts in order.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: childEnvironment(),
    });
    this.#child = child;
    this.#gone = new Promise((resolve) => child.once('close', () => resolve()));
    child.stdout?.on('data', (bytes: Buffer) => this.#file.write(bytes));
    child.stderr?.on('data', (bytes: Buffer) => this.#file.write(bytes));
    this.#last = await readiness(child, name);
    return this.#last;
  }

  /** Restarts the child each time it dies, until stop. */
  async #keep(): Promise<void> {
    const { clock, rng, log } = this.#options;
    let attempt = 0;
    for (;;) {
      const sinceMs = clock.nowMs();
      await this.#gone;
      if (this.#stopping.signal.aborted) return;
      attempt = clock.nowMs() - sinceMs > STEADY_MS ? 0 : attempt + 1;
      log.warn({ part: this.#spec.name, attempt }, 'a part ended by itself and is being restarted');
      this.#options.onRestart(this.#spec.name);
      try {
        await delay(clock, backoffDelayMs({ ...RESTART, attempt, rng }), this.#stopping.signal);
        await this.#startOnce();
      } catch (error) {
        if (this.#stopping.signal.aborted) return;
        log.warn({ part: this.#spec.name, error: String(error) }, 'a part could not be restarted');
      }
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('stopping'));
    const child = this.#child;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      if (child.connected) child.send({ type: 'stop' }, () => {});
      else child.kill('SIGTERM');
      const killer = this.#options.clock.after(this.#spec.stopMsMax, () => child.kill('SIGKILL'), { background: true });
      await this.#gone;
      killer.cancel();
    }
    await this.#file.close();
  }
}

/** The settings of the supervisor are given as flags: what the person's STOKER_* say must not reach the parts twice. */
function childEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('STOKER_')));
}

function readiness(child: ChildProcess, name: string): Promise<Facts> {
  return new Promise((resolve, reject) => {
    child.on('message', (message: PartMessage) => {
      if (message.type === 'ready') resolve(message.facts);
      else reject(new StartError(message.sentence));
    });
    child.on('error', (error) => reject(new StartError(`${name} could not be started: ${error.message}`)));
    child.once('close', (code, signal) =>
      reject(new StartError(`${name} ended before it was ready (${signal ?? `exit code ${code ?? '?'}`}).`)),
    );
  });
}

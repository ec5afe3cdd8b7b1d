// One container of a Pod over all its restarts: resolves its environment, runs it, follows its readiness, and starts it again
// after a growing wait as the restart policy says. Owns the container's state; the Pod reads it.
import type { ContainerSpec } from '../../api/kinds.ts';
import { backoffDelayMs } from '../../lib/backoff.ts';
import { type Clock, delay, type Timer } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import type { Result } from '../../lib/result.ts';
import type { Rng } from '../../lib/rng.ts';
import { renderDuration } from '../../lib/units.ts';
import { API_BACKOFF, RESTART_BACKOFF, STEADY_MS } from './bounds.ts';
import type { Command } from './command.ts';
import { type ContainerProcess, type ProcessExit, startProcess } from './container-process.ts';
import { type ContainerFolder, readLastWords } from './pod-folder.ts';
import type { ContainerState, Terminated } from './pod-status.ts';
import { followReadiness } from './readiness.ts';

export interface ContainerOptions {
  readonly spec: ContainerSpec;
  readonly podUid: string;
  readonly podIp: string;
  readonly command: Command;
  readonly folder: ContainerFolder;
  readonly restartPolicy: 'Always' | 'OnFailure' | 'Never';
  /** What an earlier node knew of it. */
  readonly before: { readonly restartCount: number; readonly lastState: Terminated | undefined };
  environment(): Promise<Result<Readonly<Record<string, string>>, string>>;
  onChange(): void;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
}

export class Container {
  readonly #options: ContainerOptions;
  readonly #ending = new AbortController();
  #state: ContainerState;
  #process: ContainerProcess | undefined;
  #killer: { readonly timer: Timer; readonly atMs: number } | undefined;

  constructor(options: ContainerOptions) {
    this.#options = options;
    this.#state = {
      name: options.spec.name,
      image: options.spec.image,
      ready: false,
      restartCount: options.before.restartCount,
      state: { waiting: { reason: 'ContainerCreating' } },
      lastState: options.before.lastState,
    };
  }

  get state(): ContainerState {
    return this.#state;
  }

  /** Resolves when the container has ended and will not be started again. Never rejects. */
  async run(): Promise<void> {
    let failures = 0;
    for (;;) {
      const environment = await this.#resolveEnvironment();
      if (environment === undefined) return;
      const { clock } = this.#options;
      const startedMs = clock.nowMs();
      const terminated = await this.#runOnce(environment);
      if (this.#ending.signal.aborted || !this.#startsAgain(terminated)) return;
      failures = clock.nowMs() - startedMs >= STEADY_MS ? 0 : failures + 1;
      await this.#waitForRestart(terminated, failures);
      if (this.#ending.signal.aborted) return;
      this.#change({ restartCount: this.#state.restartCount + 1 });
    }
  }

  /** Asks it to end, and kills it when `graceMs` are over. Calling it again can only make that sooner. */
  end(graceMs: number): void {
    const { clock } = this.#options;
    const wasEnding = this.#ending.signal.aborted;
    this.#ending.abort(new Error('the container is being ended'));
    const running = this.#process;
    if (running === undefined) return;
    const atMs = clock.nowMs() + graceMs;
    if (this.#killer !== undefined && this.#killer.atMs <= atMs) return;
    this.#killer?.timer.cancel();
    this.#killer = { atMs, timer: clock.after(graceMs, () => running.kill()) };
    if (!wasEnding) running.terminate();
  }

  /** Tries until the environment is complete; undefined when the container is being ended. */
  async #resolveEnvironment(): Promise<Readonly<Record<string, string>> | undefined> {
    const { environment, clock, rng } = this.#options;
    for (let attempt = 0; !this.#ending.signal.aborted; attempt += 1) {
      const resolved = await environment();
      if (this.#ending.signal.aborted) return undefined;
      if (resolved.ok) return resolved.value;
      this.#change({ state: { waiting: { reason: 'CreateContainerConfigError', message: resolved.error } } });
      await delay(clock, backoffDelayMs({ ...API_BACKOFF, attempt, rng }), this.#ending.signal).catch(() => undefined);
    }
    return undefined;
  }

  async #runOnce(environment: Readonly<Record<string, string>>): Promise<Terminated> {
    const { spec, podUid, command, folder, clock } = this.#options;
    const startedAt = this.#now();
    const started = startProcess({ podUid, container: spec.name, command, environment, folder, clock });
    this.#process = started;
    const over = new AbortController();
    let readiness: Promise<void> = Promise.resolve();
    if (started.isStarted) {
      this.#change({ state: { running: { startedAt } } });
      readiness = this.#followReadiness(over.signal);
    }
    const exit = await started.ended;
    over.abort();
    await readiness;
    this.#process = undefined;
    this.#killer?.timer.cancel();
    const message = exit.exitCode === 0 ? undefined : readLastWords(folder.mountRoot);
    const terminated = describeTermination(exit, { startedAt, finishedAt: this.#now(), message });
    this.#change({ ready: false, state: { terminated }, lastState: this.#state.lastState });
    return terminated;
  }

  #followReadiness(signal: AbortSignal): Promise<void> {
    const { spec, podIp, folder, clock } = this.#options;
    const onChange = (ready: boolean) => this.#change({ ready });
    return followReadiness({ container: spec, host: podIp, portsFile: folder.portsFile, clock, onChange }, signal);
  }

  #startsAgain({ exitCode }: Terminated): boolean {
    const { restartPolicy } = this.#options;
    return restartPolicy === 'Always' || (restartPolicy === 'OnFailure' && exitCode !== 0);
  }

  async #waitForRestart(terminated: Terminated, failures: number): Promise<void> {
    const { clock, rng, log, spec } = this.#options;
    const waitMs = backoffDelayMs({ ...RESTART_BACKOFF, attempt: Math.max(0, failures - 1), rng });
    const message = `It ended with exit code ${terminated.exitCode} and is started again in ${renderDuration(waitMs)}.`;
    this.#change({ state: { waiting: { reason: 'CrashLoopBackOff', message } }, lastState: terminated });
    log.warn(
      { container: spec.name, exitCode: terminated.exitCode, failures, waitMs: Math.round(waitMs) },
      'a container ended and is started again',
    );
    await delay(clock, waitMs, this.#ending.signal).catch(() => undefined);
    if (this.#ending.signal.aborted) this.#change({ state: { terminated } });
  }

  #now(): string {
    return new Date(this.#options.clock.wallMs()).toISOString().replace(/\.\d+Z$/, 'Z');
  }

  #change(change: Partial<ContainerState>): void {
    this.#state = { ...this.#state, ...change };
    this.#options.onChange();
  }
}

function describeTermination(
  exit: ProcessExit,
  {
    message,
    ...times
  }: { readonly startedAt: string; readonly finishedAt: string; readonly message: string | undefined },
): Terminated {
  const common = { exitCode: exit.exitCode, ...times, ...(message === undefined ? {} : { message }) };
  if (exit.startError !== undefined) return { ...common, reason: 'StartError', message: exit.startError };
  const reason = exit.exitCode === 0 ? 'Completed' : 'Error';
  return { ...common, reason, ...(exit.signal === undefined ? {} : { signal: exit.signal }) };
}

// The life of the simulated model inside its process: loading, ready, sleeping, asleep, waking, failed. One change at a time;
// a repeated order joins the one under way. Holds the accelerator memory, and is where faults of starts, wakes and sleeps
// strike. Must never serve while it is not ready; what failed stays failed until the process is started again.
import { type Clock, delay } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import type { ServerMetrics } from '../llama/metrics.ts';
import type { LoadPhases, MovedAnswer, ServerState } from '../llama/protocol.ts';
import { Busy, Refusal } from '../llama/refusal.ts';
import { type Accelerator, outOfMemory } from './accelerator.ts';
import { Batch } from './batch.ts';
import type { FaultAt, Faults } from './faults.ts';
import type { Times } from './times.ts';

/** How long a sleep waits for running requests. The caller drains before; this is for the last moment. */
const SLEEP_WAIT_MS_MAX = 5_000;
const FAILED_START = 'The model could not be loaded: the simulation says so (FailedStart).';
const FAILED_WAKE = 'The model could not be woken: the simulation says so (FailedWake).';
const FAILED_SLEEP = 'The model could not be put to sleep: the simulation says so (FailedSleep).';
const PARTIAL_WAKE = 'A part of the model is not in memory: the simulation says so (PartialWake).';

export interface SimHostOptions {
  readonly times: Times;
  readonly faults: Faults;
  readonly accelerator: Accelerator;
  readonly incarnation: number;
  readonly places: number;
  readonly queueMax: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: ServerMetrics;
  /** Called after every change of state. */
  readonly onChange: (host: SimHost) => void;
}

export class SimHost {
  readonly #options: SimHostOptions;
  readonly #abort = new AbortController();
  #state: ServerState = 'loading';
  #batch: Batch | undefined;
  #reason: string | undefined;
  #phases: LoadPhases | undefined;
  #level: 1 | 2 = 2;
  #wakes = 0;
  #sleeps = 0;
  #isPartial = false;
  #damage: string | undefined;
  #rising: Promise<void> | undefined;
  #sleeping: Promise<void> | undefined;

  constructor(options: SimHostOptions) {
    this.#options = options;
  }

  get state(): ServerState {
    return this.#state;
  }

  /** Why it failed. */
  get reason(): string | undefined {
    return this.#reason;
  }

  get phases(): LoadPhases | undefined {
    return this.#phases;
  }

  /** Names what a wake did to the weights; undefined while they are as loaded. */
  get damage(): string | undefined {
    return this.#damage;
  }

  get acceleratorBytes(): number {
    return this.#options.accelerator.bytes;
  }

  /** The batch whatever the state, for gauges. */
  get batch(): Batch | undefined {
    return this.#batch;
  }

  /** The batch that takes requests now. Throws a Refusal otherwise. */
  serving(): Batch {
    if (this.#state === 'failed') throw this.#failure();
    if (this.#state !== 'ready' || this.#batch === undefined) {
      throw new Refusal('model_warming', `The model takes no requests now: it is ${this.#state}.`);
    }
    if (this.#isPartial) throw new Refusal('internal_error', PARTIAL_WAKE);
    return this.#batch;
  }

  /** The first load. Never rejects: a failure is a state. */
  async start(freeBytes: number): Promise<void> {
    const { times, faults, incarnation } = this.#options;
    this.#rising = this.#rise('loading', {
      freeBytes,
      ms: times.loadMs(),
      fault: faults.draw('start', incarnation)?.kind,
    });
    await this.#rising.catch(() => {});
    this.#rising = undefined;
  }

  /** Releases the memory. Rejects with Busy when requests still run or the model is loading. */
  async sleep(level: 1 | 2): Promise<MovedAnswer> {
    const beganMs = this.#options.clock.nowMs();
    if (this.#state === 'failed') throw this.#failure();
    if (this.#rising !== undefined) throw new Busy(`The model is ${this.#state}: it cannot sleep yet.`);
    if (this.#state !== 'asleep') {
      this.#sleeping ??= this.#release(level).finally(() => {
        this.#sleeping = undefined;
      });
      await this.#sleeping;
    }
    return { tookMs: this.#since(beganMs) };
  }

  /** Rejects with a Refusal when the wake fails. */
  async wake(freeBytes: number): Promise<MovedAnswer> {
    const beganMs = this.#options.clock.nowMs();
    await this.#sleeping?.catch(() => {});
    if (this.#state === 'failed') throw this.#failure();
    if (this.#state !== 'ready') {
      this.#rising ??= this.#wakeOnce(freeBytes).finally(() => {
        this.#rising = undefined;
      });
      await this.#rising;
    }
    const tookMs = this.#since(beganMs);
    return this.#phases === undefined ? { tookMs } : { tookMs, phases: this.#phases };
  }

  /** Ends everything for good: cuts what runs with `reason`. */
  shutdown(reason: Refusal): void {
    this.#abort.abort(reason);
    this.#batch?.close(reason);
  }

  #wakeOnce(freeBytes: number): Promise<void> {
    this.#wakes += 1;
    const fault = this.#options.faults.draw('wake', this.#wakes)?.kind;
    return this.#rise('waking', { freeBytes, ms: this.#options.times.wakeMs(this.#level), fault });
  }

  async #rise(
    state: 'loading' | 'waking',
    { freeBytes, ms, fault }: { freeBytes: number; ms: number; fault: FaultAt<'start' | 'wake'> | undefined },
  ): Promise<void> {
    const { clock, log, metrics, accelerator } = this.#options;
    const beganMs = clock.nowMs();
    this.#enter(state);
    try {
      const misfit = fault === 'OutOfMemory' ? outOfMemory(accelerator.neededBytes, 0) : accelerator.misfit(freeBytes);
      if (misfit !== undefined) throw new Refusal('model_failed', misfit);
      accelerator.fill();
      await delay(clock, ms, this.#abort.signal);
      if (fault === 'FailedStart') throw new Refusal('model_failed', FAILED_START);
      if (fault === 'FailedWake') throw new Refusal('model_failed', FAILED_WAKE);
    } catch (error) {
      this.#fail(error);
      throw this.#failure();
    }
    if (fault === 'PartialWake') this.#isPartial = true;
    if (fault === 'CorruptWake') this.#damage = `wake ${this.#wakes}`;
    this.#phases = { startedMs: 0, loadedMs: this.#since(beganMs), warmedMs: 0 };
    metrics.loads.add(1);
    metrics.loadSeconds.add((clock.nowMs() - beganMs) / 1000);
    this.#batch = this.#createBatch();
    this.#enter('ready');
    log.info({ state, ms: this.#since(beganMs) }, 'The simulated model is awake.');
  }

  #createBatch(): Batch {
    const { times, accelerator, places, queueMax, clock, metrics } = this.#options;
    return new Batch({ places, queueMax, kvTokens: accelerator.kvTokens, stepMs: times.stepMs, clock, metrics });
  }

  async #release(level: 1 | 2): Promise<void> {
    const { clock, times, faults, accelerator } = this.#options;
    this.#enter('sleeping');
    const idle = (await this.#batch?.whenIdle(SLEEP_WAIT_MS_MAX)) ?? true;
    if (!idle) {
      this.#enter('ready');
      throw new Busy(`Requests still ran after ${SLEEP_WAIT_MS_MAX} ms: the model stays awake.`);
    }
    this.#sleeps += 1;
    const fault = faults.draw('sleep', this.#sleeps)?.kind;
    await delay(clock, times.sleepMs(), this.#abort.signal);
    if (fault === 'FailedSleep') {
      this.#enter('ready');
      throw new Refusal('internal_error', FAILED_SLEEP);
    }
    this.#batch?.close(new Refusal('model_warming', 'The model went to sleep.'));
    this.#batch = undefined;
    accelerator.release(fault === 'Leak');
    this.#level = level;
    this.#enter('asleep');
  }

  /** The memory stays held: a failed wake leaves it mapped (scaling.md §1.6), and only the end of the process frees it. */
  #fail(error: unknown): void {
    this.#reason = error instanceof Error ? error.message : String(error);
    this.#options.log.error({ reason: this.#reason }, 'The simulated model failed.');
    this.#enter('failed');
  }

  #failure(): Refusal {
    return new Refusal('model_failed', this.#reason ?? 'The model failed.');
  }

  #enter(state: ServerState): void {
    this.#state = state;
    this.#options.onChange(this);
  }

  #since(beganMs: number): number {
    return Math.round(this.#options.clock.nowMs() - beganMs);
  }
}

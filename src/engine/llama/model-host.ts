// The life of the model inside the process: loading, ready, sleeping, asleep, waking, failed. One change at a time;
// a repeated order joins the one under way. The process outlives the model: a sleeping or failed one costs almost nothing.
// Must never dispose of a model while a slot works on it.
import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import { EmbeddingLane } from './embedding-lane.ts';
import type { LoadedModel, LoadModel, Sequence } from './loaded-model.ts';
import type { ServerMetrics } from './metrics.ts';
import { warmUp } from './probe.ts';
import type { LoadPhases, ModelIdentity, MovedAnswer, ServerState } from './protocol.ts';
import { Busy, Refusal } from './refusal.ts';
import { Scheduler } from './scheduler.ts';
import type { StepBounds } from './step-plan.ts';

/** How long a sleep waits for running requests. The caller drains before; this is for the last moment. */
const SLEEP_WAIT_MS_MAX = 5_000;
/** Prompts that are read at once. More compete and every first token comes later. */
const PREFILLS_MAX = 2;
const PROGRESS_STEP = 0.1;

export interface HostOptions {
  readonly load: LoadModel;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: ServerMetrics;
  readonly queueMax: number;
  readonly prefillChunk: number;
  /** Milliseconds from the start of the process until now, for the first load's phases. */
  readonly startedMs: number;
  /** Called after every change of state and, while loading, of progress. */
  readonly onChange: (host: ModelHost) => void;
}

/** A loaded model with its slots. */
export interface Serving {
  readonly model: LoadedModel;
  readonly scheduler: Scheduler;
  readonly lane: EmbeddingLane;
}

export class ModelHost {
  readonly #options: HostOptions;
  readonly #abort = new AbortController();
  #state: ServerState = 'loading';
  #serving: Serving | undefined;
  #identity: ModelIdentity | undefined;
  #reason: string | undefined;
  #phases: LoadPhases | undefined;
  #progress: number | undefined;
  #loading: Promise<void> | undefined;
  #sleeping: Promise<void> | undefined;

  constructor(options: HostOptions) {
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

  get progress(): number | undefined {
    return this.#progress;
  }

  /** Of the model that was loaded last. */
  get identity(): ModelIdentity | undefined {
    return this.#identity;
  }

  /** The loaded model whatever the state, for gauges. */
  get loaded(): Serving | undefined {
    return this.#serving;
  }

  /** The model that takes requests now. Throws a Refusal otherwise. */
  serving(): Serving {
    if (this.#state === 'ready' && this.#serving !== undefined) return this.#serving;
    if (this.#state === 'failed') throw this.#failure();
    throw new Refusal('model_warming', `The model takes no requests now: it is ${this.#state}.`);
  }

  /** The first load. Never rejects: a failure is a state. */
  async start(): Promise<void> {
    await this.#load('loading', this.#options.startedMs).catch(() => {});
  }

  /** Releases the model. Rejects with Busy when requests still run or the model is loading. */
  async sleep(): Promise<MovedAnswer> {
    const beganMs = this.#options.clock.nowMs();
    if (this.#state === 'failed') throw this.#failure();
    if (this.#loading !== undefined) throw new Busy(`The model is ${this.#state}: it cannot sleep yet.`);
    if (this.#state !== 'asleep') {
      this.#sleeping ??= this.#release().finally(() => {
        this.#sleeping = undefined;
      });
      await this.#sleeping;
    }
    return { tookMs: Math.round(this.#options.clock.nowMs() - beganMs) };
  }

  /** Loads again, also after a failure. Rejects with a Refusal when the load fails. */
  async wake(): Promise<MovedAnswer> {
    const beganMs = this.#options.clock.nowMs();
    await this.#sleeping?.catch(() => {});
    if (this.#state !== 'ready') await (this.#loading ?? this.#load('waking', 0));
    const tookMs = Math.round(this.#options.clock.nowMs() - beganMs);
    return this.#phases === undefined ? { tookMs } : { tookMs, phases: this.#phases };
  }

  /** Runs the task with no request on any slot. Rejects with Busy when that does not come about in time. */
  async exclusively<T>(waitMsMax: number, task: (model: LoadedModel, sequence: Sequence) => Promise<T>): Promise<T> {
    const { model, scheduler } = this.serving();
    return await scheduler.exclusively(waitMsMax, async ([sequence]) => {
      if (sequence === undefined) throw new Refusal('internal_error', 'The model has no slot.');
      return await task(model, sequence);
    });
  }

  /** True once no request runs or waits; false when that took longer than `waitMsMax`. */
  async whenIdle(waitMsMax: number): Promise<boolean> {
    if (this.#serving === undefined) return true;
    const { scheduler, lane } = this.#serving;
    const idle = await Promise.all([scheduler.whenIdle(waitMsMax), lane.whenIdle(waitMsMax)]);
    return idle.every((each) => each);
  }

  /** Ends everything for good: cuts what runs with `reason` and releases the model. */
  async shutdown(reason: Refusal): Promise<void> {
    this.#abort.abort(reason);
    await this.#loading?.catch(() => {});
    await this.#sleeping?.catch(() => {});
    await this.#dispose(reason);
  }

  #failure(): Refusal {
    return new Refusal('model_failed', this.#reason ?? 'The model could not be loaded.');
  }

  #enter(state: ServerState): void {
    this.#state = state;
    this.#options.onChange(this);
  }

  #load(state: 'loading' | 'waking', startedMs: number): Promise<void> {
    this.#loading = this.#loadOnce(state, startedMs).finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  async #loadOnce(state: 'loading' | 'waking', startedMs: number): Promise<void> {
    const { clock, metrics, log } = this.#options;
    const beganMs = clock.nowMs();
    this.#reason = undefined;
    this.#progress = 0;
    this.#enter(state);
    let model: LoadedModel | undefined;
    try {
      model = await this.#options.load({ onProgress: (share) => this.#advance(share), signal: this.#abort.signal });
      const loadedMs = clock.nowMs();
      await warmUp(model);
      const warmedMs = clock.nowMs();
      this.#phases = {
        startedMs: Math.round(startedMs),
        loadedMs: Math.round(loadedMs - beganMs),
        warmedMs: Math.round(warmedMs - loadedMs),
      };
      metrics.loads.add(1);
      metrics.loadSeconds.add((warmedMs - beganMs) / 1000);
      this.#serve(model);
      log.info({ state, ...this.#phases }, 'The model is loaded.');
    } catch (error) {
      await model?.dispose().catch(() => {});
      this.#fail(error);
      throw this.#failure();
    }
  }

  #advance(share: number): void {
    const isLoading = this.#state === 'loading' || this.#state === 'waking';
    if (!isLoading || share < (this.#progress ?? 0) + PROGRESS_STEP) return;
    this.#progress = Math.min(1, share);
    this.#options.onChange(this);
  }

  #serve(model: LoadedModel): void {
    const { clock, metrics, log, queueMax, prefillChunk } = this.#options;
    const bounds: StepBounds = { chunk: prefillChunk, prefillsMax: PREFILLS_MAX };
    this.#identity = model.identity;
    this.#progress = undefined;
    const scheduler = new Scheduler({ model, queueMax, clock, metrics, log, ...bounds });
    const requestsMax = model.sequences.length + queueMax;
    const lane = new EmbeddingLane({ open: () => model.openEmbedder(), requestsMax, clock, metrics, log });
    this.#serving = { model, scheduler, lane };
    this.#enter('ready');
  }

  #fail(error: unknown): void {
    const said = error instanceof Error ? error.message : String(error);
    this.#reason = error instanceof Refusal ? said : `The model could not be made ready: ${said}`;
    this.#progress = undefined;
    this.#options.log.error({ reason: this.#reason }, 'The model could not be loaded.');
    this.#enter('failed');
  }

  async #release(): Promise<void> {
    this.#enter('sleeping');
    const idle = await this.whenIdle(SLEEP_WAIT_MS_MAX);
    if (!idle) {
      this.#enter('ready');
      throw new Busy(`Requests still ran after ${SLEEP_WAIT_MS_MAX} ms: the model stays awake.`);
    }
    await this.#dispose(new Refusal('model_warming', 'The model went to sleep.'));
    this.#enter('asleep');
  }

  async #dispose(reason: Refusal): Promise<void> {
    const serving = this.#serving;
    this.#serving = undefined;
    await Promise.all([serving?.scheduler.close(reason), serving?.lane.close(reason)]);
    await serving?.model.dispose();
  }
}

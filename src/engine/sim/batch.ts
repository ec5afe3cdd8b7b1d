// Continuous batching of the simulated engine: a bounded queue, places for the running requests, a bound on the tokens they
// hold together, and one step after another in simulated time. A step reads a chunk of prompts and gives every answering
// request one token. Must never lose a place: every way a request can end goes through #end.
import type { Clock, Timer } from '../../lib/clock.ts';
import { createIdleness, type Idleness } from '../llama/idleness.ts';
import type { ServerMetrics } from '../llama/metrics.ts';
import { Refusal } from '../llama/refusal.ts';
import type { JobEnd, TokenSink } from '../llama/scheduler.ts';
import { planStep } from '../llama/step-plan.ts';
import { countRunning, pickNext } from '../llama/turn-order.ts';
import type { Answer } from './answer.ts';
import { PROMPT_TOKENS_PER_STEP } from './profile.ts';
import type { StepLoad } from './times.ts';

/** After a stall of the process the steps that were missed are caught up to this extent; what is older is forgotten. */
const CATCH_UP_MS_MAX = 100;
/** Tokens given in one turn of the event loop; then others get a turn. */
const TOKENS_PER_TURN_MAX = 512;

export interface BatchJob {
  readonly promptTokens: number;
  readonly answer: Answer;
  readonly sink: TokenSink;
  /** Ends the request at the next step; its place is free then. */
  readonly signal: AbortSignal;
  /** Takes part in every step, or in every n-th. */
  readonly everySteps: number;
}

export interface BatchOptions {
  readonly places: number;
  readonly queueMax: number;
  /** Tokens of prompts and answers that all running requests together may hold. */
  readonly kvTokens: number;
  readonly stepMs: (load: StepLoad) => number;
  readonly clock: Clock;
  readonly metrics: ServerMetrics;
}

interface Waiting {
  readonly job: BatchJob;
  /** Stands for the request that the job belongs to: the same object for all of its jobs. */
  readonly request: object;
  readonly acceptedMs: number;
  readonly resolve: (end: JobEnd) => void;
  readonly reject: (error: Error) => void;
}

interface Running extends Waiting {
  readonly serial: number;
  readonly startedMs: number;
  readTokens: number;
  givenTokens: number;
  lastTokenMs: number;
}

interface Step {
  readonly dueMs: number;
  readonly works: readonly { readonly running: Running; readonly read: number; readonly sample: boolean }[];
}

export class Batch {
  readonly #options: BatchOptions;
  readonly #queue = new Set<Waiting>();
  readonly #running = new Set<Running>();
  readonly #idleness: Idleness;
  #closed: Refusal | undefined;
  #step: Step | undefined;
  #timer: Timer | undefined;
  #steps = 0;
  #serial = 0;

  constructor(options: BatchOptions) {
    this.#options = options;
    this.#idleness = createIdleness(options.clock, () => this.busy + this.#queue.size === 0);
  }

  get queued(): number {
    return this.#queue.size;
  }

  get busy(): number {
    return this.#running.size;
  }

  get places(): number {
    return this.#options.places;
  }

  /** Tokens that the running requests have claimed: what they will hold at their end. */
  get heldTokens(): number {
    let tokens = 0;
    for (const { job } of this.#running) tokens += claimOf(job);
    return tokens;
  }

  /** Resolves at the end of the answer. Rejects with a Refusal: queue_full, client_gone when aborted, or why it was closed. */
  async run(job: BatchJob): Promise<JobEnd> {
    const [end] = await this.runAll([job], () => {});
    if (end === undefined) throw new Error('A request ended without its answer.');
    return end;
  }

  /**
   * All answers of one request, which counts once against the queue's bound. `onEnd` is called as each ends; rejects as soon as
   * one fails, and the caller aborts the others.
   */
  async runAll(jobs: readonly BatchJob[], onEnd: (index: number, end: JobEnd) => void): Promise<readonly JobEnd[]> {
    const { places, queueMax, metrics } = this.#options;
    if (this.#closed !== undefined) throw this.#closed;
    if (jobs.some((job) => job.signal.aborted)) throw clientGone();
    if (countRunning(this.#queue, this.#running).size >= places + queueMax) {
      metrics.rejected.add(1);
      throw new Refusal('queue_full', 'The queue of this model server is full. Try again soon.');
    }
    const request = {};
    const ends = jobs.map(async (job, index) => {
      const end = await this.#enqueue(job, request);
      onEnd(index, end);
      return end;
    });
    this.resume();
    return await Promise.all(ends);
  }

  #enqueue(job: BatchJob, request: object): Promise<JobEnd> {
    return new Promise((resolve, reject) => {
      this.#queue.add({ job, request, acceptedMs: this.#options.clock.nowMs(), resolve, reject });
      job.signal.addEventListener('abort', () => this.resume(), { once: true });
    });
  }

  /** Looks again: a reader caught up, or a request was aborted. A step that is under way is not disturbed. */
  resume(): void {
    if (this.#step === undefined) this.#arm();
  }

  /** Refuses what waits with `reason`; what runs goes on. */
  refuseQueued(reason: Refusal): void {
    for (const waiting of this.#queue) waiting.reject(reason);
    this.#queue.clear();
    this.#idleness.tell();
  }

  /** True once nothing runs or waits; false when that took longer than `waitMsMax`. */
  whenIdle(waitMsMax: number): Promise<boolean> {
    return this.#idleness.when(waitMsMax);
  }

  /** Ends everything with `reason`. */
  close(reason: Refusal): void {
    this.#closed ??= reason;
    this.#timer?.cancel();
    this.#step = undefined;
    this.refuseQueued(this.#closed);
    for (const running of this.#running) this.#end(running, this.#closed);
    this.#idleness.tell();
  }

  /** Begins a step now, when there is something to do. */
  #arm(): void {
    this.#step = this.#plan(this.#options.clock.nowMs());
    this.#schedule();
  }

  #schedule(): void {
    const { clock } = this.#options;
    if (this.#step === undefined) this.#idleness.tell();
    else this.#timer = clock.after(Math.max(0, this.#step.dueMs - clock.nowMs()), () => this.#turn());
  }

  /** Carries out every step that is due: a timer is coarser than the steps of a fast model. */
  #turn(): void {
    const { clock } = this.#options;
    let given = 0;
    while (this.#step !== undefined && this.#step.dueMs <= clock.nowMs() && given < TOKENS_PER_TURN_MAX) {
      const { dueMs } = this.#step;
      given += this.#carryOut(this.#step);
      if (this.#closed !== undefined) return;
      this.#step = this.#plan(Math.max(dueMs, clock.nowMs() - CATCH_UP_MS_MAX));
    }
    this.#schedule();
  }

  #plan(fromMs: number): Step | undefined {
    if (this.#closed !== undefined) return undefined;
    this.#sweep();
    this.#admit();
    const running = [...this.#running];
    const slots = running.map((each, index) => ({
      index,
      unread: each.job.promptTokens - each.readTokens,
      serial: each.serial,
      paused: !each.job.sink.ready(),
    }));
    const plan = planStep(slots, { chunk: PROMPT_TOKENS_PER_STEP, prefillsMax: this.#options.places });
    const works = plan.flatMap(({ index, read, sample }) => {
      const each = running[index];
      return each === undefined ? [] : [{ running: each, read, sample }];
    });
    if (works.length === 0) return undefined;
    const { metrics, stepMs } = this.#options;
    metrics.batches.add(1);
    this.#steps += 1;
    const promptTokens = works.reduce((sum, { read }) => sum + read, 0);
    return { dueMs: fromMs + stepMs({ sequences: works.length, promptTokens }), works };
  }

  /** Gives the number of tokens that went out. */
  #carryOut({ works }: Step): number {
    let given = 0;
    for (const { running, read, sample } of works) {
      if (!this.#running.has(running)) continue;
      running.readTokens += read;
      // A slow request computes its token again and again before it is given.
      if (!sample || this.#steps % running.job.everySteps !== 0) continue;
      given += 1;
      this.#give(running);
    }
    return given;
  }

  #give(running: Running): void {
    const { job } = running;
    const token = job.answer.tokens[running.givenTokens];
    if (job.signal.aborted || token === undefined) return;
    this.#measure(running);
    running.givenTokens += 1;
    if (job.sink.take(token) === 'stop') this.#end(running, 'stop');
    else if (running.givenTokens >= job.answer.tokens.length) this.#end(running, job.answer.finish);
  }

  #measure(running: Running): void {
    const { metrics, clock } = this.#options;
    const nowMs = clock.nowMs();
    metrics.generatedTokens.add(1);
    if (running.givenTokens > 0) {
      metrics.interTokenSeconds.observe((nowMs - running.lastTokenMs) / 1000);
    } else {
      const { promptTokens } = running.job;
      const tookSeconds = (nowMs - running.startedMs) / 1000;
      metrics.firstTokenSeconds.observe((nowMs - running.acceptedMs) / 1000);
      metrics.promptTokens.add(promptTokens);
      metrics.prefillTokens.add(promptTokens);
      metrics.prefillSeconds.add(tookSeconds);
      if (tookSeconds > 0) metrics.prefillRate.set(promptTokens / tookSeconds);
    }
    running.lastTokenMs = nowMs;
  }

  /** Ends what was aborted, running or waiting. */
  #sweep(): void {
    for (const waiting of this.#queue) {
      if (!waiting.job.signal.aborted) continue;
      this.#queue.delete(waiting);
      waiting.reject(clientGone());
    }
    for (const running of this.#running) {
      if (!running.job.signal.aborted) continue;
      this.#options.metrics.aborted.add(1);
      this.#end(running, clientGone());
    }
  }

  /**
   * In the order of turns. The answer's length is known here, so its room is claimed at once; a real engine finds out and
   * has to put requests back.
   */
  #admit(): void {
    const { places, kvTokens, clock, metrics } = this.#options;
    for (let waiting = this.#next(); waiting !== undefined; waiting = this.#next()) {
      if (this.busy >= places || this.heldTokens + claimOf(waiting.job) > kvTokens) return;
      this.#queue.delete(waiting);
      this.#serial += 1;
      const startedMs = clock.nowMs();
      const begun = { readTokens: 0, givenTokens: 0, lastTokenMs: startedMs };
      this.#running.add({ ...waiting, serial: this.#serial, startedMs, ...begun });
      metrics.queueSeconds.observe((startedMs - waiting.acceptedMs) / 1000);
    }
  }

  #next(): Waiting | undefined {
    return pickNext(this.#queue, this.#running);
  }

  #end(running: Running, how: JobEnd['finish'] | Refusal): void {
    this.#running.delete(running);
    if (how instanceof Refusal) {
      running.reject(how);
      return;
    }
    const { promptTokens } = running.job;
    running.resolve({ finish: how, promptTokens, cachedTokens: 0, completionTokens: running.givenTokens });
  }
}

function claimOf(job: BatchJob): number {
  return job.promptTokens + job.answer.tokens.length;
}

function clientGone(): Refusal {
  return new Refusal('client_gone', 'The caller hung up.');
}

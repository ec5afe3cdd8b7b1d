// Runs requests on the slots of one loaded model: a bounded queue, a slot for each running request, and one step after
// another. A step is one decode for all slots together; between steps nothing computes, and only then are slots cut,
// given away, freed or scored. (The library's own continuous mode makes a cut wait for seconds while others answer.)
// Must never lose a slot: every way a request can end goes through #end.
import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import { createIdleness, type Idleness } from './idleness.ts';
import type { LoadedModel, Sequence, TokenScores, TokenSource } from './loaded-model.ts';
import type { ServerMetrics } from './metrics.ts';
import { Busy, Refusal, refusalOf } from './refusal.ts';
import type { Sampling } from './sampling.ts';
import { pickSlot } from './slot-choice.ts';
import { planStep, type StepBounds, type StepWork } from './step-plan.ts';
import { countRunning, pickNext } from './turn-order.ts';

/** Where the tokens of one answer go. */
export interface TokenSink {
  /** Takes one token, with its scores when the job asked for them; `stop` ends the answer. */
  take(token: number, scores?: TokenScores): 'more' | 'stop';
  /** False while the reader is behind: the slot sits out until `resume` of the scheduler is called. */
  ready(): boolean;
}

export interface Job {
  /** At least one token; shorter than the context. */
  readonly prompt: readonly number[];
  /** At least 1, and prompt and answer fit into the context together. */
  readonly tokensMax: number;
  readonly sampling: Sampling;
  /** Tell scores with this many alternatives; left out, none are computed. */
  readonly alternatives?: number | undefined;
  readonly sink: TokenSink;
  /** Ends the request at the next step; the slot is free then. */
  readonly signal: AbortSignal;
}

export interface JobEnd {
  readonly finish: 'stop' | 'length';
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly completionTokens: number;
}

interface Waiting {
  readonly job: Job;
  /** Stands for the request that the job belongs to: the same object for all of its jobs. */
  readonly request: object;
  readonly acceptedMs: number;
  readonly resolve: (end: JobEnd) => void;
  readonly reject: (error: Error) => void;
}

interface Running extends Waiting {
  readonly serial: number;
  readonly cachedTokens: number;
  readonly startedMs: number;
  /** Prompt tokens that are computed. */
  readTokens: number;
  readonly answered: number[];
  source: TokenSource | undefined;
  lastTokenMs: number;
}

interface Slot {
  readonly index: number;
  readonly sequence: Sequence;
  running: Running | undefined;
  lastUsed: number;
  /** A computation failed on it: what it holds is cleared before it is used again. */
  suspect: boolean;
}

export interface SchedulerOptions extends StepBounds {
  readonly model: LoadedModel;
  readonly queueMax: number;
  readonly clock: Clock;
  readonly metrics: ServerMetrics;
  readonly log: Log;
}

export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #slots: readonly Slot[];
  /** Insertion order is the order of service; a waiting request can leave from anywhere. */
  readonly #queue = new Set<Waiting>();
  /** A task that waits for the slots to be free, or has them now. */
  #exclusive: (() => Promise<void>) | undefined;
  #closed: Refusal | undefined;
  #serial = 0;
  #wake: () => void = () => {};
  /** Something happened that the loop may not have seen: it looks once more before it sleeps. */
  #hasNews = false;
  #stepBeganMs: number | undefined;
  readonly #idleness: Idleness;
  readonly #loop: Promise<void>;

  constructor(options: SchedulerOptions) {
    this.#options = options;
    this.#idleness = createIdleness(options.clock, () => this.busy + this.#queue.size === 0);
    this.#slots = options.model.sequences.map((sequence, index) => ({
      index,
      sequence,
      running: undefined,
      lastUsed: 0,
      suspect: false,
    }));
    this.#loop = this.#run();
  }

  get queued(): number {
    return this.#queue.size;
  }

  get busy(): number {
    return this.#slots.reduce((sum, slot) => sum + (slot.running === undefined ? 0 : 1), 0);
  }

  get slots(): number {
    return this.#slots.length;
  }

  /** How long the step that runs has taken; 0 between steps. */
  get stepMs(): number {
    return this.#stepBeganMs === undefined ? 0 : this.#options.clock.nowMs() - this.#stepBeganMs;
  }

  /** Tokens that the slots keep, whether in use or for later requests. */
  get heldTokens(): number {
    return this.#slots.reduce((sum, slot) => sum + slot.sequence.length, 0);
  }

  /** Resolves at the end of the answer. Rejects with a Refusal: queue_full, client_gone when aborted, or why it was closed. */
  async run(job: Job): Promise<JobEnd> {
    const [end] = await this.runAll([job], () => {});
    if (end === undefined) throw new Error('A request ended without its answer.');
    return end;
  }

  /**
   * All answers of one request, which counts once against the queue's bound. Each takes a slot of its own, in turn with other
   * requests. `onEnd` is called as each ends; rejects as soon as one fails, and the caller aborts the others.
   */
  async runAll(jobs: readonly Job[], onEnd: (index: number, end: JobEnd) => void): Promise<readonly JobEnd[]> {
    if (this.#closed !== undefined) throw this.#closed;
    if (jobs.some((job) => job.signal.aborted)) throw clientGone();
    if (countRunning(this.#queue, this.#running()).size >= this.#slots.length + this.#options.queueMax) {
      this.#options.metrics.rejected.add(1);
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

  #enqueue(job: Job, request: object): Promise<JobEnd> {
    return new Promise((resolve, reject) => {
      this.#queue.add({ job, request, acceptedMs: this.#options.clock.nowMs(), resolve, reject });
      job.signal.addEventListener('abort', () => this.resume(), { once: true });
    });
  }

  #nextWaiting(): Waiting | undefined {
    return pickNext(this.#queue, this.#running());
  }

  #running(): readonly Running[] {
    return this.#slots.flatMap(({ running }) => (running === undefined ? [] : [running]));
  }

  /** Looks again: a reader caught up, or a request was aborted. */
  resume(): void {
    this.#hasNews = true;
    this.#wake();
  }

  /** Refuses what waits with `reason`; what runs goes on. */
  refuseQueued(reason: Refusal): void {
    for (const waiting of this.#queue) waiting.reject(reason);
    this.#queue.clear();
  }

  /**
   * Runs `task` while no request has a slot; requests that come meanwhile wait in the queue.
   * Rejects with Busy when requests still run after `waitMsMax`, or while another task waits.
   */
  async exclusively<T>(waitMsMax: number, task: (sequences: readonly Sequence[]) => Promise<T>): Promise<T> {
    if (this.#closed !== undefined) throw this.#closed;
    if (this.#exclusive !== undefined) throw new Busy('Another task waits for the slots already.');
    return await new Promise<T>((resolve, reject) => {
      const timer = this.#options.clock.after(waitMsMax, () => {
        this.#exclusive = undefined;
        reject(new Busy(`Requests still ran after ${waitMsMax} ms.`));
        this.resume();
      });
      const run = async () => {
        timer.cancel();
        await task(this.#slots.map((slot) => slot.sequence)).then(resolve, reject);
      };
      this.#exclusive = run;
      this.resume();
    });
  }

  /** True once nothing runs or waits; false when that took longer than `waitMsMax`. */
  whenIdle(waitMsMax: number): Promise<boolean> {
    return this.#idleness.when(waitMsMax);
  }

  /** Ends everything with `reason` after the running step. Resolves when the model may be disposed of. */
  async close(reason: Refusal): Promise<void> {
    this.#closed ??= reason;
    this.resume();
    await this.#loop;
  }

  async #run(): Promise<void> {
    while (this.#closed === undefined) {
      this.#hasNews = false;
      await this.#sweep();
      await this.#admit();
      const works = planStep(this.#busySlots(), this.#options);
      if (works.length > 0) {
        await this.#step(works);
      } else if (this.#closed === undefined && !this.#hasNews && !this.#hasMore()) {
        await this.#sleep();
      }
    }
    await this.#endAll(this.#closed);
  }

  async #step(works: readonly StepWork[]): Promise<void> {
    const { metrics, clock } = this.#options;
    metrics.batches.add(1);
    this.#stepBeganMs = clock.nowMs();
    await Promise.all(works.map((work) => this.#work(work)));
    this.#stepBeganMs = undefined;
  }

  /** Something that the next turn of the loop would do, so that it must not fall asleep. */
  #hasMore(): boolean {
    if (this.#slots.some((slot) => slot.running?.job.signal.aborted === true)) return true;
    if (this.busy > 0) return false;
    return this.#exclusive !== undefined || this.#queue.size > 0;
  }

  #sleep(): Promise<void> {
    this.#idleness.tell();
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = () => {};
        resolve();
      };
    });
  }

  /** Ends what was aborted, in slots and in the queue, and clears what failed. */
  async #sweep(): Promise<void> {
    for (const waiting of this.#queue) {
      if (!waiting.job.signal.aborted) continue;
      this.#queue.delete(waiting);
      waiting.reject(clientGone());
    }
    for (const slot of this.#slots) {
      if (slot.suspect) await this.#clear(slot);
      if (slot.running?.job.signal.aborted !== true) continue;
      this.#options.metrics.aborted.add(1);
      await this.#end(slot, clientGone());
    }
  }

  async #admit(): Promise<void> {
    if (this.#exclusive !== undefined) {
      if (this.busy > 0) return;
      await this.#exclusive();
      this.#exclusive = undefined;
    }
    for (let waiting = this.#nextWaiting(); waiting !== undefined; waiting = this.#nextWaiting()) {
      const { prompt } = waiting.job;
      const free = this.#slots.filter((slot) => slot.running === undefined);
      const choice = pickSlot(free.map((slot) => this.#freeSlot(slot, prompt)));
      const slot = choice === undefined ? undefined : this.#slots[choice.index];
      if (slot === undefined) return;
      this.#queue.delete(waiting);
      await this.#start(slot, waiting);
    }
  }

  #freeSlot(slot: Slot, prompt: readonly number[]) {
    return { index: slot.index, heldPrefix: slot.sequence.heldPrefix(prompt), lastUsed: slot.lastUsed };
  }

  async #start(slot: Slot, waiting: Waiting): Promise<void> {
    this.#serial += 1;
    slot.lastUsed = this.#serial;
    const { clock, metrics } = this.#options;
    try {
      // The last prompt token is always computed again: the first answer token is sampled from it.
      const cachedTokens = await slot.sequence.cut(waiting.job.prompt.slice(0, -1));
      const startedMs = clock.nowMs();
      slot.running = {
        ...waiting,
        serial: this.#serial,
        cachedTokens,
        startedMs,
        readTokens: cachedTokens,
        answered: [],
        source: undefined,
        lastTokenMs: startedMs,
      };
      metrics.queueSeconds.observe((startedMs - waiting.acceptedMs) / 1000);
    } catch (error) {
      this.#logFailure(slot, error);
      waiting.reject(refusalOf(error));
    }
  }

  #busySlots() {
    return this.#slots.flatMap(({ index, running }) => {
      if (running === undefined) return [];
      const unread = running.source === undefined ? running.job.prompt.length - running.readTokens : 0;
      return [{ index, unread, serial: running.serial, paused: !running.job.sink.ready() }];
    });
  }

  async #work(work: StepWork): Promise<void> {
    const slot = this.#slots[work.index];
    const running = slot?.running;
    if (slot === undefined || running === undefined) return;
    try {
      const { prompt, sampling, alternatives } = running.job;
      const chunk = prompt.slice(running.readTokens, running.readTokens + work.read);
      if (!work.sample) {
        await slot.sequence.read(chunk);
        running.readTokens += work.read;
        return;
      }
      running.source ??= slot.sequence.answer(chunk, { sampling, alternatives, earlier: () => running.answered });
      const token = await running.source.next();
      await this.#takeToken(slot, running, token);
    } catch (error) {
      await this.#endBroken(slot, error);
    }
  }

  async #takeToken(slot: Slot, running: Running, token: number): Promise<void> {
    this.#measureToken(running);
    running.answered.push(token);
    if (running.job.signal.aborted) return;
    const { model } = this.#options;
    if (model.isEnd(token) || running.job.sink.take(token, running.source?.scores) === 'stop') {
      await this.#end(slot, 'stop');
    } else if (running.answered.length >= running.job.tokensMax) {
      await this.#end(slot, 'length');
    }
  }

  #measureToken(running: Running): void {
    const { metrics, clock } = this.#options;
    const nowMs = clock.nowMs();
    metrics.generatedTokens.add(1);
    if (running.answered.length > 0) {
      metrics.interTokenSeconds.observe((nowMs - running.lastTokenMs) / 1000);
    } else {
      const computed = running.job.prompt.length - running.cachedTokens;
      const tookSeconds = (nowMs - running.startedMs) / 1000;
      running.readTokens = running.job.prompt.length;
      metrics.firstTokenSeconds.observe((nowMs - running.acceptedMs) / 1000);
      metrics.promptTokens.add(running.job.prompt.length);
      metrics.cachedTokens.add(running.cachedTokens);
      metrics.prefillTokens.add(computed);
      metrics.prefillSeconds.add(tookSeconds);
      if (tookSeconds > 0) metrics.prefillRate.set(computed / tookSeconds);
    }
    running.lastTokenMs = nowMs;
  }

  /** Frees the slot first, then answers: whoever is told of the end may count on the slot. */
  async #end(slot: Slot, how: JobEnd['finish'] | Refusal): Promise<void> {
    const running = slot.running;
    if (running === undefined) return;
    slot.running = undefined;
    // A sampler that cannot be freed any more belongs to a model that is gone; the request's own outcome stands.
    await running.source?.close().catch(() => {});
    if (how instanceof Refusal) {
      running.reject(how);
      return;
    }
    running.resolve({
      finish: how,
      promptTokens: running.job.prompt.length,
      cachedTokens: running.cachedTokens,
      completionTokens: running.answered.length,
    });
  }

  /** The computation failed: what the slot holds can no longer be trusted. Its neighbours may still compute. */
  async #endBroken(slot: Slot, error: unknown): Promise<void> {
    this.#logFailure(slot, error);
    slot.suspect = true;
    await this.#end(slot, refusalOf(error));
  }

  async #clear(slot: Slot): Promise<void> {
    slot.suspect = false;
    await slot.sequence.clear().catch((error: unknown) => this.#logFailure(slot, error));
  }

  #logFailure(slot: Slot, error: unknown): void {
    const { metrics, log } = this.#options;
    metrics.failed.add(1);
    log.error({ slot: slot.index, said: error instanceof Error ? error.message : String(error) }, 'A request failed.');
  }

  async #endAll(reason: Refusal): Promise<void> {
    this.refuseQueued(reason);
    for (const slot of this.#slots) await this.#end(slot, reason);
    this.#idleness.tell();
  }
}

function clientGone(): Refusal {
  return new Refusal('client_gone', 'The caller hung up.');
}

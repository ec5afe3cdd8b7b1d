// Computes vectors beside the answers: a context of its own, opened with the first request, and one input after another.
// Requests take turns, one input each, so that a long list does not hold up a short one. The library shares the threads
// between the contexts. Must never let an input outlive its caller by more than the one that is being computed.
import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import { createIdleness } from './idleness.ts';
import type { Embedder } from './loaded-model.ts';
import type { ServerMetrics } from './metrics.ts';
import { Refusal, refusalOf } from './refusal.ts';

export interface EmbeddingJob {
  /** Each with at least one token, and short enough for the embedder. */
  readonly inputs: readonly (readonly number[])[];
  readonly signal: AbortSignal;
  /** Takes the vectors in the order of the inputs. What it throws ends the request. */
  readonly onVector: (vector: readonly number[], index: number) => void;
}

export interface LaneOptions {
  readonly open: () => Promise<Embedder>;
  /** Requests that run and wait together. */
  readonly requestsMax: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: ServerMetrics;
}

interface Waiting {
  readonly job: EmbeddingJob;
  next: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class EmbeddingLane {
  readonly #options: LaneOptions;
  readonly #idleness;
  #turns: Waiting[] = [];
  #loop: Promise<void> | undefined;
  #embedder: Promise<Embedder> | undefined;
  #closed: Refusal | undefined;

  constructor(options: LaneOptions) {
    this.#options = options;
    this.#idleness = createIdleness(options.clock, () => this.open === 0);
  }

  /** Requests that run or wait. */
  get open(): number {
    return this.#turns.length;
  }

  /** Opened at the first call. Rejects with a Refusal. */
  embedder(): Promise<Embedder> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    this.#embedder ??= this.#options.open().catch((error: unknown) => {
      this.#embedder = undefined;
      throw this.#failure(error);
    });
    return this.#embedder;
  }

  /** Resolves after the last vector. Rejects with a Refusal: queue_full, client_gone when aborted, or why it was closed. */
  run(job: EmbeddingJob): Promise<void> {
    const { requestsMax, metrics } = this.#options;
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    if (job.signal.aborted) return Promise.reject(clientGone());
    if (this.open >= requestsMax) {
      metrics.rejected.add(1);
      return Promise.reject(new Refusal('queue_full', 'The queue of this model server is full. Try again soon.'));
    }
    return new Promise((resolve, reject) => {
      this.#turns.push({ job, next: 0, resolve, reject });
      this.#loop ??= this.#work();
    });
  }

  whenIdle(waitMsMax: number): Promise<boolean> {
    return this.#idleness.when(waitMsMax);
  }

  /** Ends everything with `reason` after the input that is being computed. */
  async close(reason: Refusal): Promise<void> {
    this.#closed ??= reason;
    await this.#loop;
    await this.#embedder?.then((embedder) => embedder.close()).catch(() => {});
  }

  async #work(): Promise<void> {
    for (let waiting = this.#turns[0]; waiting !== undefined; waiting = this.#turns[0]) {
      const how = await this.#advance(waiting).catch((error: unknown) => this.#failure(error));
      this.#turns.shift();
      if (how === 'more') {
        this.#turns.push(waiting);
        continue;
      }
      if (how === 'done') waiting.resolve();
      else waiting.reject(how);
    }
    // In the same turn as the last look at the queue: a request that comes now begins a loop of its own.
    this.#loop = undefined;
    this.#idleness.tell();
  }

  /** One input of the request. */
  async #advance(waiting: Waiting): Promise<'more' | 'done' | Refusal> {
    const { job } = waiting;
    if (this.#closed !== undefined) return this.#closed;
    if (job.signal.aborted) {
      this.#options.metrics.aborted.add(1);
      return clientGone();
    }
    const input = job.inputs[waiting.next];
    if (input === undefined) return 'done';
    const vector = await (await this.embedder()).embed(input);
    const { metrics } = this.#options;
    metrics.embeddings.add(1);
    metrics.embeddingTokens.add(input.length);
    job.onVector(vector, waiting.next);
    waiting.next += 1;
    return waiting.next < job.inputs.length ? 'more' : 'done';
  }

  #failure(error: unknown): Refusal {
    if (error instanceof Refusal) return error;
    const { metrics, log } = this.#options;
    metrics.failed.add(1);
    log.error({ said: error instanceof Error ? error.message : String(error) }, 'An embedding failed.');
    return refusalOf(error);
  }
}

function clientGone(): Refusal {
  return new Refusal('client_gone', 'The caller hung up.');
}

// Everything of one model that waits or runs in this router: the queue, who is let go next and where to, arrivals and the
// claim that refused callers left. A request goes out only when an endpoint has a free share. Never talks to anybody.
import { DEMAND_WAITING_MAX, type ModelDemand } from '../../api/link.ts';
import { createArrivalHistory } from '../../core/route/arrivals.ts';
import { pickEndpoint } from '../../core/route/endpoint-pick.ts';
import { createQueueOrder, type QueueItem } from '../../core/route/queue-order.ts';
import type { RoutedEndpoint, RoutingTable } from '../../core/route/table.ts';
import type { Clock, Timer } from '../../lib/clock.ts';
import type { RouterBounds } from '../bounds.ts';
import { type AnswerSeen, createDemandSamples } from './demand-samples.ts';
import type { EndpointBook } from './endpoint-book.ts';

/** The right to send one request to one endpoint. */
export interface Grant {
  readonly endpoint: RoutedEndpoint;
  /** The slot's key, or the upstream's; empty when that needs none. */
  readonly key: string;
  /** The table that it was given by. */
  readonly table: RoutingTable;
  /** Must be called when the first content has come: others need not wait behind its prompt any more. */
  read(): void;
  /** Must be called when the request has left the endpoint. Calling it again does nothing. */
  release(): void;
}

export interface QueueRequest extends QueueItem {
  /** Estimated prompt tokens, for the controller. */
  readonly promptTokens: number;
  /** Whether content comes before the whole answer, so that it shows when the prompt is read. */
  readonly showsReading: boolean;
  /** Called after each change of the table while the request waits. */
  onTableChange(): void;
}

export interface Place {
  /** Waits for a grant. Rejects with the signal's reason, and the place is left, when the signal aborts. */
  granted(signal: AbortSignal): Promise<Grant>;
  /** Back to the head of the queue, after a refusal or an attempt that may be made again. */
  putBack(): void;
  /** An attempt at this instance failed: another one is tried first. */
  avoid(instance: string): void;
  /** Requests that came earlier and still wait. */
  ahead(): number;
  leave(): void;
}

export interface ModelQueue {
  readonly model: string;
  /** Undefined when the queue is full. */
  enter(request: QueueRequest): Place | undefined;
  /** Counts a request for this model, whatever becomes of it. */
  arrived(promptTokens: number): void;
  /** An answer is over. */
  answered(seen: AnswerSeen): void;
  /** Claims an awake instance for a caller who was sent away and will be back. */
  claimWake(leaseMs: number): void;
  /** Lets go whoever can go now. */
  pump(): void;
  onTableChange(): void;
  demand(): ModelDemand;
  /** The demand for the controller: with what answers told since the last time, which is gone then. */
  takeDemand(): ModelDemand;
  arrivalCounts(): number[];
  arrivalTokens(): number[];
  oldestWaitMs(): number;
  isIdle(): boolean;
  stop(): void;
}

export interface ModelQueueOptions {
  readonly model: string;
  readonly clock: Clock;
  readonly book: EndpointBook;
  readonly bounds: RouterBounds;
  table(): RoutingTable;
  /** A figure of the demand changed. */
  onChange(): void;
  /** The queue was empty and now somebody waits. */
  onStarved(): void;
}

interface Waiter extends QueueRequest {
  readonly enteredMs: number;
  readonly serial: number;
  readonly avoided: Set<string>;
  deliver: ((grant: Grant) => void) | undefined;
}

export function createModelQueue(options: ModelQueueOptions): ModelQueue {
  return new Queue(options);
}

class Queue implements ModelQueue {
  readonly model: string;
  readonly #options: ModelQueueOptions;
  readonly #order;
  readonly #history = createArrivalHistory();
  #serial = 0;
  #inFlight = 0;
  #arrivals = 0;
  #arrivedTokens = 0;
  readonly #samples = createDemandSamples();
  #lastArrivalMs: number | undefined;
  #claimUntilMs = 0;
  #retry: Timer | undefined;

  constructor(options: ModelQueueOptions) {
    this.model = options.model;
    this.#options = options;
    const { queueItemsMax, queueBytesMax } = options.bounds;
    this.#order = createQueueOrder<Waiter>({ itemsMax: queueItemsMax, bytesMax: queueBytesMax });
  }

  enter(request: QueueRequest): Place | undefined {
    const waiter: Waiter = {
      ...request,
      enteredMs: this.#options.clock.nowMs(),
      serial: this.#serial++,
      avoided: new Set(),
      deliver: undefined,
    };
    const wasEmpty = this.#order.waitingCount() === 0;
    if (!this.#order.enter(waiter)) return undefined;
    const place = this.#placeOf(waiter);
    // Whoever entered is let go when it asks for its grant; the controller hears of it only when it really waits.
    if (wasEmpty && !this.#hasFree(waiter)) this.#options.onStarved();
    else this.#options.onChange();
    return place;
  }

  arrived(promptTokens: number): void {
    this.#arrivals += 1;
    this.#arrivedTokens += promptTokens;
    this.#lastArrivalMs = this.#options.clock.nowMs();
    this.#history.add(this.#lastArrivalMs, promptTokens);
  }

  answered = (seen: AnswerSeen) => this.#samples.add(seen);

  claimWake(leaseMs: number): void {
    const nowMs = this.#options.clock.nowMs();
    const isFirst = this.#claimUntilMs <= nowMs;
    this.#claimUntilMs = Math.max(this.#claimUntilMs, nowMs + leaseMs);
    if (isFirst) this.#options.onStarved();
    else this.#options.onChange();
  }

  pump(): void {
    this.#retry?.cancel();
    this.#retry = undefined;
    for (;;) {
      const head = this.#order.peek();
      if (head?.deliver === undefined) return;
      const nowMs = this.#options.clock.nowMs();
      const endpoint = this.#pick(head, nowMs);
      if (endpoint === undefined) {
        this.#retryLater(nowMs);
        return;
      }
      const key = this.#options.table().keys.get(endpoint.podUid)?.key;
      if (key === undefined) {
        this.#options.book.keyMissing(endpoint.instance, nowMs);
        continue;
      }
      this.#letGo(endpoint, key);
    }
  }

  onTableChange(): void {
    this.pump();
    for (const waiter of this.#order.waiting()) waiter.onTableChange();
  }

  demand(): ModelDemand {
    const nowMs = this.#options.clock.nowMs();
    const waiting = this.#order.waiting();
    const engineTokens = this.#options.book.behindTokens(this.#options.table().endpointsOf.get(this.model) ?? []);
    return {
      model: this.model,
      queued: waiting.length,
      queuedTokens: waiting.reduce((sum, waiter) => sum + waiter.promptTokens, 0),
      oldestQueuedMs: this.oldestWaitMs(),
      inFlight: this.#inFlight,
      ...(waiting.length === 0
        ? {}
        : { waitingTokens: waiting.slice(0, DEMAND_WAITING_MAX).map(({ promptTokens }) => promptTokens) }),
      ...(engineTokens === 0 ? {} : { engineTokens }),
      arrivals: this.#arrivals,
      arrivedTokens: this.#arrivedTokens,
      ...(this.#lastArrivalMs === undefined ? {} : { lastArrivalAgeMs: nowMs - this.#lastArrivalMs }),
      wakeLeaseMs: Math.max(0, this.#claimUntilMs - nowMs),
    };
  }

  takeDemand = () => ({ ...this.demand(), ...this.#samples.take() });

  arrivalCounts = () => this.#history.counts(this.#options.clock.nowMs());
  arrivalTokens = () => this.#history.tokens(this.#options.clock.nowMs());

  oldestWaitMs(): number {
    const oldest = this.#order.oldest();
    return oldest === undefined ? 0 : this.#options.clock.nowMs() - oldest.enteredMs;
  }

  isIdle(): boolean {
    return this.#order.held().items === 0 && this.#inFlight === 0;
  }

  stop(): void {
    this.#retry?.cancel();
  }

  #placeOf(waiter: Waiter): Place {
    const order = this.#order;
    const leave = () => {
      waiter.deliver = undefined;
      if (!order.remove(waiter.id)) return;
      this.pump();
      this.#options.onChange();
    };
    return {
      granted: (signal) => this.#granted(waiter, { signal, leave }),
      putBack: () => void order.putBack(waiter.id),
      avoid: (instance) => void waiter.avoided.add(instance),
      ahead: () => order.waiting().filter((other) => other.serial < waiter.serial).length,
      leave,
    };
  }

  #granted(waiter: Waiter, { signal, leave }: { signal: AbortSignal; leave: () => void }): Promise<Grant> {
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        leave();
        reject(signal.reason);
      };
      if (signal.aborted) return onAbort();
      signal.addEventListener('abort', onAbort, { once: true });
      waiter.deliver = (grant) => {
        waiter.deliver = undefined;
        signal.removeEventListener('abort', onAbort);
        resolve(grant);
      };
      this.pump();
    });
  }

  #letGo(endpoint: RoutedEndpoint, key: string): void {
    const waiter = this.#order.take();
    const { book } = this.#options;
    const taken = book.take(endpoint.instance, waiter?.showsReading === true ? waiter.promptTokens : 0);
    this.#inFlight += 1;
    let released = false;
    waiter?.deliver?.({
      endpoint,
      key,
      table: this.#options.table(),
      read: () => {
        taken.read();
        this.pump();
      },
      release: () => {
        if (released) return;
        released = true;
        taken.release();
        this.#inFlight -= 1;
        this.pump();
        this.#options.onChange();
      },
    });
    this.#options.onChange();
  }

  #hasFree(waiter: Waiter): boolean {
    return this.#pick(waiter, this.#options.clock.nowMs()) !== undefined;
  }

  #pick(waiter: Waiter, nowMs: number): RoutedEndpoint | undefined {
    const table = this.#options.table();
    return pickEndpoint(this.#options.book.states(table.endpointsOf.get(this.model) ?? []), {
      nowMs,
      stableRevision: table.byModel.get(this.model)?.stable?.revision,
      failed: waiter.avoided,
    });
  }

  /**
   * Nothing tells us that a block is over: come back when the first one is. `nowMs` is the reading that found none free: by a
   * later one a block may be over that nobody would come back for.
   */
  #retryLater(nowMs: number): void {
    const { book, clock } = this.#options;
    const states = book.states(this.#options.table().endpointsOf.get(this.model) ?? []);
    const blocked = states.map((state) => state.blockedUntilMs).filter((untilMs) => untilMs > nowMs);
    if (blocked.length === 0) return;
    this.#retry = clock.after(Math.min(...blocked) - nowMs + 1, () => this.pump(), { background: true });
  }
}

// One simulated engine that is awake: steps of continuous batching with chunked prefill. A step takes
// a + b × sequences + g × prompt tokens. Steps that only write tokens are jumped over together, so an hour takes a moment.
import type { EventQueue, Scheduled } from './event-queue.ts';
import { Heap } from './heap.ts';
import { type SimRequest, startOver } from './request.ts';

export interface EngineProfile {
  /** a, b and g of a step, in milliseconds. */
  readonly stepMs: number;
  readonly perSequenceMs: number;
  readonly perPromptTokenMs: number;
  /** Prompt tokens that one step reads at most. */
  readonly promptTokensPerStep: number;
  readonly sequencesMax: number;
  /** Tokens of all its requests together that fit into memory. */
  readonly kvTokens: number;
}

/** Prompts count whole until their first token, so half of them is read on average. */
const UNREAD_STEPS_MAX = 2;

/** What one step was like, for whoever learns the engine's times. */
export interface StepSample {
  readonly sequences: number;
  readonly promptTokens: number;
  readonly stepMs: number;
}

export interface ReplicaHooks {
  onFirstToken(request: SimRequest): void;
  onDone(request: SimRequest): void;
  /** A step is over: there may be room. */
  onStep(sample: StepSample): void;
}

interface Decoding {
  readonly request: SimRequest;
  /** The number of the step that writes its last token. */
  readonly lastStep: number;
}

export class Replica {
  readonly #profile: EngineProfile;
  readonly #events: EventQueue;
  readonly #hooks: ReplicaHooks;
  #reading: SimRequest[] = [];
  readonly #decoding = new Heap<Decoding>((a, b) => a.lastStep < b.lastStep);
  #step = 0;
  #kvUsed = 0;
  #promptLeft = 0;
  /** Prompt tokens of those that have had no first token. */
  #unread = 0;
  #running: Running | undefined;
  /** A step is being ended: what is taken now waits for the next one to begin. */
  #isEnding = false;

  constructor(profile: EngineProfile, events: EventQueue, hooks: ReplicaHooks) {
    this.#profile = profile;
    this.#events = events;
    this.#hooks = hooks;
  }

  /** Prompt tokens that it has taken and not read. */
  get promptLeft(): number {
    return this.#promptLeft;
  }

  /** Those of them that wait for a prompt before theirs to be read. */
  get promptBehind(): number {
    return this.#promptLeft - (this.#reading[0]?.promptLeft ?? 0);
  }

  /** As a router sees it: whole prompts, until their first token. */
  get unreadTokens(): number {
    return this.#unread;
  }

  get inFlight(): number {
    return this.#reading.length + this.#decoding.size;
  }

  get kvShare(): number {
    return this.#kvUsed / this.#profile.kvTokens;
  }

  /** As a router gives (src/core/route/endpoint-pick.ts). An empty one takes anything. */
  canTake(request: SimRequest): boolean {
    if (this.inFlight === 0) return true;
    const { sequencesMax, promptTokensPerStep, kvTokens } = this.#profile;
    return (
      this.inFlight < sequencesMax &&
      this.#unread < UNREAD_STEPS_MAX * promptTokensPerStep &&
      this.#kvUsed + sizeOf(request) <= kvTokens
    );
  }

  take(request: SimRequest): void {
    this.#reading.push(request);
    this.#promptLeft += request.promptLeft;
    this.#unread += request.promptTokens;
    this.#kvUsed += sizeOf(request);
    if (this.#isEnding) return;
    if (this.#running === undefined) this.#begin();
    else this.#cutShort(this.#running);
  }

  /** The engine is gone: what it had comes back, to be read again from the start. */
  abandon(): SimRequest[] {
    this.#running?.end.cancel();
    this.#running = undefined;
    const requests = [...this.#reading, ...this.#decoding.drain().map(({ request }) => request)];
    this.#reading = [];
    this.#promptLeft = 0;
    this.#unread = 0;
    this.#kvUsed = 0;
    for (const request of requests) startOver(request);
    return requests;
  }

  #begin(): void {
    const { stepMs, perSequenceMs, perPromptTokenMs, promptTokensPerStep } = this.#profile;
    const sequences = this.#decoding.size;
    const promptTokens = Math.min(this.#promptLeft, promptTokensPerStep);
    const next = this.#decoding.first();
    if (next === undefined && promptTokens === 0) {
      this.#running = undefined;
      return;
    }
    const steps = promptTokens > 0 || next === undefined ? 1 : Math.max(1, next.lastStep - this.#step);
    const eachMs = stepMs + perSequenceMs * sequences + perPromptTokenMs * promptTokens;
    const running = { sequences, promptTokens, eachMs, steps, beganMs: this.#events.nowMs };
    this.#running = { ...running, end: this.#endAt(running.beganMs + steps * eachMs) };
  }

  /** A prompt came while only tokens were written: it is read from the next step on. */
  #cutShort(running: Running): void {
    if (running.steps === 1) return;
    const done = Math.floor((this.#events.nowMs - running.beganMs) / running.eachMs);
    const steps = Math.min(running.steps, done + 1);
    running.end.cancel();
    this.#running = { ...running, steps, end: this.#endAt(running.beganMs + steps * running.eachMs) };
  }

  #endAt(timeMs: number): Scheduled {
    return this.#events.at(timeMs, () => this.#end());
  }

  #end(): void {
    const running = this.#running;
    if (running === undefined) return;
    const { sequences, promptTokens, eachMs, steps } = running;
    this.#isEnding = true;
    this.#step += steps;
    const finished = this.#finish();
    this.#read(promptTokens, finished);
    for (const request of finished) this.#hooks.onDone(request);
    // Hooks may give it more: the next step takes all of that together.
    this.#hooks.onStep({ sequences, promptTokens, stepMs: eachMs });
    this.#isEnding = false;
    // Or they have taken the engine away.
    if (this.#running === running) this.#begin();
  }

  #finish(): SimRequest[] {
    const finished: SimRequest[] = [];
    for (let first = this.#decoding.first(); first !== undefined && first.lastStep <= this.#step; ) {
      this.#decoding.pop();
      this.#leave(first.request, finished);
      first = this.#decoding.first();
    }
    return finished;
  }

  #leave(request: SimRequest, finished: SimRequest[]): void {
    request.doneMs = this.#events.nowMs;
    this.#kvUsed -= sizeOf(request);
    finished.push(request);
  }

  /** Prompts are read in the order they came. Whose prompt is over has its first token. */
  #read(promptTokens: number, finished: SimRequest[]): void {
    let budget = promptTokens;
    while (budget > 0) {
      const request = this.#reading[0];
      if (request === undefined) return;
      const taken = Math.min(budget, request.promptLeft);
      budget -= taken;
      request.promptLeft -= taken;
      this.#promptLeft -= taken;
      if (request.promptLeft > 0) return;
      this.#reading.shift();
      this.#unread -= request.promptTokens;
      // One that is read again after its engine was lost has had its first token.
      if (request.firstTokenMs === undefined) {
        request.firstTokenMs = this.#events.nowMs;
        this.#hooks.onFirstToken(request);
      }
      if (request.outputTokens <= 1) this.#leave(request, finished);
      else this.#decoding.push({ request, lastStep: this.#step + request.outputTokens - 1 });
    }
  }
}

interface Running {
  readonly sequences: number;
  readonly promptTokens: number;
  readonly eachMs: number;
  readonly steps: number;
  readonly beganMs: number;
  readonly end: Scheduled;
}

function sizeOf(request: SimRequest): number {
  return request.promptTokens + request.outputTokens;
}

// One run: a trace, a fleet and a policy, from the first request to the last answer. Placement is the controller's own
// (src/core/plan/place.ts); only time, engines and requests are simulated. Deterministic: the same scenario gives the same run.
import { createChurnBudget } from '../core/check/churn.ts';
import { checkPlacement } from '../core/check/placement.ts';
import { planPlacement } from '../core/plan/place.ts';
import type { Claim, PlaceSnapshot } from '../core/plan/placement.ts';
import { assert } from '../lib/assert.ts';
import { readCopyUse } from './copy-use.ts';
import { createEventQueue, type Scheduled } from './event-queue.ts';
import { createFleet, FILLER, type Fleet } from './fleet.ts';
import { createGateway, type Gateway } from './gateway.ts';
import type { FleetReading, ModelReading, Order, Policy, PolicyFactory } from './policy/policy.ts';
import { createRecorder, type Recorder } from './recorder.ts';
import { createSimRequest, type SimRequest } from './request.ts';
import { AFTER_MS_MAX, type Scenario } from './scenario.ts';
import { readSleeperMemory, type SleeperMemory } from './sleeper-memory.ts';
import { type RunResult, summarize } from './summary.ts';

/** Rows of the timeline over the span of a trace. */
const TIMELINE_ROWS = 360;
const POOL = 'default';

export class Simulation {
  readonly #scenario: Scenario;
  readonly #memory: SleeperMemory | undefined;
  readonly #policy: Policy;
  readonly #events = createEventQueue();
  readonly #recorder: Recorder;
  readonly #gateway: Gateway;
  readonly #fleet: Fleet;
  readonly #endMs: number;
  readonly #openRequests = new Set<SimRequest>();
  #orders: ReadonlyMap<string, Order> = new Map();
  #frozen: FleetReading | undefined;
  /** What routers would have said in a silence, for when they speak again. */
  #unsaid: ((policy: Policy) => void)[] = [];
  #next = 0;
  #urgent: Scheduled | undefined;
  #peakOrdered = 0;
  readonly #churn = createChurnBudget();

  constructor(scenario: Scenario, createPolicy: PolicyFactory) {
    this.#scenario = scenario;
    this.#memory = readSleeperMemory(scenario);
    this.#policy = createPolicy(scenario.models);
    this.#endMs = scenario.trace.requests.at(-1)?.atMs ?? 0;
    this.#recorder = createRecorder({ models: scenario.models, spanMs: this.#endMs, rows: TIMELINE_ROWS });
    this.#gateway = createGateway((request, instance) => {
      const isHot = instance.sinceMs <= request.atMs;
      request.metBy ??= isHot ? 'Awake' : instance.from;
      instance.usedMs = this.#events.nowMs;
    });
    this.#fleet = this.#createFleet();
    this.#fleet.begin(this.#policy.begin ?? new Map());
    this.#scheduleArrival();
    this.#scheduleLosses();
    this.#tick();
  }

  /** Goes on for so many events. False when the run is over. */
  advance(eventsMax: number): boolean {
    for (let count = 0; count < eventsMax; count += 1) {
      const isOver = this.#next >= this.#scenario.trace.requests.length && this.#openRequests.size === 0;
      if (isOver || this.#events.nowMs > this.#endMs + AFTER_MS_MAX || !this.#events.next()) return false;
    }
    return true;
  }

  /** 0 to 1. */
  get progress(): number {
    return Math.min(1, this.#events.nowMs / Math.max(1, this.#endMs));
  }

  result(): RunResult {
    const endMs = Math.max(this.#events.nowMs, this.#endMs);
    for (const request of this.#openRequests) {
      if (request.firstTokenMs === undefined) this.#recorder.onUnfinished(request);
    }
    this.#openRequests.clear();
    this.#recorder.settle(endMs);
    return summarize({
      policy: this.#policy.name,
      scenario: this.#scenario,
      recorder: this.#recorder,
      endMs,
      peakOrdered: this.#peakOrdered,
    });
  }

  #createFleet(): Fleet {
    const events = this.#events;
    return createFleet(this.#scenario, events, {
      onFirstToken: (request) => this.#recorder.onFirstToken(request),
      onDone: (request, instance) => {
        this.#openRequests.delete(request);
        this.#say((policy) => policy.onDone?.(request));
        // An agent reports that it has nothing to do, which matters to whoever waits for its slot.
        if (instance.replica?.inFlight === 0 && this.#gateway.hasWaiting()) this.#decideSoon();
      },
      onStep: (instance, sample) => {
        this.#policy.onStep?.(instance.model, sample);
        this.#gateway.offer(instance.model);
      },
      onRung: (_slot, instance, before) => {
        this.#recorder.onRung(instance, before, events.nowMs);
        if (instance.rung !== 'Awake') this.#gateway.leave(instance);
      },
      onClimbed: (instance, tookMs) => this.#policy.onClimbed?.(instance.model, instance.from, tookMs),
      onReady: (instance) => {
        this.#gateway.join(instance);
        this.#gateway.offer(instance.model);
      },
      onFailed: (_instance, why) => this.#recorder.onFailed(why),
      onLost: (requests) => {
        this.#recorder.onLost(requests.length);
        this.#gateway.giveBack(requests);
      },
    });
  }

  /** One event at a time, so that the heap stays small. */
  #scheduleArrival(): void {
    const request = this.#scenario.trace.requests[this.#next];
    if (request === undefined) return;
    this.#events.at(request.atMs, () => {
      this.#next += 1;
      this.#arrive(createSimRequest(request));
      this.#scheduleArrival();
    });
  }

  #arrive(request: SimRequest): void {
    this.#openRequests.add(request);
    this.#recorder.onArrival(request);
    this.#say((policy) => policy.onArrival?.(request));
    const isWaiting = this.#gateway.arrive(request);
    if (!isWaiting) return;
    this.#recorder.onQueue(this.#events.nowMs, this.#gateway.queueOf(request.model).length);
    this.#decideSoon();
  }

  #decideSoon(): void {
    const { urgentMs } = this.#policy;
    if (urgentMs === undefined || this.#urgent !== undefined) return;
    this.#urgent = this.#events.at(this.#events.nowMs + urgentMs, () => {
      this.#urgent = undefined;
      this.#decide();
    });
  }

  #scheduleLosses(): void {
    for (const { atMs, node, backMs } of this.#scenario.faults.lostNodes) {
      this.#events.at(atMs, () => this.#fleet.loseNode(node));
      if (backMs !== undefined) this.#events.at(backMs, () => this.#fleet.restoreNode(node));
    }
  }

  #tick(): void {
    this.#decide();
    this.#events.at(this.#events.nowMs + this.#policy.everyMs, () => this.#tick());
  }

  #decide(): void {
    this.#orders = this.#policy.decide(this.#read());
    const nowMs = this.#events.nowMs;
    const { sleepersPerSlotMax, sleeperBytes } = this.#scenario.fleet;
    const slots = this.#fleet.slots.map((slot) => slot.view(nowMs));
    const { nodeOf } = this.#fleet;
    const copies = this.#policy.planCopies?.({ nowMs, slots, sleepersPerSlotMax, memory: this.#memory, nodeOf });
    const snapshot: PlaceSnapshot = {
      slots,
      ...(copies === undefined ? {} : { copies }),
      claims: this.#listClaims(),
      pools: [{ name: POOL, room: 0, sleepersPerSlotMax, sleeperBytes }],
      isComplete: true,
    };
    const placement = planPlacement(snapshot);
    this.#policy.releaseCopies?.(placement.adopted ?? []);
    const findings = checkPlacement(snapshot, placement);
    assert(findings.length === 0, `a plan keeps the rules (${findings[0]?.sentence})`);
    this.#recorder.onCopyUse(readCopyUse(snapshot, placement));
    const refused = new Set(this.#churn.check(nowMs, snapshot, placement).map(({ podUid }) => podUid));
    const allowed = new Map([...placement.assigned].filter(([podUid]) => !refused.has(podUid)));
    this.#churn.note(nowMs, snapshot, allowed);
    for (const slot of this.#fleet.slots) {
      const assigned = allowed.get(slot.name);
      if (assigned !== undefined) slot.assign(assigned);
    }
    const ordered = this.#fleet.slots.filter(({ wanted }) => wanted !== undefined && !wanted.startsWith(FILLER));
    this.#peakOrdered = Math.max(this.#peakOrdered, ordered.length);
  }

  #isSilent(): boolean {
    const nowMs = this.#events.nowMs;
    return this.#scenario.faults.silences.some(({ fromMs, toMs }) => nowMs >= fromMs && nowMs < toMs);
  }

  /** Routers keep what they could not say, and say it late (src/router keeps ten minutes). */
  #say(tell: (policy: Policy) => void): void {
    if (this.#isSilent()) this.#unsaid.push(tell);
    else tell(this.#policy);
  }

  /** While routers are silent, a policy sees what they said last. */
  #read(): FleetReading {
    const nowMs = this.#events.nowMs;
    const slots = this.#fleet.slots.filter((slot) => slot.isUsable).length;
    if (this.#isSilent() && this.#frozen !== undefined) {
      const models = this.#frozen.models.map((reading) => ({
        ...this.#readModel(reading.model),
        ...demandOf(reading),
      }));
      return { nowMs, signalAgeMs: nowMs - this.#frozen.nowMs, models, slots };
    }
    for (const tell of this.#unsaid.splice(0)) tell(this.#policy);
    const models = this.#scenario.models.map((model) => this.#readModel(model));
    const reading = { nowMs, signalAgeMs: 0, models, slots };
    this.#frozen = this.#scenario.faults.silences.length === 0 ? undefined : copyReading(reading);
    return reading;
  }

  #readModel(model: Scenario['models'][number]): ModelReading {
    const waiting = this.#gateway.queueOf(model.name);
    return { model, waiting, queued: waiting.length, ...this.#fleet.readModel(model.name) };
  }

  #listClaims(): Claim[] {
    const claims = this.#scenario.models.map((model): Claim => {
      const order = this.#orders.get(model.name) ?? { desired: model.minAwake };
      const waiting = this.#gateway.queueOf(model.name);
      const oldest = waiting[0];
      const { inFlight } = this.#fleet.readModel(model.name);
      return {
        ...claimFrame(model.name, this.#memory),
        ...claimOrder(order),
        min: model.minAwake,
        isBusy: waiting.length + inFlight > 0,
        isPatient: false,
        waitedMs: oldest === undefined ? 0 : this.#events.nowMs - oldest.atMs,
      };
    });
    return this.#scenario.fleet.isOccupied ? [...claims, ...this.#listFillers()] : claims;
  }

  /** Other models want no more than to stay where they are, and to have a slot back that nobody uses. */
  #listFillers(): Claim[] {
    return this.#fleet.slots.map((slot) => {
      const awake = slot.assigned.find(({ rung }) => rung === 'Awake')?.model;
      const name = `${FILLER}${slot.name}`;
      const desired = awake === undefined || awake === name ? 1 : 0;
      return {
        ...claimFrame(name, this.#memory),
        desired,
        coldMax: 0,
        min: 0,
        isBusy: false,
        isPatient: true,
        waitedMs: 0,
      };
    });
  }
}

/** What placement looks at, and nothing else that a policy may have put into its answer. */
function claimOrder({ desired, coldMax, pressing, load, climb, chance }: Order) {
  return {
    desired,
    ...(coldMax === undefined ? {} : { coldMax }),
    ...(pressing === undefined ? {} : { pressing }),
    ...(load === undefined ? {} : { load }),
    ...(climb === undefined ? {} : { climb }),
    ...(chance === undefined ? {} : { chance }),
  };
}

function claimFrame(name: string, memory: SleeperMemory | undefined) {
  const size = memory === undefined ? {} : { asleepBytes: memory.bytesOf(name) };
  return { model: name, revision: name, pools: [POOL], canSleep: true, ...size };
}

function demandOf({ waiting, queued }: ModelReading) {
  return { waiting, queued };
}

function copyReading(reading: FleetReading): FleetReading {
  return { ...reading, models: reading.models.map((model) => ({ ...model, waiting: [...model.waiting] })) };
}
